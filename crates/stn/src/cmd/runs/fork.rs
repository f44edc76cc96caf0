//! `stn runs fork`

use crate::at::At;
use crate::attend::{Drive, Where, attend};
use crate::cmd::agent::{Handed, given_time, given_variables, handed, timeout, variable};
use crate::error::Result;
use crate::follow::Tell;
use crate::remote::{self, Server};
use crate::session::Session;
use serde_json::json;
use station_core::{Error, RunId, Secret};
use station_engine::{Driver, Fork, Station};
use station_server::wire;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Start a run that begins with the first steps of another one
///
/// What the other run called before is history: the model sees it, and nothing of it is sent again. From there on the
/// fork goes its own way, with another model, prompt or task where one is named, and with rights as they are now. The
/// other run is not changed; it may be at work, have ended in any way, or be a fork itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, and after which step, e.g. 7@3; 7@0 is before its first step, 7 alone after the last complete one
    #[arg(value_name = "RUN[@STEP]", value_parser = place)]
    place: Place,
    /// Ask this model instead of the run's
    #[arg(long)]
    model: Option<String>,
    /// Use this prompt instead of the run's: an agent's file, or its body alone; the run's tools stay
    #[arg(long, value_name = "FILE")]
    prompt: Option<PathBuf>,
    /// Give it this task instead of the run's
    #[arg(long)]
    task: Option<String>,
    /// Most model turns, 1 to 25, those of the history included
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=25))]
    max_steps: Option<i64>,
    /// Longest time, e.g. 30s or 10m
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    /// Set a variable instead of the run's; may be given several times
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, Secret)>,
    /// Put the fork in the queue, print its id, and let a worker (`stn serve`) drive it
    #[arg(long, conflicts_with_all = ["tail", "local"])]
    detach: bool,
    #[command(flatten)]
    driven: Where,
    /// Show the model's text on stderr while it arrives
    #[arg(long)]
    tail: bool,
}

/// A run, and a step of it.
#[derive(Clone, Copy, Debug)]
struct Place {
    run: RunId,
    step: Option<u32>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let prompt = self.prompt.as_deref().map(read).transpose()?;
        session
            .at(async |at| match at {
                At::Here(station) => self.fork_here(session, station, prompt).await,
                At::There(server) => self.fork_there(session, server, prompt).await,
            })
            .await
    }

    async fn fork_here(
        self,
        session: &Session<'_>,
        station: &Station,
        prompt: Option<(String, String)>,
    ) -> Result {
        let tell = self.tell();
        let fork = Fork {
            step: self.place.step,
            model: self.model,
            prompt,
            task: self.task,
            max_steps: self.max_steps,
            timeout: self.timeout,
            variables: self.variables.into_iter().collect(),
            ..Fork::default()
        };
        let workers = self.driven.workers(station).await?;
        if self.detach || !workers.is_empty() {
            let fork = Fork { driver: Driver::Worker, ..fork };
            let run = station.fork_run(&session.by, self.place.run, fork).await?;
            return handed(session, station, &run, &workers, Handed::of(self.detach, tell)).await;
        }
        let run = station.fork_run(&session.by, self.place.run, fork).await?;
        attend(session, station, run.id, Drive::Fork, tell).await
    }

    async fn fork_there(
        self,
        session: &Session<'_>,
        server: &Server,
        prompt: Option<(String, String)>,
    ) -> Result {
        self.driven.check_there()?;
        let given = json!({
            "run": self.place.run.0,
            "step": self.place.step,
            "task": self.task,
            "model": self.model,
            "prompt": prompt.map(|(text, _)| text),
            "max_steps": self.max_steps,
            "timeout": self.timeout.map(given_time),
            "variables": given_variables(&self.variables),
        });
        let run: wire::Run = server.ask("fork_run", given).await?;
        remote::handed(session, server, &run, Handed::of(self.detach, self.tell())).await
    }

    fn tell(&self) -> Tell {
        if self.tail { Tell::Text } else { Tell::Events }
    }
}

fn read(path: &Path) -> Result<(String, String)> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::invalid(format!("{shown} cannot be read: {}", cause.kind())).with_cause(cause)
    })?;
    Ok((text, shown))
}

fn place(text: &str) -> Result<Place, String> {
    let wrong = |_| "write a run's id, or RUN@STEP, e.g. 7@3".to_owned();
    let (run, step) = match text.split_once('@') {
        None => (text, None),
        Some((run, step)) => (run, Some(step.parse().map_err(wrong)?)),
    };
    Ok(Place { run: run.parse().map_err(wrong)?, step })
}
