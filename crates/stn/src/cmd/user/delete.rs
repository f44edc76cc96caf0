//! `stn user delete`

use crate::at::At;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::question::{Yes, confirm};
use crate::session::Session;
use serde_json::json;
use station_core::UserId;
use station_engine::UserRef;
use station_server::wire;

/// Remove a user: its keys and sessions are good for nothing from then on
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name or id
    user: String,
    #[command(flatten)]
    yes: Yes,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let (user, keys) = self.look(session, at).await?;
                let what = [
                    format!("User `{}` ({}) is removed; what it did stays told.", user.name, user.role),
                    format!("API keys that are revoked with it: {keys}."),
                ];
                confirm(session, &what, &format!("remove user `{}`?", user.name), self.yes).await?;
                let gone = match at {
                    At::Here(station) => wire::User::from(
                        &station.delete_user(&session.by, &UserRef::Id(UserId(user.id))).await?,
                    ),
                    At::There(server) => {
                        server.ask("delete_user", json!({ "user": user.id.to_string() })).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&json!({ "deleted": gone }))?;
                } else {
                    session.out.note(Tone::Good, &format!("Removed user `{}`.", gone.name));
                }
                Ok(Code::Done)
            })
            .await
    }

    /// The user, and how many keys it has.
    async fn look(&self, session: &Session<'_>, at: At<'_>) -> Result<(wire::User, usize)> {
        match at {
            At::Here(station) => {
                let named = UserRef::parse(&self.user);
                let user = station.show_user(&session.by, &named).await?;
                let keys = station.list_api_keys(&session.by, Some(&named)).await?.len();
                Ok((wire::User::from(&user), keys))
            }
            At::There(server) => {
                let given = json!({ "user": self.user });
                let user = server.ask("show_user", given.clone()).await?;
                let keys: Vec<wire::ApiKey> = server.all("list_api_keys", given).await?;
                Ok((user, keys.len()))
            }
        }
    }
}
