//! `stn user key list`

use crate::error::{Code, Result};
use crate::narrate::moment;
use crate::session::Session;
use station_core::{Micros, Scope};
use station_engine::{ApiKey, UserRef};
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
            .with(async |station| {
                let user = self.user.as_deref().map(UserRef::parse);
                let keys = station.list_api_keys(&session.by, user.as_ref()).await?;
                if session.out.is_json() {
                    let rows: Vec<wire::ApiKey> = keys.iter().map(wire::ApiKey::from).collect();
                    session.out.json(&wire::list("api_keys", &rows))?;
                    return Ok(Code::Done);
                }
                let header = ["ID", "USER", "NAME", "SCOPES", "ENDS", "LAST USED"];
                session.out.table(header, keys.iter().map(row).collect())?;
                Ok(Code::Done)
            })
            .await
    }
}

fn row(key: &ApiKey) -> [String; 6] {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let at = |at: Option<Micros>| at.map_or_else(|| "never".to_owned(), |at| format!("{} UTC", moment(at)));
    [
        key.id.to_string(),
        key.user_name.clone(),
        key.name.clone(),
        if key.scopes == Scope::all() { "all".to_owned() } else { scopes.join(", ") },
        at(key.expires_at),
        at(key.last_used_at),
    ]
}
