//! `stn runs prune`

use crate::error::{Code, Result};
use crate::narrate::{moment, plural};
use crate::out::Tone;
use crate::question::question;
use crate::session::Session;
use serde_json::json;
use station_core::Error;
use station_engine::Prunable;

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
        let keep_days = self.keep_days.or(session.settings.config.runs.keep_days).ok_or_else(|| {
            Error::invalid("nothing says how long runs are kept")
                .with_hint("give `--keep-days`, or set it in config.yaml: `runs: {keep_days: 90}`")
        })?;
        session
            .with(async |station| {
                let out = session.out;
                let Prunable { runs, oldest } = station.prunable_runs(&session.by, keep_days).await?;
                let oldest = oldest.map(|at| format!(", the oldest from {} UTC", moment(at)));
                let what = format!("{}{}", plural(runs, "run"), oldest.unwrap_or_default());
                if self.dry_run || runs == 0 {
                    if out.is_json() {
                        out.json(&json!({ "prunable": { "runs": runs }, "pruned": null }))?;
                    } else {
                        out.note(Tone::Plain, &format!("{what} would be removed."));
                    }
                    return Ok(Code::Done);
                }
                if !self.yes && !agreed(session, &what).await? {
                    return Err(Error::conflict("nothing was removed: nobody said yes")
                        .with_hint("`--yes` says it beforehand")
                        .into());
                }
                let pruned = station.prune_runs(&session.by, keep_days).await?;
                if out.is_json() {
                    let gone = json!({ "runs": pruned.runs, "bodies": pruned.blobs });
                    out.json(&json!({ "prunable": { "runs": runs }, "pruned": gone }))?;
                } else {
                    let (runs, bodies) = (plural(pruned.runs, "run"), pruned.blobs);
                    out.note(Tone::Good, &format!("Removed {runs}, and {bodies} stored bodies with them."));
                }
                Ok(Code::Done)
            })
            .await
    }
}

async fn agreed(session: &Session<'_>, what: &str) -> Result<bool> {
    let answer =
        question(session, &format!("{what} will be removed, and cannot be brought back. Remove? [y/N]"))
            .await?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}
