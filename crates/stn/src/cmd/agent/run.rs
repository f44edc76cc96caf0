//! `stn agent run`

use crate::at::{At, named};
use crate::attend::{Drive, Where, attend, tell_handed, tell_left};
use crate::cmd::budget::{amount, caps, given_amounts};
use crate::error::Result;
use crate::follow::{Tell, follow};
use crate::named::environment_ref;
use crate::remote::{self, Server, only_option};
use crate::session::Session;
use serde_json::json;
use station_core::budget::Measure;
use station_core::file::config::duration_ms;
use station_core::file::variables::{NAME_HINT, can_be_given};
use station_core::{EnvironmentName, Secret};
use station_engine::{AgentRef, Driver, EnvironmentRef, From, NewRun, Run, Station};
use station_server::wire;
use std::collections::BTreeMap;
use std::time::Duration;

/// Run an agent and print its answer
///
/// What happens is told on stderr while it happens and is kept in the run's journal; the answer is printed on stdout.
/// Files of the agent's environment that have changed are applied first. Ctrl-C stops the run and keeps what happened.
///
/// Where a worker (`stn serve`) has the same store open, the run is handed to it, with the values that its server files
/// ask for from this environment, and followed until it ends; where the worker goes away, the run goes on here.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    agent: String,
    /// What it is to do
    task: String,
    /// The environment of a name; an id needs none
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Ask this model instead of the agent's
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    model: Option<String>,
    /// Most model turns, 1 to 25, instead of the agent's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=25))]
    max_steps: Option<i64>,
    /// Longest time, e.g. 30s or 10m, instead of the agent's
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    /// Most it may spend, with its sub-agents: tokens=50000, usd=1.50, calls=20 or time=10m; several may be given
    #[arg(long = "limit", value_name = "LIMIT", value_parser = amount)]
    limits: Vec<(Measure, i64)>,
    /// Set a variable of prompt or servers for this run; may be given several times
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, Secret)>,
    /// Among queued runs, those with a higher number go first: -100 to 100
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-100..=100))]
    priority: i64,
    /// Leave changed files and servers alone: run with what is stored
    #[arg(long)]
    no_sync: bool,
    /// Put the run in the queue, print its id, and let a worker (`stn serve`) drive it
    #[arg(long, conflicts_with_all = ["tail", "local"])]
    detach: bool,
    #[command(flatten)]
    place: Where,
    /// Show the model's text on stderr while it arrives
    #[arg(long)]
    tail: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| match at {
                At::Here(station) => self.run_here(session, station).await,
                At::There(server) => self.run_there(session, server).await,
            })
            .await
    }

    async fn run_here(self, session: &Session<'_>, station: &Station) -> Result {
        let tell = if self.tail { Tell::Text } else { Tell::Events };
        let (agent, environment) = session.agent(station, &self.agent, self.env.as_ref()).await?;
        let new = NewRun {
            task: self.task,
            model: self.model,
            max_steps: self.max_steps,
            timeout: self.timeout,
            limits: caps(&self.limits),
            variables: self.variables.into_iter().collect(),
            priority: self.priority,
            ..NewRun::default()
        };
        if !self.no_sync {
            bring_up_to_date(session, station, &agent, &environment, &new.variables).await?;
        }
        let workers = self.place.workers(station).await?;
        if self.detach || !workers.is_empty() {
            let new = NewRun { driver: Driver::Worker, ..new };
            let run = station.start_run(&session.by, &agent, new).await?;
            return handed(session, station, &run, &workers, Handed::of(self.detach, tell)).await;
        }
        run_agent(session, station, &agent, new, tell).await
    }

    async fn run_there(self, session: &Session<'_>, server: &Server) -> Result {
        self.place.check_there()?;
        if self.no_sync {
            return Err(only_option("--no-sync", "a server applies files that have changed by itself").into());
        }
        if self.priority != 0 {
            return Err(only_option("--priority", "at a server, runs take their turn").into());
        }
        let limits = caps(&self.limits);
        let given = json!({
            "agent": self.agent,
            "environment": named(self.env.as_ref()),
            "task": self.task,
            "variables": given_variables(&self.variables),
            "model": self.model,
            "max_steps": self.max_steps,
            "timeout": self.timeout.map(given_time),
            "budget": given_amounts(|measure| limits.get(measure)),
        });
        let tell = if self.tail { Tell::Text } else { Tell::Events };
        let started: wire::StartedRun = server.ask("start_run", given).await?;
        remote::handed(session, server, &started.run, Handed::of(self.detach, tell)).await
    }
}

/// Values of variables as a server is told of them.
pub(crate) fn given_variables(variables: &[(String, Secret)]) -> Option<BTreeMap<&str, &str>> {
    let all = variables.iter().map(|(name, value)| (name.as_str(), value.expose()));
    (!variables.is_empty()).then(|| all.collect())
}

/// A time as a server is told of it.
pub(crate) fn given_time(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

/// Starts a run and attends to it until it has ended.
///
/// # Errors
/// The engine's.
pub(crate) async fn run_agent(
    session: &Session<'_>,
    station: &Station,
    agent: &AgentRef,
    new: NewRun,
    tell: Tell,
) -> Result {
    let run = station.start_run(&session.by, agent, new).await?;
    attend(session, station, run.id, Drive::New, tell).await
}

/// What becomes of a queued run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// Its id is printed.
    Left,
    /// It is followed to its end.
    Followed(Tell),
}

impl Handed {
    pub(crate) fn of(detach: bool, tell: Tell) -> Self {
        if detach { Self::Left } else { Self::Followed(tell) }
    }
}

/// Follows a run that is in the queue for `workers`, or says its id.
///
/// # Errors
/// The engine's.
pub(crate) async fn handed(
    session: &Session<'_>,
    station: &Station,
    run: &Run,
    workers: &[String],
    handed: Handed,
) -> Result {
    let id = run.id;
    if let Handed::Followed(tell) = handed {
        tell_handed(session, station, id, workers, tell);
        return attend(session, station, id, Drive::Handed(From::Beginning), tell).await;
    }
    station.wake_worker().await;
    let by = match workers.first() {
        Some(worker) => format!("worker {worker} drives it"),
        None => "`stn serve` drives what is queued".to_owned(),
    };
    let hint = format!("follow it with `stn runs follow {id}`; {by}");
    tell_left(session, &wire::Run::new(run, false), &hint)
}

/// Applies changed files, and lists servers that were never listed where the agent has use for them.
async fn bring_up_to_date(
    session: &Session<'_>,
    station: &Station,
    agent: &AgentRef,
    environment: &EnvironmentName,
    given: &BTreeMap<String, Secret>,
) -> Result<()> {
    let doing = format!("bringing environment `{environment}` up to date");
    let work = async {
        let problems = station.apply_changed_files(environment).await?;
        // Where it cannot be shown, starting the run says what is wrong.
        if let Ok(details) = station.show_agent(&session.by, agent).await {
            station.refresh_catalog_of(&session.by, &details.agent, given).await?;
        }
        Ok::<_, station_core::Error>(problems)
    };
    let problems = follow(session.out, station, Tell::Events, &doing, work).await?;
    session.tell_errors(&problems);
    Ok(())
}

pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    match duration_ms(text) {
        None => Err("write a time like 30s, 10m or 1h30m".to_owned()),
        Some(0) => Err("it must be longer than nothing".to_owned()),
        Some(ms) => Ok(Duration::from_millis(ms)),
    }
}

pub(crate) fn variable(text: &str) -> Result<(String, Secret), String> {
    match text.split_once('=') {
        Some((name, value)) if can_be_given(name.trim()) => Ok((name.trim().to_owned(), Secret::new(value))),
        // The value is a secret, and the name before it is not.
        Some((name, _)) => Err(format!("`{name}` cannot be the name of a variable: {NAME_HINT}")),
        None => Err("write NAME=VALUE".to_owned()),
    }
}
