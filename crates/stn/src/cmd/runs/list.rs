//! `stn runs list`

use super::which::Which;
use crate::error::{Code, Result};
use crate::narrate::{cut, duration, moment, wait};
use crate::session::Session;
use station_core::{Micros, RunId};
use station_engine::{Run, RunFilter};
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
            .with(async |station| {
                let filter = self.which.filter(session, station).await?;
                let filter = RunFilter { before: self.before, ..filter };
                let interrupted = |run: &Run| station.is_interrupted(run);
                let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
                let runs = if self.which.is_interrupted() {
                    let mut runs = station.list_runs(&session.by, &filter, RUNNING_MAX).await?;
                    runs.retain(&interrupted);
                    runs.truncate(limit);
                    runs
                } else {
                    station.list_runs(&session.by, &filter, self.limit).await?
                };
                let next = runs.last().map(|run| run.id).filter(|_| runs.len() == limit);
                if session.out.is_json() {
                    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
                    let budgets = station.run_budgets(&ids).await?;
                    let told =
                        |run: &Run| wire::Run::new(run, interrupted(run)).with_budget(budgets.get(&run.id));
                    let runs: Vec<wire::Run> = runs.iter().map(told).collect();
                    let mut body = wire::list("runs", &runs);
                    body["next"] = next.map(|id| id.0).into();
                    session.out.json(&body)?;
                    return Ok(Code::Done);
                }
                if runs.is_empty() {
                    session.out.hint("there are no such runs; start one with `stn agent run AGENT \"task\"`");
                }
                let rows = runs.iter().map(|run| row(run, interrupted(run), station.config().clock.now()));
                let header =
                    ["ID", "AGENT", "ENVIRONMENT", "STATUS", "STARTED (UTC)", "TOOK", "WAITS ON", "TASK"];
                session.out.table(header, rows.collect())?;
                if let Some(next) = next {
                    session.out.hint(&format!("older ones: `--before {next}`"));
                }
                Ok(Code::Done)
            })
            .await
    }
}

fn row(run: &Run, interrupted: bool, now: Micros) -> [String; 8] {
    let span = run.ended_at.zip(run.started_at).map(|(ended, started)| duration(ended.ms_since(started)));
    let agent = match (run.parent, run.forked_from) {
        (Some(parent), _) => format!("{} (for run {parent})", run.agent_name),
        (None, Some(from)) => format!("{} (fork of {}@{})", run.agent_name, from.run, from.step),
        (None, None) => run.agent_name.clone(),
    };
    [
        run.id.to_string(),
        agent,
        run.environment_name.clone(),
        if interrupted { "interrupted".to_owned() } else { run.status.as_str().to_owned() },
        moment(run.started_at.unwrap_or(run.created_at)),
        span.unwrap_or_default(),
        // Nobody waits any more where nobody drives.
        wait(run, now).filter(|_| !interrupted).unwrap_or_default(),
        cut(&run.task, 50),
    ]
}

/// Runs that are recorded as running, looked through for those whose process is gone.
const RUNNING_MAX: u32 = 1_000;
