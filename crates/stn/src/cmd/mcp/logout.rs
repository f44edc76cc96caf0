//! `stn mcp logout`

use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
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
            .with(async |station| {
                let (server, _) = session.server(station, &self.server, self.env.as_ref()).await?;
                let done = station.logout_server(&session.by, &server).await?;
                if session.out.is_json() {
                    session.out.json(&wire::LoggedOut::from(&done))?;
                    return Ok(Code::Done);
                }
                session.out.note(Tone::Good, &format!("Logged out at `{}`.", done.server.server.name));
                if let Some(warning) = &done.warning {
                    session.out.warning(warning);
                }
                Ok(Code::Done)
            })
            .await
    }
}
