//! `stn runs export`

use super::which::Which;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use station_core::{Error, RunId, plural};
use station_server::wire;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

/// Write runs with everything that happened in them, one JSON document per line
///
/// Each line is what `stn runs inspect --json` prints: the run, its journal, its sub-agents. Oldest pages come last, as in
/// `stn runs list`. Arguments and results are written as they are kept: look at them before you share the file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// These runs; those that the options select if left out
    #[arg(conflicts_with_all = ["agent", "env", "status", "waiting", "since", "until"])]
    runs: Vec<RunId>,
    #[command(flatten)]
    which: Which,
    /// Write so many at most, newest first
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
    /// Write them here instead of to stdout; a file that is there is refused
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs that are looked up at a time.
const PAGE: u32 = 100;

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let mut file = self.output.as_ref().map(create).transpose()?;
                let mut n_runs = 0;
                let meant = self.which.meant(session, at).await?;
                let mut before = None;
                let mut ids = self.runs.clone();
                loop {
                    if self.runs.is_empty() {
                        let limit = PAGE.min(self.limit - n_runs);
                        let page = self.which.page(session, at, &meant, before, limit).await?;
                        ids = page.iter().map(|run| RunId(run.id)).collect();
                        before = ids.last().copied();
                    }
                    for id in &ids {
                        write(session, &mut file, &at.show_run(&session.by, *id).await?)?;
                        n_runs += 1;
                    }
                    if ids.is_empty() || !self.runs.is_empty() || n_runs >= self.limit {
                        break;
                    }
                }
                if let Some(path) = &self.output {
                    let text = format!("Wrote {} to {}.", plural(n_runs, "run"), path.display());
                    session.out.note(Tone::Good, &text);
                }
                Ok(Code::Done)
            })
            .await
    }
}

fn write(session: &Session<'_>, file: &mut Option<File>, run: &wire::RunDetails) -> Result<()> {
    let line = serde_json::to_string(run).map_err(|cause| Error::internal("writing a run", cause))?;
    match file {
        None => session.out.verbatim(&(line + "\n")),
        Some(file) => writeln!(file, "{line}").map_err(|cause| {
            let sentence = format!("the file cannot be written: {}", cause.kind());
            Error::invalid(sentence).with_cause(cause).into()
        }),
    }
}

fn create(path: &PathBuf) -> Result<File> {
    File::create_new(path).map_err(|cause| {
        let sentence = format!("{} cannot be made: {}", path.display(), cause.kind());
        Error::invalid(sentence).with_cause(cause).with_hint("name a file that does not exist yet").into()
    })
}
