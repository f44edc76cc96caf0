//! `stn runs cancel`

use crate::at::At;
use crate::attend::summary;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::RunId;
use station_server::wire;

/// End a run and its sub-agents
///
/// What happened is kept. A run that somebody drives is ended by its driver as soon as that hears of it, and one that nobody
/// drives (it waits, is queued, or its process is gone) is ended right here. Calls that are out then are unknown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let run = match at {
                    At::Here(station) => {
                        station.cancel_run(&session.by, self.run).await?;
                        let run = station.end_cancelled(&session.by, self.run).await?;
                        wire::Run::new(&run, station.is_interrupted(&run))
                    }
                    At::There(server) => {
                        // Without what it spent, as here.
                        let details: wire::RunDetails =
                            server.ask("cancel_run", json!({ "run": self.run.0 })).await?;
                        wire::Run { budget: None, ..details.run }
                    }
                };
                if session.out.is_json() {
                    session.out.json(&json!({ "run": run }))?;
                } else if run.recorded().is_final() {
                    session.out.note(Tone::Plain, &summary(&run));
                } else {
                    let told =
                        format!("Run {} is being cancelled: its driver has not ended it yet.", self.run);
                    session.out.note(Tone::Plain, &told);
                    session.out.hint(&format!("see how it ends with `stn runs follow {}`", self.run));
                }
                Ok(Code::Done)
            })
            .await
    }
}
