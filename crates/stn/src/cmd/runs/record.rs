//! `stn runs record`

use crate::at::At;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::{Error, RunId};
use std::path::{Path, PathBuf};

/// Record a run as a case that `stn test` replays
///
/// A case holds the task, each answer of the model, each result of a tool, and the tools' definitions: a file for Git,
/// replayed without models, servers and keys. Values of the environment's variables and of the run's are taken out, except
/// those of fewer than eight characters, which are words like `true`: look at what a tool returned before you share it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
    /// Write it here instead of to stdout, making folders as needed, e.g. environments/default/tests/triage.case.json
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
                let Some(path) = &self.output else {
                    session.out.json(&case)?;
                    return Ok(Code::Done);
                };
                let text = serde_json::to_string_pretty(&case)
                    .map_err(|cause| Error::internal("writing a case", cause))?;
                let folder = path.parent().unwrap_or(Path::new(""));
                let written =
                    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text + "\n"));
                written.map_err(|cause| {
                    let sentence = format!("{} cannot be written: {}", path.display(), cause.kind());
                    Error::invalid(sentence).with_cause(cause)
                })?;
                session.out.note(Tone::Plain, &format!("Recorded run {} in {}.", self.run, path.display()));
                if !path.to_string_lossy().ends_with(".case.json") {
                    session.out.hint("`stn test` replays files whose names end in `.case.json`");
                }
                Ok(Code::Done)
            })
            .await
    }
}
