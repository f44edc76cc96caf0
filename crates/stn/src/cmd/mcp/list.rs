//! `stn mcp list`

use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::session::Session;
use station_engine::EnvironmentRef;
use station_server::wire::{self, ServerState};

/// List MCP servers, and how each was when it was asked last
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
                let servers = at.list_servers(session, self.env.as_ref()).await?;
                // `stn mcp status` tells how they are kept.
                let servers: Vec<wire::Server> = servers.into_iter().map(|server| server.kept(None)).collect();
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
                        server.environment.clone(),
                        server.name.clone(),
                        server.tools_count.to_string(),
                        server.transport.to_string(),
                        format!("{}.json", server.config),
                        state(&server),
                    ]
                });
                let header = ["ID", "ENVIRONMENT", "SERVER", "TOOLS", "TRANSPORT", "FILE", "STATE"];
                session.out.table(header, rows.collect())?;
                Ok(Code::Done)
            })
            .await
    }
}

/// How a server was when it was asked last, with the reason where that is bad.
fn state(server: &wire::Server) -> String {
    match server.state {
        ServerState::Ok => "ok".to_owned(),
        ServerState::NeverListed => "never listed".to_owned(),
        ServerState::Failed => {
            let since = server.down_since.as_deref().map(|at| format!(" since {at}")).unwrap_or_default();
            format!("failed{since}: {}", server.problem.as_deref().unwrap_or_default())
        }
    }
}
