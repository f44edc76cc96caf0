//! `stn user delete`

use super::shown;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::question::{Yes, confirm};
use crate::session::Session;
use serde_json::json;
use station_engine::UserRef;

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
            .with(async |station| {
                let named = UserRef::parse(&self.user);
                let user = station.show_user(&session.by, &named).await?;
                let keys = station.list_api_keys(&session.by, Some(&named)).await?.len();
                let what = [
                    format!("User `{}` ({}) is removed; what it did stays told.", user.name, user.role),
                    format!("API keys that are revoked with it: {keys}."),
                ];
                confirm(session, &what, &format!("Remove user `{}`?", user.name), self.yes).await?;
                let gone = station.delete_user(&session.by, &UserRef::Id(user.id)).await?;
                if session.out.is_json() {
                    session.out.json(&json!({ "deleted": shown(&gone) }))?;
                } else {
                    session.out.note(Tone::Good, &format!("Removed user `{}`.", gone.name));
                }
                Ok(Code::Done)
            })
            .await
    }
}
