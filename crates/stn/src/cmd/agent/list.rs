//! `stn agent list`

use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::narrate::cut;
use crate::session::Session;
use station_engine::EnvironmentRef;
use station_server::wire;

/// List agents
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of this environment
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let agents = at.list_agents(session, self.env.as_ref()).await?;
                show(session, &agents)
            })
            .await
    }
}

fn show(session: &Session<'_>, agents: &[wire::Agent]) -> Result {
    if session.out.is_json() {
        session.out.json(&wire::list("agents", agents))?;
        return Ok(Code::Done);
    }
    if agents.is_empty() {
        session.out.hint(
            "there are no agents yet: `stn agent create NAME DESCRIPTION`, or `stn demo` for a first look",
        );
    }
    let rows = agents.iter().map(|agent| {
        [
            agent.id.to_string(),
            agent.environment.clone(),
            if agent.enabled { agent.name.clone() } else { format!("{} (disabled)", agent.name) },
            agent.model.clone().unwrap_or_default(),
            cut(&agent.description, 60),
        ]
    });
    session.out.table(["ID", "ENVIRONMENT", "NAME", "MODEL", "DESCRIPTION"], rows.collect())?;
    Ok(Code::Done)
}
