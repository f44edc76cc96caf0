//! `stn mcp delete`

use crate::cmd::deleted;
use crate::error::Result;
use crate::named::environment_ref;
use crate::question::{Yes, confirm};
use crate::session::Session;
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
            .with(async |station| {
                let (server, _) = session.server(station, &self.server, self.env.as_ref()).await?;
                let plan = station.plan_server_deletion(&session.by, &server).await?;
                let name = &plan.server.name;
                confirm(session, &told(&plan), &format!("delete server `{name}`?"), self.yes).await?;
                let gone = station.delete_server(&session.by, &ServerRef::Id(plan.server.id)).await?;
                deleted(session, &wire::Deletion::from(&gone))
            })
            .await
    }
}

fn told(plan: &ServerDeletion) -> Vec<String> {
    let (server, environment) = (&plan.server, &plan.environment.name);
    let tools = plural(plan.tools, "tool");
    let mut lines = vec![format!(
        "Server {} `{}` of environment `{environment}` would go with {tools}.",
        server.id, server.name
    )];
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
    if !plan.granted_to.is_empty() {
        lines.push(format!(
            "  used by {}, whose grants would have nothing behind them",
            plan.granted_to.join(", ")
        ));
    }
    lines
}
