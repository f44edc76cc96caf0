//! `stn mcp sync`

use crate::at::At;
use crate::error::{Code, Result};
use crate::follow::{Tell, alive, follow};
use crate::named::environment_ref;
use crate::narrate::duration;
use crate::out::Tone;
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::plural;
use station_engine::EnvironmentRef;
use station_server::wire;

/// Connect to servers and list their tools anew
///
/// Changed files of the environment are applied first. Exits 4 where a server could not be asked; what is known of its
/// tools stays.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this server, by id or name
    server: Option<String>,
    /// The environment [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let station = match at {
                    At::Here(station) => station,
                    At::There(server) => return self.sync_there(session, server).await,
                };
                let (server, environment) =
                    session.server_or_all(station, self.server.as_deref(), self.env.as_ref()).await?;
                let problems = station.apply_changed_files(&environment).await?;
                session.tell_errors(&problems);
                let doing = format!("asking the servers of `{environment}` for their tools");
                let asked = async {
                    match &server {
                        Some(server) => station.discover_server(&session.by, server).await,
                        None => station.discover_tools(&session.by, &environment).await,
                    }
                };
                let discovery = follow(session.out, station, Tell::Runs, &doing, asked).await?;
                self.report(session, environment.as_str(), &wire::Discovery::from(&discovery))
            })
            .await
    }

    async fn sync_there(&self, session: &Session<'_>, at: &Server) -> Result {
        let of = self.env.clone().unwrap_or_default();
        let environment = of.to_string();
        let servers = match &self.server {
            Some(server) => vec![server.clone()],
            None => {
                let all = At::There(at).list_servers(session, Some(&of)).await?;
                all.into_iter().map(|server| server.name).collect()
            }
        };
        let mut discovery = wire::Discovery { servers: Vec::new(), warnings: Vec::new() };
        for server in servers {
            let found = discover_there(session, at, &server, &environment).await?;
            discovery.servers.extend(found.servers);
            discovery.warnings.extend(found.warnings);
        }
        self.report(session, &environment, &discovery)
    }

    fn report(&self, session: &Session<'_>, environment: &str, discovery: &wire::Discovery) -> Result {
        if session.out.is_json() {
            session.out.json(discovery)?;
        } else if discovery.servers.is_empty() {
            session
                .out
                .hint(&format!("environment `{environment}` has no servers: add one with `stn mcp add`"));
        }
        told(session, discovery)
    }
}

/// Prints what each server answered; exit code 4 where one did not.
pub(super) fn told(session: &Session<'_>, discovery: &wire::Discovery) -> Result {
    if !session.out.is_json() {
        let rows = discovery.servers.iter().map(|found| answered(found, &found.server));
        session.out.lines(&rows.collect::<Vec<_>>())?;
        for warning in &discovery.warnings {
            session.out.warning(warning);
        }
    }
    let whole = discovery.servers.iter().all(|found| found.error.is_none());
    Ok(if whole { Code::Done } else { Code::Partial })
}

/// What a server answered, which is called `name` here.
pub(crate) fn answered(found: &wire::Discovered, name: &str) -> (Tone, String) {
    match &found.error {
        None => {
            let tools = plural(found.tools_count.unwrap_or_default(), "tool");
            (Tone::Good, format!("{name}: {tools} in {}", duration(found.duration_ms)))
        }
        Some(why) => (Tone::Bad, format!("{name}: failed: {}", crate::out::shown(why))),
    }
}

/// Has another Station ask server `name` for its tools.
pub(super) async fn discover_there(
    session: &Session<'_>,
    at: &Server,
    name: &str,
    environment: &str,
) -> station_core::Result<wire::Discovery> {
    let given = json!({ "server": name, "environment": environment });
    let doing = format!("{} asks server `{name}` for its tools", at.address);
    alive(session.out, &doing, at.ask("discover_server", given)).await
}
