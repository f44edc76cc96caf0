//! `stn mcp tools`

use crate::error::{Code, Result};
use crate::narrate::cut;
use crate::session::{Session, environment, environment_name};
use station_core::{EnvironmentName, Tool};
use station_server::wire;

/// List the tools of an environment's servers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tools of this server
    server: Option<String>,
    /// The environment [default: default]
    #[arg(long, value_name = "NAME", value_parser = environment_name)]
    env: Option<EnvironmentName>,
    /// Only tools that fit these words, best first
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let environment = environment(self.env.as_ref());
        session
            .with(async |station| {
                let (server, search) = (self.server.as_deref(), self.search.as_deref());
                let tools = station.list_tools(&session.by, &environment, server, search).await?;
                if session.out.is_json() {
                    let tools: Vec<wire::Tool> = tools.iter().map(wire::Tool::from).collect();
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
}

fn row(tool: &Tool) -> [String; 4] {
    [tool.server_name.clone(), tool.name.clone(), effect(tool).to_owned(), cut(&tool.description, 70)]
}

/// What the server says of the tool's effects.
fn effect(tool: &Tool) -> &'static str {
    let said = &tool.annotations;
    match (said.read_only, said.destructive, said.idempotent) {
        (Some(true), _, _) => "reads",
        (_, Some(true), _) => "may destroy",
        (_, _, Some(true)) => "repeatable",
        (Some(false), _, _) => "writes",
        (None, _, _) => "unknown",
    }
}
