//! `stn runs list`

use crate::error::{Code, Result};
use crate::narrate::{cut, duration, moment, wait};
use crate::session::{Session, environment_name};
use station_core::run::Status;
use station_core::{AgentId, EnvironmentName, Error, Micros, RunId};
use station_engine::{AgentRef, Run, RunFilter, Station};
use station_server::wire;

/// List runs, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only runs of this agent, by id or name
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only runs in this environment; also the environment of the agent's name
    #[arg(long, value_name = "NAME", value_parser = environment_name)]
    env: Option<EnvironmentName>,
    /// Only runs with this status: queued, running, waiting, completed, failed, cancelled or timed_out;
    /// interrupted: running, as far as is recorded, while its process is gone
    #[arg(long, value_parser = status)]
    status: Option<Wanted>,
    /// Only runs that have not ended: each says what it waits on
    #[arg(long, conflicts_with = "status")]
    waiting: bool,
    /// Show so many at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Only runs older than this one: the next page
    #[arg(long, value_name = "RUN")]
    before: Option<RunId>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let filter = self.filter(session, station).await?;
                let interrupted = |run: &Run| station.is_interrupted(run);
                let runs = match self.status {
                    Some(Wanted::Interrupted) => {
                        let mut runs = station.list_runs(&session.by, &filter, RUNNING_MAX).await?;
                        runs.retain(&interrupted);
                        runs.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
                        runs
                    }
                    _ => station.list_runs(&session.by, &filter, self.limit).await?,
                };
                if session.out.is_json() {
                    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
                    let budgets = station.run_budgets(&ids).await?;
                    let told =
                        |run: &Run| wire::Run::new(run, interrupted(run)).with_budget(budgets.get(&run.id));
                    let runs: Vec<wire::Run> = runs.iter().map(told).collect();
                    session.out.json(&wire::list("runs", &runs))?;
                    return Ok(Code::Done);
                }
                if runs.is_empty() {
                    session.out.hint("there are no such runs; start one with `stn agent run AGENT \"task\"`");
                }
                let rows = runs.iter().map(|run| row(run, interrupted(run), station.config().clock.now()));
                let header =
                    ["ID", "AGENT", "ENVIRONMENT", "STATUS", "STARTED (UTC)", "TOOK", "WAITS ON", "TASK"];
                session.out.table(header, rows.collect())?;
                Ok(Code::Done)
            })
            .await
    }

    async fn filter(&self, session: &Session<'_>, station: &Station) -> Result<RunFilter> {
        let environment = match &self.env {
            None => None,
            Some(name) => {
                let all = station.list_environments(&session.by).await?;
                let found = all.into_iter().find(|it| it.name == *name).map(|it| it.id);
                let missing = || {
                    Error::not_found(format!("environment `{name}` does not exist"))
                        .with_hint("`stn env list` shows them")
                };
                Some(found.ok_or_else(missing)?)
            }
        };
        let agent = match &self.agent {
            None => None,
            Some(text) => Some(self.agent(session, station, text).await?),
        };
        let status = self.status.map(|wanted| match wanted {
            Wanted::Recorded(status) => status,
            Wanted::Interrupted => Status::Running,
        });
        Ok(RunFilter { agent, environment, status, open: self.waiting, before: self.before })
    }

    async fn agent(&self, session: &Session<'_>, station: &Station, text: &str) -> Result<AgentId> {
        let name = match AgentRef::parse(text, self.env.clone()) {
            AgentRef::Id(id) => return Ok(id),
            AgentRef::Name { name, .. } => name,
        };
        let agents = station.list_agents(&session.by, self.env.as_ref()).await?;
        let mut found = agents.iter().filter(|agent| agent.name.as_str() == name);
        match (found.next(), found.next()) {
            (Some(agent), None) => Ok(agent.id),
            (Some(_), Some(_)) => {
                Err(Error::conflict(format!("several environments have an agent `{name}`"))
                    .with_hint("say which with `--env`, or give its id")
                    .into())
            }
            (None, _) => Err(Error::not_found(format!("agent `{name}` does not exist"))
                .with_hint("`stn agent list` shows them")
                .into()),
        }
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

/// A status as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Recorded(Status),
    Interrupted,
}

fn status(word: &str) -> Result<Wanted, String> {
    if word == "interrupted" {
        return Ok(Wanted::Interrupted);
    }
    Status::from_word(word).map(Wanted::Recorded).ok_or_else(|| {
        let words: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        format!("it is one of {}, interrupted", words.join(", "))
    })
}
