//! `stn user list`

use super::places;
use crate::at::At;
use crate::error::{Code, Result};
use crate::narrate::moment;
use crate::session::Session;
use serde_json::json;
use station_server::wire;

/// List users
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let users: Vec<wire::User> = match at {
                    At::Here(station) => {
                        station.list_users(&session.by).await?.iter().map(wire::User::from).collect()
                    }
                    At::There(server) => server.all("list_users", json!({})).await?,
                };
                if session.out.is_json() {
                    session.out.json(&wire::list("users", &users))?;
                    return Ok(Code::Done);
                }
                if users.is_empty() {
                    session.out.hint("there is none, so HTTP lets in the local administrator alone; `stn user create <name> --role admin` makes the first");
                }
                let rows = users.iter().map(|user| {
                    [
                        user.id.to_string(),
                        user.name.clone(),
                        user.role.to_string(),
                        places(user),
                        if user.has_password { "yes" } else { "no" }.to_owned(),
                        format!("{} UTC", moment(&user.created_at)),
                    ]
                });
                session.out.table(["ID", "NAME", "ROLE", "ENVIRONMENTS", "PASSWORD", "MADE"], rows.collect())?;
                Ok(Code::Done)
            })
            .await
    }
}
