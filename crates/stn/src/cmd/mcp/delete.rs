//! `stn mcp delete`

use crate::at::{At, named};
use crate::cmd::deleted;
use crate::error::Result;
use crate::named::environment_ref;
use crate::question::{Yes, confirm};
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::plural;
use station_engine::{Defined, EnvironmentRef, ServerDeletion, ServerRef};
use station_server::wire;

/// Delete a server: the one of exactly this name
///
/// Its entry is taken out of its file, whose other lines stay byte for byte; a file that defines nothing else goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    server: String,
    /// The environment of a name [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    #[command(flatten)]
    yes: Yes,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let station = match at {
                    At::Here(station) => station,
                    At::There(server) => return self.delete_there(session, server).await,
                };
                let (server, _) = session.server(station, &self.server, self.env.as_ref()).await?;
                let plan = station.plan_server_deletion(&session.by, &server).await?;
                let name = &plan.server.name;
                confirm(session, &told(&plan), &format!("delete server `{name}`?"), self.yes).await?;
                let gone = station.delete_server(&session.by, &ServerRef::Id(plan.server.id)).await?;
                deleted(session, &wire::Deletion::from(&gone))
            })
            .await
    }

    async fn delete_there(&self, session: &Session<'_>, at: &Server) -> Result {
        let given = json!({ "server": self.server, "environment": named(self.env.as_ref()) });
        let view: wire::ServerView = at.ask("show_server", given).await?;
        let wire::Server { id, name, .. } = &view.server;
        let mut lines = vec![would_go(*id, name, &view.server.environment, view.tools.len())];
        lines.push(format!("  it would be taken out of {}", view.path));
        lines.extend(used(&view.granted_to));
        confirm(session, &lines, &format!("delete server `{name}`?"), self.yes).await?;
        deleted(session, &at.ask("delete_server", json!({ "server": id.to_string() })).await?)
    }
}

fn would_go(id: i64, name: &str, environment: &str, tools: usize) -> String {
    format!("Server {id} `{name}` of environment `{environment}` would go with {}.", plural(tools, "tool"))
}

fn used(by: &[String]) -> Option<String> {
    (!by.is_empty())
        .then(|| format!("  used by {}, whose grants would have nothing behind them", by.join(", ")))
}

fn told(plan: &ServerDeletion) -> Vec<String> {
    let (server, environment) = (&plan.server, &plan.environment.name);
    let mut lines = vec![would_go(server.id.0, &server.name, environment.as_str(), plan.tools)];
    lines.push(match &plan.defined {
        Defined::InStore => "  it lives in the store alone, no file would change".to_owned(),
        Defined::Alone(path) => format!("  its file {path} would go too"),
        Defined::Among(path) => format!("  {path} would stay with its other servers"),
    });
    if let [other, ..] = &plan.also_in[..] {
        lines.push(format!(
            "  {other} defines a `{}` too: the next sync puts that one in its place, as server {}",
            server.name, server.id
        ));
    }
    lines.extend(used(&plan.granted_to));
    lines
}
