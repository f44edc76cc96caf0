//! `stn mcp sync`

use crate::error::{Code, Result};
use crate::follow::{Tell, follow};
use crate::named::environment_ref;
use crate::narrate::duration;
use crate::out::Tone;
use crate::session::Session;
use station_core::plural;
use station_engine::{Discovery, EnvironmentRef};
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
            .with(async |station| {
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
                if session.out.is_json() {
                    session.out.json(&wire::Discovery::from(&discovery))?;
                } else if discovery.servers.is_empty() {
                    session.out.hint(&format!(
                        "environment `{environment}` has no servers: add one with `stn mcp add`"
                    ));
                }
                told(session, &discovery)
            })
            .await
    }
}

/// Prints what each server answered; exit code 4 where one did not.
pub(super) fn told(session: &Session<'_>, discovery: &Discovery) -> Result {
    if !session.out.is_json() {
        let rows = discovery.servers.iter().map(|found| match &found.result {
            Ok(tools) => {
                (Tone::Good, format!("{}: {} in {}", found.server, plural(tools, "tool"), duration(found.ms)))
            }
            Err(why) => (Tone::Bad, format!("{}: failed: {}", found.server, crate::out::shown(why))),
        });
        session.out.lines(&rows.collect::<Vec<_>>())?;
        for warning in &discovery.warnings {
            session.out.warning(warning);
        }
    }
    let whole = discovery.servers.iter().all(|found| found.result.is_ok());
    Ok(if whole { Code::Done } else { Code::Partial })
}
