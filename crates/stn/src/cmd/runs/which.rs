//! Which runs a command is about.

use crate::at::{At, named};
use crate::error::Result;
use crate::named::{environment_ref, none_of};
use crate::session::Session;
use crate::when::{When, when};
use serde_json::{Value, json};
use station_core::run::Status;
use station_core::{AgentId, Micros, RunId};
use station_engine::{Clock, EnvironmentRef, Run, RunFilter, Station};
use station_server::wire;

/// What the runs have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Only runs of this agent, by id or name
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only runs in this environment; also the environment of the agent's name
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Only runs with this status: queued, running, waiting, completed, failed, cancelled or timed_out;
    /// interrupted: running, as far as is recorded, while its process is gone
    #[arg(long, value_parser = status)]
    status: Option<Wanted>,
    /// Only runs that have not ended: each says what it waits on
    #[arg(long, conflicts_with = "status")]
    waiting: bool,
    /// Only runs queued at this time or later: 2h, 7d (ago), 2026-11-26 or 2026-11-26T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// Only runs queued before this time, in the same forms
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
}

/// A status as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Recorded(Status),
    Interrupted,
}

/// What is meant at the moment.
#[derive(Debug)]
pub(super) struct Meant {
    agent: Option<AgentId>,
    since: Option<Micros>,
    until: Option<Micros>,
}

/// Runs that are recorded as running, looked through for those whose process is gone.
const RUNNING_MAX: u32 = 1_000;

impl Which {
    /// What this means at the moment.
    ///
    /// # Errors
    /// `NotFound` for an agent or environment that does not exist; `Conflict` where a name is of several environments.
    pub(super) async fn meant(&self, session: &Session<'_>, at: At<'_>) -> Result<Meant> {
        let agent = match &self.agent {
            None => None,
            Some(text) => Some(at.agent_id(session, text, self.env.as_ref()).await?),
        };
        let now = Clock::System.now();
        let time = |when: &Option<When>| when.as_ref().map(|when| when.meant(now));
        Ok(Meant { agent, since: time(&self.since), until: time(&self.until) })
    }

    /// The newest `limit` of these runs that are older than `before`.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment; the Station's.
    pub(super) async fn page(
        &self,
        session: &Session<'_>,
        at: At<'_>,
        meant: &Meant,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<wire::Run>> {
        // Whose process is gone no filter of the store can tell.
        let is_interrupted = self.status == Some(Wanted::Interrupted);
        let most = if is_interrupted { RUNNING_MAX } else { limit };
        let mut runs = match at {
            At::Here(station) => self.page_here(session, station, meant, before, most).await?,
            At::There(server) => {
                let given = self.given(meant, before);
                server.list("list_runs", given, most).await?
            }
        };
        if is_interrupted {
            runs.retain(wire::Run::is_interrupted);
            runs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(runs)
    }

    async fn page_here(
        &self,
        session: &Session<'_>,
        station: &Station,
        meant: &Meant,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<wire::Run>> {
        let environment = match &self.env {
            None => None,
            Some(of) => Some(station.environment(&session.by, of).await?.id),
        };
        let filter = RunFilter {
            agent: meant.agent,
            environment,
            status: self.recorded(),
            open: self.waiting,
            before,
            since: meant.since,
            until: meant.until,
            seen_by: None,
        };
        let runs = station.list_runs(&session.by, &filter, limit).await?;
        let budgets = station.run_budgets(&runs.iter().map(|run| run.id).collect::<Vec<_>>()).await?;
        let told =
            |run: &Run| wire::Run::new(run, station.is_interrupted(run)).with_budget(budgets.get(&run.id));
        Ok(runs.iter().map(told).collect())
    }

    fn given(&self, meant: &Meant, before: Option<RunId>) -> Value {
        json!({
            "agent": meant.agent.map(|id| id.0),
            "environment": named(self.env.as_ref()),
            "status": self.recorded().map(Status::as_str),
            "open": self.waiting.then_some(true),
            "cursor": before.map(|id| id.to_string()),
            "since": meant.since.map(|at| at.to_string()),
            "until": meant.until.map(|at| at.to_string()),
        })
    }

    /// The status that is looked for in the store.
    fn recorded(&self) -> Option<Status> {
        self.status.map(|wanted| match wanted {
            Wanted::Recorded(status) => status,
            Wanted::Interrupted => Status::Running,
        })
    }
}

fn status(word: &str) -> Result<Wanted, String> {
    if word == "interrupted" {
        return Ok(Wanted::Interrupted);
    }
    let words = || Status::ALL.iter().map(|status| status.as_str()).chain(["interrupted"]).collect();
    Status::from_word(word).map(Wanted::Recorded).ok_or_else(|| none_of(word, words()))
}
