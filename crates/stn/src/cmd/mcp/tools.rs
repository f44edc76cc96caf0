//! `stn mcp tools`

use super::given::Given;
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::narrate::cut;
use crate::session::Session;
use station_core::Tool;
use station_engine::EnvironmentRef;
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
            .with(async |station| {
                let (server, environment) =
                    session.server_or_all(station, self.server.as_deref(), self.env.as_ref()).await?;
                self.given.bring(session, station, &environment, server.as_ref()).await?;
                let search = self.search.as_deref();
                let tools = station.list_tools(&session.by, &environment, server.as_ref(), search).await?;
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
