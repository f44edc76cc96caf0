//! `stn mcp logout`

use crate::at::{At, named};
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_engine::EnvironmentRef;
use station_server::wire;

/// End the login at a remote server
///
/// Its tokens are given back where whoever gave them out takes that, and forgotten here.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's id or name
    server: String,
    /// The environment of a name [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let done = match at {
                    At::Here(station) => {
                        let (server, _) = session.server(station, &self.server, self.env.as_ref()).await?;
                        wire::LoggedOut::from(&station.logout_server(&session.by, &server).await?)
                    }
                    At::There(server) => {
                        let given = json!({ "server": self.server, "environment": named(self.env.as_ref()) });
                        server.ask("logout_server", given).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&done)?;
                    return Ok(Code::Done);
                }
                session.out.note(Tone::Good, &format!("Logged out at `{}`.", done.server));
                if let Some(warning) = &done.warning {
                    session.out.warning(warning);
                }
                Ok(Code::Done)
            })
            .await
    }
}
