//! `stn agent delete`

use crate::cmd::deleted;
use crate::error::Result;
use crate::named::environment_ref;
use crate::question::{Yes, confirm};
use crate::session::Session;
use station_core::plural;
use station_engine::{AgentDeletion, AgentRef, EnvironmentRef};
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
            .with(async |station| {
                let (agent, _) = session.agent(station, &self.agent, self.env.as_ref()).await?;
                let plan = station.plan_agent_deletion(&session.by, &agent).await?;
                let name = &plan.agent.name;
                confirm(session, &told(&plan), &format!("delete agent `{name}`?"), self.yes).await?;
                let gone = station.delete_agent(&session.by, &AgentRef::Id(plan.agent.id)).await?;
                deleted(session, &wire::Deletion::from(&gone))
            })
            .await
    }
}

fn told(plan: &AgentDeletion) -> Vec<String> {
    let (agent, environment) = (&plan.agent, &plan.environment.name);
    let mut lines =
        vec![format!("Agent {} `{}` of environment `{environment}` would go.", agent.id, agent.name)];
    lines.extend(plan.file.iter().map(|file| format!("  its file {file} would go too")));
    if !plan.called_by.is_empty() {
        lines.push(format!("  named by {}, which would work without it", plan.called_by.join(", ")));
    }
    lines.push(format!("  {} would be kept.", plural(plan.runs, "run")));
    lines
}
