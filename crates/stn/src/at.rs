//! Where a command does what it says: with the Station of this machine, or with that of a server.
//!
//! Both sides end in the same shape of `wire`, so that whatever is shown of it is shown by the same lines. To make a command work at a server:
//! `Session::at` in place of `Session::with`, and the operation's name on the other side.

use crate::error::Result;
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::{AgentId, Caller, Error, RunId, near};
use station_engine::{AgentRef, EnvironmentRef, Run, Station};
use station_server::wire;

/// A Station that does what it is told.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    /// That of this machine.
    Here(&'a Station),
    /// That of a server.
    There(&'a Server),
}

impl At<'_> {
    /// Run `id` with what happened in it.
    ///
    /// # Errors
    /// `NotFound`; the Station's.
    pub(crate) async fn show_run(self, by: &Caller, id: RunId) -> Result<wire::RunDetails> {
        match self {
            Self::Here(station) => {
                let details = station.show_run(by, id).await?;
                Ok(wire::RunDetails::new(&details, |run| station.is_interrupted(run)))
            }
            Self::There(server) => Ok(server.ask("show_run", json!({ "run": id.0 })).await?),
        }
    }

    /// Runs with what happened in them, for a copy elsewhere.
    ///
    /// # Errors
    /// As [`At::show_run`].
    pub(crate) async fn export_runs(self, by: &Caller, ids: &[RunId]) -> Result<Vec<wire::RunDetails>> {
        match self {
            Self::Here(station) => {
                let runs = station.export_runs(by, ids).await?;
                let is_interrupted = |run: &Run| station.is_interrupted(run);
                Ok(runs.iter().map(|details| wire::RunDetails::new(details, is_interrupted)).collect())
            }
            Self::There(server) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                Ok(server.page("export_runs", json!({ "runs": ids })).await?.0)
            }
        }
    }

    /// All environments.
    ///
    /// # Errors
    /// The Station's.
    pub(crate) async fn list_environments(self, by: &Caller) -> Result<Vec<wire::Environment>> {
        match self {
            Self::Here(station) => {
                let environments = station.list_environments(by).await?;
                Ok(environments.iter().map(wire::Environment::from).collect())
            }
            Self::There(server) => Ok(server.all("list_environments", json!({})).await?),
        }
    }

    /// The servers of an environment, or of all.
    ///
    /// # Errors
    /// As [`At::list_agents`].
    pub(crate) async fn list_servers(
        self,
        session: &Session<'_>,
        typed: Option<&EnvironmentRef>,
    ) -> Result<Vec<wire::Server>> {
        match self {
            Self::Here(station) => {
                let environment = session.environment_typed(station, typed).await?;
                let servers = station.list_servers(&session.by, environment.as_ref()).await?;
                Ok(servers.iter().map(wire::Server::from).collect())
            }
            Self::There(server) => {
                let given = json!({ "environment": named(typed) });
                Ok(server.all("list_servers", given).await?)
            }
        }
    }

    /// The agents of an environment, or of all.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment; the Station's.
    pub(crate) async fn list_agents(
        self,
        session: &Session<'_>,
        typed: Option<&EnvironmentRef>,
    ) -> Result<Vec<wire::Agent>> {
        match self {
            Self::Here(station) => {
                let environment = session.environment_typed(station, typed).await?;
                let agents = station.list_agents(&session.by, environment.as_ref()).await?;
                let environments = station.list_environments_with_agents(&session.by).await?;
                Ok(wire::Agent::all(&agents, &environments))
            }
            Self::There(server) => {
                let given = json!({ "environment": named(typed) });
                Ok(server.all("list_agents", given).await?)
            }
        }
    }

    /// The agent that `text` names for a filter: by its id, or by its name in `environment`, or in all of them.
    ///
    /// # Errors
    /// `NotFound` for an agent or environment that does not exist; `Conflict` where a name is of several environments.
    pub(crate) async fn agent_id(
        self,
        session: &Session<'_>,
        text: &str,
        environment: Option<&EnvironmentRef>,
    ) -> Result<AgentId> {
        let name = match AgentRef::parse(text, None) {
            AgentRef::Id(id) => return Ok(id),
            AgentRef::Name { name, .. } => name,
        };
        let agents = self.list_agents(session, environment).await?;
        let found: Vec<&wire::Agent> = agents.iter().filter(|agent| agent.name == name).collect();
        match found.as_slice() {
            [agent] => Ok(AgentId(agent.id)),
            [_, _, ..] => {
                let candidates = found.iter().map(|agent| format!("{} in `{}`", agent.id, agent.environment));
                let candidates = candidates.collect::<Vec<_>>().join(", ");
                Err(Error::conflict(format!("several environments have an agent `{name}`: {candidates}"))
                    .with_hint("say which with `--env`, or give its number")
                    .into())
            }
            [] => {
                let hint = near::hint(&name, agents.iter().map(|agent| agent.name.as_str()));
                let hint = hint.unwrap_or_else(|| "`stn agent list` shows them".to_owned());
                Err(Error::not_found(format!("agent `{name}` does not exist")).with_hint(hint).into())
            }
        }
    }
}

/// An environment as a server is told of it where one must be told: the default one where none was typed.
pub(crate) fn named_or_default(typed: Option<&EnvironmentRef>) -> String {
    typed.cloned().unwrap_or_default().to_string()
}

/// An environment as a server is told of it.
pub(crate) fn named(typed: Option<&EnvironmentRef>) -> Option<String> {
    typed.map(ToString::to_string)
}
