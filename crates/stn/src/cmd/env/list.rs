//! `stn env list`

use crate::at::At;
use crate::error::{Code, Result};
use crate::session::Session;
use station_server::wire;

/// List environments
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let environments = at.list_environments(&session.by).await?;
                if session.out.is_json() {
                    session.out.json(&wire::list("environments", &environments))?;
                    return Ok(Code::Done);
                }
                let rows = rows(session, at, &environments).await?;
                if rows.is_empty() {
                    session.out.hint("there are no environments yet: `stn init` makes `default`");
                }
                session.out.table(["ID", "NAME", "AGENTS", "SERVERS", "ORIGIN", "DESCRIPTION"], rows)?;
                let folders = match at {
                    At::Here(_) => session.settings.workspace().environment_names()?,
                    At::There(_) => Vec::new(),
                };
                for name in folders {
                    if environments.iter().all(|it| it.name != name.as_str()) {
                        session.out.hint(&format!(
                            "`{name}` has a folder that was not applied yet: `stn sync {name}`"
                        ));
                    }
                }
                Ok(Code::Done)
            })
            .await
    }
}

async fn rows(
    session: &Session<'_>,
    at: At<'_>,
    environments: &[wire::Environment],
) -> Result<Vec<[String; 6]>> {
    let agents = at.list_agents(session, None).await?;
    let servers = at.list_servers(session, None).await?;
    let row = |environment: &wire::Environment| {
        let n_agents = agents.iter().filter(|agent| agent.environment_id == environment.id).count();
        let n_servers = servers.iter().filter(|server| server.environment_id == environment.id).count();
        [
            environment.id.to_string(),
            environment.name.clone(),
            n_agents.to_string(),
            n_servers.to_string(),
            environment.origin.to_string(),
            environment.description.clone(),
        ]
    };
    Ok(environments.iter().map(row).collect())
}
