//! `stn runs record`

use super::to::To;
use crate::at::At;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::{Error, RunId};
use std::path::PathBuf;

/// Record a run as a case that `stn test` replays
///
/// A case holds the task, each answer of the model, each result of a tool, and the tools' definitions: a file for Git,
/// replayed without models, servers and keys. Values of the environment's variables and of the run's are taken out, except
/// those of fewer than eight characters, which are words like `true`: look at what a tool returned before you share it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
    /// Write it here instead of to stdout (`-`), making folders as needed, e.g. environments/default/tests/triage.case.json; a file that is there is refused
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let case = match at {
                    At::Here(station) => station.record_run(&session.by, self.run).await?,
                    At::There(server) => server.ask("record_run", json!({ "run": self.run.0 })).await?,
                };
                let text = serde_json::to_string_pretty(&case)
                    .map_err(|cause| Error::internal("writing a case", cause))?;
                let mut to = To::open(self.output.as_deref())?;
                to.write(session, &(text + "\n"))?;
                let Some(path) = to.path() else { return Ok(Code::Done) };
                if session.out.is_json() {
                    session.out.json(&json!({ "case": { "run": self.run.0, "path": path } }))?;
                    return Ok(Code::Done);
                }
                session.out.note(Tone::Plain, &format!("Recorded run {} in {}.", self.run, path.display()));
                if !path.to_string_lossy().ends_with(".case.json") {
                    session.out.hint("`stn test` replays files whose names end in `.case.json`");
                }
                Ok(Code::Done)
            })
            .await
    }
}
