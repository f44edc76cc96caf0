//! `stn user key list`

use crate::at::At;
use crate::error::{Code, Result};
use crate::narrate::moment;
use crate::session::Session;
use serde_json::json;
use station_core::Scope;
use station_engine::UserRef;
use station_server::wire;

/// List API keys that hold or have run out; what they say is kept nowhere
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of this user: a name or an id
    user: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let keys: Vec<wire::ApiKey> = match at {
                    At::Here(station) => {
                        let user = self.user.as_deref().map(UserRef::parse);
                        let keys = station.list_api_keys(&session.by, user.as_ref()).await?;
                        keys.iter().map(wire::ApiKey::from).collect()
                    }
                    At::There(server) => server.all("list_api_keys", json!({ "user": self.user })).await?,
                };
                if session.out.is_json() {
                    session.out.json(&wire::list("api_keys", &keys))?;
                    return Ok(Code::Done);
                }
                let header = ["ID", "USER", "NAME", "SCOPES", "ENDS", "LAST USED"];
                session.out.table(header, keys.iter().map(row).collect())?;
                Ok(Code::Done)
            })
            .await
    }
}

fn row(key: &wire::ApiKey) -> [String; 6] {
    let at = |at: &Option<String>| {
        at.as_ref().map_or_else(|| "never".to_owned(), |at| format!("{} UTC", moment(at)))
    };
    [
        key.id.to_string(),
        key.user.clone(),
        key.name.clone(),
        if key.scopes.len() == Scope::all().len() { "all".to_owned() } else { key.scopes.join(", ") },
        at(&key.expires_at),
        at(&key.last_used_at),
    ]
}
