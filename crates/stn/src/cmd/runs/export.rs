//! `stn runs export`

use super::which::Which;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use station_core::{Error, RunId, plural};
use station_engine::{RunFilter, Station};
use station_server::wire;
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
            .with(async |station| {
                let mut file = self.output.as_ref().map(create).transpose()?;
                let mut n_runs = 0;
                let mut filter = self.which.filter(session, station).await?;
                let mut ids = self.runs.clone();
                loop {
                    if self.runs.is_empty() {
                        ids = next_page(session, station, &mut filter, self.limit - n_runs).await?;
                    }
                    for id in &ids {
                        let details = station.show_run(&session.by, *id).await?;
                        if self.which.is_interrupted() && !details.interrupted {
                            continue;
                        }
                        let body = wire::RunDetails::new(&details, |run| station.is_interrupted(run));
                        let line = serde_json::to_string(&body)
                            .map_err(|cause| Error::internal("writing a run", cause))?;
                        match &mut file {
                            None => session.out.verbatim(&(line + "\n"))?,
                            Some(file) => writeln!(file, "{line}").map_err(|cause| {
                                let sentence = format!("the file cannot be written: {}", cause.kind());
                                Error::invalid(sentence).with_cause(cause)
                            })?,
                        }
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

async fn next_page(
    session: &Session<'_>,
    station: &Station,
    filter: &mut RunFilter,
    left: u32,
) -> Result<Vec<RunId>> {
    let runs = station.list_runs(&session.by, filter, left.min(PAGE)).await?;
    filter.before = runs.last().map(|run| run.id).or(filter.before);
    Ok(runs.into_iter().map(|run| run.id).collect())
}

fn create(path: &PathBuf) -> Result<std::fs::File> {
    std::fs::File::create_new(path).map_err(|cause| {
        let sentence = format!("{} cannot be made: {}", path.display(), cause.kind());
        Error::invalid(sentence).with_cause(cause).with_hint("name a file that does not exist yet").into()
    })
}
