//! `stn env list`

use crate::error::{Code, Result};
use crate::session::Session;
use station_core::Environment;
use station_engine::Station;
use station_server::wire;

/// List environments
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let environments = station.list_environments(&session.by).await?;
                if session.out.is_json() {
                    let rows: Vec<wire::Environment> =
                        environments.iter().map(wire::Environment::from).collect();
                    session.out.json(&wire::list("environments", &rows))?;
                    return Ok(Code::Done);
                }
                let rows = rows(session, station, &environments).await?;
                if rows.is_empty() {
                    session.out.hint("there are no environments yet: `stn init` makes `default`");
                }
                session.out.table(["ID", "NAME", "AGENTS", "SERVERS", "ORIGIN", "DESCRIPTION"], rows)?;
                for name in station.workspace_environments().unwrap_or_default() {
                    if environments.iter().all(|it| it.name != name) {
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
    station: &Station,
    environments: &[Environment],
) -> Result<Vec<[String; 6]>> {
    let agents = station.list_agents(&session.by, None).await?;
    let servers = station.list_servers(&session.by, None).await?;
    let row = |environment: &Environment| {
        let n_agents = agents.iter().filter(|agent| agent.environment == environment.id).count();
        let n_servers = servers.iter().filter(|server| server.environment.id == environment.id).count();
        [
            environment.id.to_string(),
            environment.name.to_string(),
            n_agents.to_string(),
            n_servers.to_string(),
            environment.origin.as_str().to_owned(),
            environment.description.clone(),
        ]
    };
    Ok(environments.iter().map(row).collect())
}
