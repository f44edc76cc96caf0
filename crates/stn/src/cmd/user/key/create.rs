//! `stn user key create`

use crate::at::At;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::Scope;
use station_engine::{KeyWish, Station, UserRef};
use station_server::wire;
use std::time::Duration;

/// Make an API key; it is printed this once, and only its hash is kept
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose: a name or an id
    user: String,
    /// What it is for
    #[arg(long, default_value = "key")]
    name: String,
    /// read, run, edit, approve or admin, of what the user may; may be given more than once [default: all]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// Days that it holds [default: for ever]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let made = match at {
                    At::Here(station) => self.create(session, station).await?,
                    At::There(server) => {
                        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.as_str()).collect();
                        let given = json!({ "user": self.user, "name": self.name, "scopes": scopes, "days": self.days });
                        server.ask("create_api_key", given).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&made)?;
                    return Ok(Code::Done);
                }
                let text = format!("Made API key {} of `{}`, told this once:", made.api_key.id, made.api_key.user);
                session.out.note(Tone::Good, &text);
                session.out.answer(&made.secret)?;
                Ok(Code::Done)
            })
            .await
    }

    async fn create(&self, session: &Session<'_>, station: &Station) -> Result<wire::NewApiKey> {
        let wish = KeyWish {
            name: self.name.clone(),
            scopes: self.scopes.iter().copied().collect(),
            valid_for: self.days.map(|days| Duration::from_secs(u64::from(days) * 24 * 3600)),
        };
        let (key, secret) = station.create_api_key(&session.by, &UserRef::parse(&self.user), wish).await?;
        Ok(wire::NewApiKey { api_key: wire::ApiKey::from(&key), secret: secret.expose().to_owned() })
    }
}
