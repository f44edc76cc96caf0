//! `stn runs cancel`

use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::RunId;
use station_server::wire;

/// Ask for the end of a run and of its sub-agents
///
/// Whoever drives it ends it as soon as it hears of it and keeps what happened; a run that nobody drives is ended by the next
/// worker, or by `stn runs resume`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let run = station.cancel_run(&session.by, self.run).await?;
                if session.out.is_json() {
                    session
                        .out
                        .json(&json!({ "run": wire::Run::new(&run, station.is_interrupted(&run)) }))?;
                } else {
                    session.out.note(Tone::Plain, &format!("Run {} was asked to stop.", self.run));
                    session.out.hint(&format!("see how it ends with `stn runs follow {}`", self.run));
                }
                Ok(Code::Done)
            })
            .await
    }
}
