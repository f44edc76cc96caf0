//! `stn runs export`

use super::to::To;
use super::which::Which;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::{Error, RunId, plural};
use station_engine::EXPORTED_MAX;
use station_server::wire;
use std::path::PathBuf;

/// Write runs with everything that happened in them, one JSON document per line
///
/// Each line is what `stn runs inspect --json` prints: the run, its journal, its sub-agents. Oldest pages come last, as in
/// `stn runs list`. Arguments and results are written as they are kept: look at them before you share the file. That they were taken
/// out is told in the audit.
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
    /// Write them here instead of to stdout (`-`), making folders as needed; a file that is there is refused
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs that are looked up at a time.
const PAGE: u32 = 100;

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let mut to = To::open(self.output.as_deref())?;
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
                    for ids in ids.chunks(EXPORTED_MAX) {
                        for run in at.export_runs(&session.by, ids).await? {
                            write(session, &mut to, &run)?;
                            n_runs += 1;
                        }
                    }
                    let is_unread = to.path().is_none() && session.out.is_closed();
                    if is_unread || ids.is_empty() || !self.runs.is_empty() || n_runs >= self.limit {
                        break;
                    }
                }
                let Some(path) = to.path() else { return Ok(Code::Done) };
                if session.out.is_json() {
                    session.out.json(&json!({ "exported": { "runs": n_runs, "path": path } }))?;
                } else {
                    let text = format!("Wrote {} to {}.", plural(n_runs, "run"), path.display());
                    session.out.note(Tone::Good, &text);
                }
                Ok(Code::Done)
            })
            .await
    }
}

fn write(session: &Session<'_>, to: &mut To<'_>, run: &wire::RunDetails) -> Result<()> {
    let line = serde_json::to_string(run).map_err(|cause| Error::internal("writing a run", cause))?;
    to.write(session, &(line + "\n"))
}
