//! `stn runs list`

use super::which::Which;
use crate::error::{Code, Result};
use crate::narrate::{cut, duration, moment, wait};
use crate::session::Session;
use station_core::{Micros, RunId};
use station_engine::Clock;
use station_server::wire;

/// List runs, newest first
///
/// With `--json` the answer's `next` is what `--before` takes for the next page; `null` on the last one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Show so many at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only runs older than this one: the next page begins behind the last run of this one
    #[arg(long, visible_alias = "cursor", value_name = "RUN")]
    before: Option<RunId>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let meant = self.which.meant(session, at).await?;
                let runs = self.which.page(session, at, &meant, self.before, self.limit).await?;
                let is_full = u32::try_from(runs.len()).is_ok_and(|n| n == self.limit);
                let next = runs.last().map(|run| run.id).filter(|_| is_full);
                if session.out.is_json() {
                    let mut body = wire::list("runs", &runs);
                    body["next"] = next.into();
                    session.out.json(&body)?;
                    return Ok(Code::Done);
                }
                if runs.is_empty() {
                    session.out.hint("there are no such runs; start one with `stn agent run AGENT \"task\"`");
                }
                let now = Clock::System.now();
                let header =
                    ["ID", "AGENT", "ENVIRONMENT", "STATUS", "STARTED (UTC)", "TOOK", "WAITS ON", "TASK"];
                session.out.table(header, runs.iter().map(|run| row(run, now)).collect())?;
                if let Some(next) = next {
                    session.out.hint(&format!("older ones: `--before {next}`"));
                }
                Ok(Code::Done)
            })
            .await
    }
}

fn row(run: &wire::Run, now: Micros) -> [String; 8] {
    let agent = match (run.parent_id, run.forked_from) {
        (Some(parent), _) => format!("{} (for run {parent})", run.agent),
        (None, Some(from)) => format!("{} (fork of {}@{})", run.agent, from.run_id, from.step),
        (None, None) => run.agent.clone(),
    };
    [
        run.id.to_string(),
        agent,
        run.environment.clone(),
        run.status.to_string(),
        moment(run.started_at.as_ref().unwrap_or(&run.created_at)),
        run.duration_ms.map(duration).unwrap_or_default(),
        // Nobody waits any more where nobody drives.
        wait(run, now).filter(|_| !run.is_interrupted()).unwrap_or_default(),
        cut(&run.task, 50),
    ]
}
