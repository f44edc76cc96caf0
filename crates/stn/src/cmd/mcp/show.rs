//! `stn mcp show`

use crate::at::{At, named};
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::{Tone, shown};
use crate::session::Session;
use serde_json::json;
use station_engine::EnvironmentRef;
use station_server::wire;

/// Show one server: its file, its settings, its variables, its tools, and who may use them
///
/// Its command line and its headers are not shown, because they may hold secrets: they are in its file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    server: String,
    /// The environment of a name [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let view = match at {
                    At::Here(station) => {
                        let (server, _) = session.server(station, &self.server, self.env.as_ref()).await?;
                        wire::ServerView::from(&station.show_server(&session.by, &server).await?)
                    }
                    At::There(server) => {
                        let given = json!({ "server": self.server, "environment": named(self.env.as_ref()) });
                        server.ask("show_server", given).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&view)?;
                } else {
                    session.out.lines(&lines(&view))?;
                }
                Ok(Code::Done)
            })
            .await
    }
}

fn lines(view: &wire::ServerView) -> Vec<(Tone, String)> {
    let server = &view.server;
    let head = format!("Server {} `{}` of environment `{}`", server.id, server.name, server.environment);
    let mut lines = vec![(Tone::Plain, head)];
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push((Tone::Plain, format!("  {name:<12} {value}")));
        }
    };
    row("file", view.path.clone());
    row("transport", server.transport.to_string());
    row("state", server.state.as_str().replace('_', " "));
    row("problem", shown(server.problem.as_deref().unwrap_or_default()));
    row("listed", server.discovered_at.clone().unwrap_or_default());
    row("isolation", view.isolation.to_string());
    row("time limit", view.timeout_ms.map(|ms| format!("{} s", ms / 1_000)).unwrap_or_default());
    row("at a time", view.concurrency.map(|n| n.to_string()).unwrap_or_default());
    let agents = view.allow_agents.as_ref().map(|agents| agents.join(", "));
    row(
        "for agents",
        agents.map(|it| if it.is_empty() { "none".to_owned() } else { it }).unwrap_or_default(),
    );
    let roles = view.allow_roles.as_ref().map(|roles| roles.join(", "));
    row("for roles", roles.map(|it| if it.is_empty() { "none".to_owned() } else { it }).unwrap_or_default());
    let variables = view.variables.iter().map(|it| match it.has_value {
        true => it.name.clone(),
        false => format!("{} (no value)", it.name),
    });
    row("variables", variables.collect::<Vec<_>>().join(", "));
    row("granted to", view.granted_to.join(", "));
    row("tools", view.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>().join(", "));
    lines
}
