//! `stn user key revoke`

use crate::at::At;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::{Value, json};

/// Revoke an API key: it is good for nothing from then on
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id, as `stn user key list` shows it
    id: i64,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                match at {
                    At::Here(station) => station.revoke_api_key(&session.by, self.id).await?,
                    At::There(server) => {
                        server.ask::<Value>("revoke_api_key", json!({ "key": self.id.to_string() })).await?;
                    }
                }
                if session.out.is_json() {
                    session.out.json(&json!({ "revoked": self.id }))?;
                } else {
                    session.out.note(Tone::Good, &format!("Revoked API key {}.", self.id));
                }
                Ok(Code::Done)
            })
            .await
    }
}
