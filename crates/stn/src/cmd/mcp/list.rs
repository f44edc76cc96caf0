//! `stn mcp list`

use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::session::Session;
use station_engine::EnvironmentRef;
use station_server::wire;

/// List MCP servers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of this environment
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let environment = session.environment_typed(station, self.env.as_ref()).await?;
                let servers = station.list_servers(&session.by, environment.as_ref()).await?;
                let servers: Vec<wire::Server> = servers.iter().map(wire::Server::from).collect();
                if session.out.is_json() {
                    session.out.json(&wire::list("servers", &servers))?;
                    return Ok(Code::Done);
                }
                if servers.is_empty() {
                    session.out.hint("there are no servers: put server files into an environment's `mcp-servers/`, then `stn sync`");
                }
                let rows = servers.into_iter().map(|server| {
                    [
                        server.id.to_string(),
                        server.environment,
                        server.name,
                        format!("{}.json", server.config),
                        server.transport.to_owned(),
                        server.tools_count.to_string(),
                    ]
                });
                session.out.table(["ID", "ENVIRONMENT", "SERVER", "FILE", "TRANSPORT", "TOOLS"], rows.collect())?;
                Ok(Code::Done)
            })
            .await
    }
}
