//! `stn agent delete`

use crate::at::{At, named};
use crate::cmd::deleted;
use crate::error::Result;
use crate::named::environment_ref;
use crate::question::{Yes, confirm};
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::plural;
use station_engine::{AgentRef, EnvironmentRef, Station};
use station_server::wire;

/// Delete an agent and its file
///
/// Its runs are kept. An agent of the same name that is made later has the same id.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    agent: String,
    /// The environment of a name; an id needs none
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    #[command(flatten)]
    yes: Yes,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let gone = match at {
                    At::Here(station) => self.delete(session, station).await?,
                    At::There(server) => self.delete_there(session, server).await?,
                };
                deleted(session, &gone)
            })
            .await
    }

    async fn delete(&self, session: &Session<'_>, station: &Station) -> Result<wire::Deletion> {
        let (agent, _) = session.agent(station, &self.agent, self.env.as_ref()).await?;
        let plan = station.plan_agent_deletion(&session.by, &agent).await?;
        let mut lines = vec![would_go(&wire::Agent::new(&plan.agent, plan.environment.name.as_str()))];
        lines.extend(plan.file.iter().map(|file| format!("  its file {file} would go too")));
        if !plan.called_by.is_empty() {
            lines.push(format!("  named by {}, which would work without it", plan.called_by.join(", ")));
        }
        lines.push(format!("  {} would be kept.", plural(plan.runs, "run")));
        self.confirm(session, &lines, plan.agent.name.as_str()).await?;
        let gone = station.delete_agent(&session.by, &AgentRef::Id(plan.agent.id)).await?;
        Ok(wire::Deletion::from(&gone))
    }

    async fn delete_there(&self, session: &Session<'_>, server: &Server) -> Result<wire::Deletion> {
        let given = json!({ "agent": self.agent, "environment": named(self.env.as_ref()) });
        let wire::AgentDetails { agent, path, .. } = server.ask("show_agent", given).await?;
        let mut lines = vec![would_go(&agent)];
        lines.extend(path.map(|path| format!("  its file {path} would go too")));
        lines.push("  Its runs would be kept.".to_owned());
        self.confirm(session, &lines, &agent.name).await?;
        Ok(server.ask("delete_agent", json!({ "agent": agent.id })).await?)
    }

    async fn confirm(&self, session: &Session<'_>, lines: &[String], name: &str) -> Result<()> {
        confirm(session, lines, &format!("delete agent `{name}`?"), self.yes).await
    }
}

fn would_go(agent: &wire::Agent) -> String {
    format!("Agent {} `{}` of environment `{}` would go.", agent.id, agent.name, agent.environment)
}
