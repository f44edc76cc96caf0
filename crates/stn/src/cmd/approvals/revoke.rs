//! `stn approvals revoke`

use crate::at::At;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::{Value, json};

/// Take back what was approved for always
///
/// Calls from then on wait for a person again; what was sent is sent.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id, as `stn approvals list --always` shows it
    id: i64,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                match at {
                    At::Here(station) => station.revoke_standing_approval(&session.by, self.id).await?,
                    At::There(server) => {
                        let given = json!({ "standing_approval": self.id });
                        server.ask::<Value>("revoke_standing_approval", given).await?;
                    }
                }
                if session.out.is_json() {
                    session.out.json(&json!({ "revoked": self.id }))?;
                } else {
                    session.out.note(Tone::Plain, &format!("Standing approval {} was revoked.", self.id));
                }
                Ok(Code::Done)
            })
            .await
    }
}
