//! `stn mcp tools`

use super::given::Given;
use crate::at::{At, named_or_default};
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::narrate::cut;
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_engine::{EnvironmentRef, Station};
use station_server::wire;

/// List the tools of an environment's servers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tools of this server, by id or name
    server: Option<String>,
    /// The environment [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Only tools that fit these words, best first
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    #[command(flatten)]
    given: Given,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let (environment, tools) = match at {
                    At::Here(station) => self.list(session, station).await?,
                    At::There(server) => self.list_there(server).await?,
                };
                if session.out.is_json() {
                    session.out.json(&wire::list("tools", &tools))?;
                    return Ok(Code::Done);
                }
                if tools.is_empty() {
                    session.out.hint(&format!(
                        "no tool is known here; `stn mcp status --env {environment}` says why"
                    ));
                }
                session
                    .out
                    .table(["SERVER", "TOOL", "EFFECT", "DESCRIPTION"], tools.iter().map(row).collect())?;
                Ok(Code::Done)
            })
            .await
    }

    async fn list(&self, session: &Session<'_>, station: &Station) -> Result<(String, Vec<wire::Tool>)> {
        let (server, environment) =
            session.server_or_all(station, self.server.as_deref(), self.env.as_ref()).await?;
        self.given.bring(session, station, &environment, server.as_ref()).await?;
        let search = self.search.as_deref();
        let tools = station.list_tools(&session.by, &environment, server.as_ref(), search).await?;
        Ok((environment.to_string(), tools.iter().map(wire::Tool::from).collect()))
    }

    async fn list_there(&self, server: &Server) -> Result<(String, Vec<wire::Tool>)> {
        self.given.check_there()?;
        let environment = named_or_default(self.env.as_ref());
        let given = json!({ "environment": environment, "server": self.server, "search": self.search });
        let mut tools: Vec<wire::Tool> = server.all("list_tools", given).await?;
        if self.search.is_none() {
            // As their servers list them, and not by name.
            tools.sort_by(|one, other| (&one.server, one.id).cmp(&(&other.server, other.id)));
        }
        Ok((environment, tools))
    }
}

fn row(tool: &wire::Tool) -> [String; 4] {
    [tool.server.clone(), tool.name.clone(), effect(tool).to_owned(), cut(&tool.description, 70)]
}

/// What the server says of the tool's effects.
fn effect(tool: &wire::Tool) -> &'static str {
    match (tool.read_only, tool.destructive, tool.idempotent) {
        (Some(true), _, _) => "reads",
        (_, Some(true), _) => "may destroy",
        (_, _, Some(true)) => "repeatable",
        (Some(false), _, _) => "writes",
        (None, _, _) => "unknown",
    }
}
