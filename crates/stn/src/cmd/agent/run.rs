//! `stn agent run`

use super::find::environment_of;
use crate::attend::{Drive, attend};
use crate::error::{Code, Result};
use crate::follow::{Tell, follow};
use crate::session::{Session, environment_name};
use serde_json::json;
use station_core::file::config::duration_ms;
use station_core::{EnvironmentName, Secret};
use station_engine::{AgentRef, Driver, NewRun, Station};
use station_server::wire;
use std::time::Duration;

/// Run an agent and print its answer
///
/// What happens is told on stderr while it happens and is kept in the run's journal; the answer is printed on stdout.
/// Files of the agent's environment that have changed are applied first. Ctrl-C stops the run and keeps what happened.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    agent: String,
    /// What it is to do
    task: String,
    /// The environment of a name; an id needs none
    #[arg(long, value_name = "NAME", value_parser = environment_name)]
    env: Option<EnvironmentName>,
    /// Ask this model instead of the agent's
    #[arg(long)]
    model: Option<String>,
    /// Most model turns, 1 to 25, instead of the agent's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=25))]
    max_steps: Option<i64>,
    /// Longest time, e.g. 30s or 10m, instead of the agent's
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    /// Set a variable of prompt or servers for this run; may be given several times
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, Secret)>,
    /// Leave changed files and servers alone: run with what is stored
    #[arg(long)]
    no_sync: bool,
    /// Put the run in the queue, print its id, and let a worker (`stn serve`) drive it
    #[arg(long, conflicts_with = "tail")]
    detach: bool,
    /// Show the model's text on stderr while it arrives
    #[arg(long)]
    tail: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let agent = AgentRef::parse(&self.agent, self.env.clone());
        let new = NewRun {
            task: self.task,
            model: self.model,
            max_steps: self.max_steps,
            timeout: self.timeout,
            variables: self.variables.into_iter().collect(),
            driver: if self.detach { Driver::Worker } else { Driver::Caller },
        };
        let tell = if self.tail { Tell::Text } else { Tell::Events };
        session
            .with(async |station| {
                if !self.no_sync {
                    let environment = environment_of(session, station, &agent, self.env.as_ref()).await?;
                    bring_up_to_date(session, station, &agent, &environment).await?;
                } else if matches!(agent, AgentRef::Id(_)) {
                    environment_of(session, station, &agent, self.env.as_ref()).await?;
                }
                if new.driver == Driver::Worker {
                    return queue(session, station, &agent, new).await;
                }
                run_agent(session, station, &agent, new, tell).await
            })
            .await
    }
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

/// Puts a run in the queue and says its id.
async fn queue(session: &Session<'_>, station: &Station, agent: &AgentRef, new: NewRun) -> Result {
    let run = station.start_run(&session.by, agent, new).await?;
    if session.out.is_json() {
        session.out.json(&json!({ "run": wire::Run::new(&run, false) }))?;
        return Ok(Code::Done);
    }
    session.out.answer(&run.id.to_string())?;
    session
        .out
        .hint(&format!("see it with `stn runs inspect {}`; `stn serve` drives what is queued", run.id));
    Ok(Code::Done)
}

/// Applies changed files, and lists servers that were never listed where the agent has use for them.
async fn bring_up_to_date(
    session: &Session<'_>,
    station: &Station,
    agent: &AgentRef,
    environment: &EnvironmentName,
) -> Result<()> {
    let doing = format!("bringing environment `{environment}` up to date");
    let work = async {
        let problems = station.apply_changed_files(environment).await?;
        let has_use = match station.show_agent(&session.by, agent).await {
            Ok(details) => !details.tools.is_empty() || !details.prompt.agents.is_empty(),
            // Starting the run says what is wrong.
            Err(_) => false,
        };
        if has_use {
            station.refresh_catalog(environment).await?;
        }
        Ok::<_, station_core::Error>(problems)
    };
    let problems = follow(session.out, station, Tell::Events, &doing, work).await?;
    session.tell_errors(&problems);
    Ok(())
}

fn timeout(text: &str) -> Result<Duration, String> {
    match duration_ms(text) {
        None => Err("write a time like 30s, 10m or 1h30m".to_owned()),
        Some(0) => Err("it must be longer than nothing".to_owned()),
        Some(ms) => Ok(Duration::from_millis(ms)),
    }
}

fn variable(text: &str) -> Result<(String, Secret), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), Secret::new(value))),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
