//! `stn user list`

use super::places;
use crate::at::{At, named};
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::narrate::moment;
use crate::session::Session;
use serde_json::json;
use station_core::Role;
use station_engine::{EnvironmentRef, UserFilter};
use station_server::wire;

/// List users
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those with this role: viewer, user or admin
    #[arg(long)]
    role: Option<Role>,
    /// Only those to whom this environment is assigned; administrators see all without
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let users: Vec<wire::User> = match at {
                    At::Here(station) => {
                        let filter = UserFilter { role: self.role, environment: self.env.clone() };
                        let users = station.list_users(&session.by, &filter).await?;
                        users.iter().map(wire::User::from).collect()
                    }
                    At::There(server) => {
                        let role = self.role.map(Role::as_str);
                        let given = json!({ "role": role, "environment": named(self.env.as_ref()) });
                        server.all("list_users", given).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&wire::list("users", &users))?;
                    return Ok(Code::Done);
                }
                if users.is_empty() && self.role.is_none() && self.env.is_none() {
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
