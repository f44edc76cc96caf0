//! `stn runs cancel`

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
            .with(async |station| {
                station.cancel_run(&session.by, self.run).await?;
                let run = station.end_cancelled(&session.by, self.run).await?;
                if session.out.is_json() {
                    session
                        .out
                        .json(&json!({ "run": wire::Run::new(&run, station.is_interrupted(&run)) }))?;
                } else if run.status.is_final() {
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
