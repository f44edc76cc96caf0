//! `stn user invite`

use crate::at::At;
use crate::config::{API_HOST, Settings};
use crate::error::{Code, Result};
use crate::narrate::moment;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_engine::{INVITATION_VALID_FOR, UserRef};
use station_server::wire;
use std::net::SocketAddr;
use std::time::Duration;

/// Make a link by which a user chooses a password, once
///
/// For the first password, or for another where it was forgotten. The link is printed this once; another one for the same user takes
/// its place. Who opens it needs to reach Station there: `http.public_url` in config.yaml says by which address others do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whom: a name or an id
    user: String,
    /// Hours that the link is good
    #[arg(long, value_name = "N", default_value_t = INVITATION_VALID_FOR.as_secs() / 3600,
        value_parser = clap::value_parser!(u64).range(1..=720))]
    hours: u64,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let made = invite(session, at, &self.user, Duration::from_secs(self.hours * 3600)).await?;
                if session.out.is_json() {
                    session.out.json(&json!({ "invitation": made }))?;
                    return Ok(Code::Done);
                }
                made.tell(session)?;
                Ok(Code::Done)
            })
            .await
    }
}

/// An invitation with the whole address of its link.
#[derive(Debug, serde::Serialize)]
pub(super) struct Invited {
    #[serde(flatten)]
    invitation: wire::Invitation,
    url: String,
}

impl Invited {
    /// Says what the link is, and prints it.
    pub(super) fn tell(&self, session: &Session<'_>) -> Result<()> {
        let until = moment(&self.invitation.expires_at);
        let text = format!(
            "`{}` chooses a password by this link, once, until {until} UTC; it is told this once:",
            self.invitation.user
        );
        session.out.note(Tone::Good, &text);
        session.out.answer(&self.url)
    }
}

/// Invites `user`, here or at a server.
pub(super) async fn invite(
    session: &Session<'_>,
    at: At<'_>,
    user: &str,
    valid_for: Duration,
) -> Result<Invited> {
    let (invitation, origin) = match at {
        At::Here(station) => {
            let made = station.invite_user(&session.by, &UserRef::parse(user), valid_for).await?;
            (wire::Invitation::from(&made), origin(&session.settings)?)
        }
        At::There(server) => {
            let given = json!({ "user": user, "hours": valid_for.as_secs() / 3600 });
            (server.ask("invite_user", given).await?, server.address.origin())
        }
    };
    let url = format!("{origin}{}", invitation.path);
    Ok(Invited { invitation, url })
}

/// Where others reach the Station of these settings.
fn origin(settings: &Settings) -> Result<String> {
    if let Some(url) = &settings.config.http.public_url {
        return Ok(url.clone());
    }
    let ports = settings.ports()?;
    let scheme = if settings.tls_files()?.is_some() { "https" } else { "http" };
    let host = if ports.host.is_unspecified() { API_HOST } else { ports.host };
    Ok(format!("{scheme}://{}", SocketAddr::from((host, ports.api))))
}
