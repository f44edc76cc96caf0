//! `stn runs prune`

use crate::at::At;
use crate::error::{Code, Result};
use crate::narrate::{moment, plural};
use crate::out::Tone;
use crate::question::question;
use crate::session::Session;
use serde_json::json;
use station_core::Error;
use station_server::wire;

/// Remove runs that ended long ago, with their journals
///
/// Only whole trees go: a run and all its sub-agents' runs, once all of them have ended. `stn serve` does the same by itself
/// where config.yaml says `runs: {keep_days: N}`. What goes is told first, and asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep what ended within so many days, instead of `runs.keep_days`; 0 keeps nothing that has ended
    #[arg(long, value_name = "DAYS")]
    keep_days: Option<u32>,
    /// Tell what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let out = session.out;
                let prunable = self.prunable(session, at).await?;
                let wire::PrunableRuns { runs, oldest } = &prunable;
                let oldest = oldest.as_ref().map(|at| format!(", the oldest from {} UTC", moment(at)));
                let what = format!("{}{}", plural(*runs, "run"), oldest.unwrap_or_default());
                if self.dry_run || *runs == 0 {
                    if out.is_json() {
                        out.json(&json!({ "prunable": prunable, "pruned": null }))?;
                    } else {
                        out.lines(&[(Tone::Plain, format!("{what} would be removed."))])?;
                    }
                    return Ok(Code::Done);
                }
                if !self.yes && !agreed(session, &what).await? {
                    return Err(Error::conflict("nothing was removed: nobody said yes")
                        .with_hint("`--yes` says it beforehand")
                        .into());
                }
                let pruned = self.prune(session, at).await?;
                if out.is_json() {
                    out.json(&json!({ "prunable": prunable, "pruned": pruned }))?;
                } else {
                    let (runs, bodies) = (plural(pruned.runs, "run"), pruned.bodies);
                    out.note(Tone::Good, &format!("Removed {runs}, and {bodies} stored bodies with them."));
                }
                Ok(Code::Done)
            })
            .await
    }

    async fn prunable(&self, session: &Session<'_>, at: At<'_>) -> Result<wire::PrunableRuns> {
        match at {
            At::Here(station) => {
                let prunable = station.prunable_runs(&session.by, self.keep_days).await?;
                Ok(wire::PrunableRuns::from(&prunable))
            }
            At::There(server) => {
                Ok(server.ask("prunable_runs", json!({ "keep_days": self.keep_days })).await?)
            }
        }
    }

    async fn prune(&self, session: &Session<'_>, at: At<'_>) -> Result<wire::PrunedRuns> {
        match at {
            At::Here(station) => {
                let pruned = station.prune_runs(&session.by, self.keep_days).await?;
                Ok(wire::PrunedRuns::from(&pruned))
            }
            At::There(server) => Ok(server.ask("prune_runs", json!({ "keep_days": self.keep_days })).await?),
        }
    }
}

async fn agreed(session: &Session<'_>, what: &str) -> Result<bool> {
    let answer =
        question(session, &format!("{what} will be removed, and cannot be brought back. Remove? [y/N]"))
            .await?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}
