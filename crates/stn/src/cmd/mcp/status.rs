//! `stn mcp status`

use crate::at::At;
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use station_engine::{EnvironmentRef, Station};
use station_server::wire::{self, ServerState};

/// Show how each server was when it was asked last, why it failed, and what its program is kept from
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
                let servers = match at {
                    At::Here(station) => self.list(session, station).await?,
                    At::There(_) => at.list_servers(session, self.env.as_ref()).await?,
                };
                if session.out.is_json() {
                    session.out.json(&wire::list("servers", &servers))?;
                    return Ok(Code::Done);
                }
                let lines: Vec<(Tone, String)> = servers.iter().map(line).collect();
                session.out.lines(&lines)?;
                if servers.iter().any(|server| server.state != ServerState::Ok) {
                    session.out.hint("`stn sync` asks servers that were never listed or have changed");
                }
                Ok(Code::Done)
            })
            .await
    }

    async fn list(&self, session: &Session<'_>, station: &Station) -> Result<Vec<wire::Server>> {
        let environment = session.environment_typed(station, self.env.as_ref()).await?;
        let servers = station.list_servers(&session.by, environment.as_ref()).await?;
        let kept = station.confinements(&session.by, &servers).await?;
        let told =
            servers.iter().map(|details| wire::Server::from(details).kept(kept.get(&details.server.id)));
        Ok(told.collect())
    }
}

fn line(server: &wire::Server) -> (Tone, String) {
    let name = format!("{}/{}", server.environment, server.name);
    let when = server
        .problem_at
        .as_deref()
        .or(server.discovered_at.as_deref())
        .map(|at| format!(", asked {at}"))
        .unwrap_or_default();
    let sandbox = server.sandbox.as_ref().map(|sandbox| format!(", {}", sandbox.says)).unwrap_or_default();
    let era = server.era.as_ref().map(|era| format!(", {era} protocol")).unwrap_or_default();
    let login = login(server);
    match server.state {
        ServerState::Ok => {
            (Tone::Good, format!("{name}: ok, {} tools{era}{sandbox}{when}{login}", server.tools_count))
        }
        ServerState::Failed => {
            let why = crate::out::shown(server.problem.as_deref().unwrap_or_default());
            let kept = if server.tools_count > 0 {
                format!(" ({} tools known from before)", server.tools_count)
            } else {
                String::new()
            };
            let since = server.down_since.as_deref().map(|at| format!(" since {at}")).unwrap_or_default();
            (Tone::Bad, format!("{name}: failed{since}{when}{kept}{sandbox}{login}: {why}"))
        }
        ServerState::NeverListed => (Tone::Plain, format!("{name}: never listed{sandbox}{login}")),
    }
}

/// Who is logged in at a server, and until when.
fn login(server: &wire::Server) -> String {
    let Some(login) = &server.login else { return String::new() };
    let until = login.expires_at.as_deref();
    let how = match (login.is_over, login.renews, until) {
        (true, _, _) => "its login is over: `stn mcp login` makes a new one".to_owned(),
        (_, true, Some(at)) => format!("logged in until {at}, renewed by itself"),
        (_, false, Some(at)) => format!("logged in until {at}"),
        (_, _, None) => "logged in".to_owned(),
    };
    format!(", {how}")
}
