//! `stn user create`

use super::invite::invite;
use super::{given, password, places};
use crate::at::At;
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::{Role, Scope, Secret};
use station_engine::{EnvironmentRef, INVITATION_VALID_FOR, KeyWish, NewUser, Station, UserRef};
use station_server::wire;
use std::collections::BTreeSet;

/// Make a user
///
/// Without --password and --invite it gets an API key, which is printed this once: `Authorization: Bearer stn_…`. With --password, that is
/// asked for, or read from standard input; with --invite, a link is printed by which the user chooses one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name: not digits alone
    name: String,
    /// admin, user or viewer
    #[arg(long, value_name = "ROLE", default_value = "user", conflicts_with = "admin")]
    role: Role,
    /// The same as --role admin
    #[arg(long)]
    admin: bool,
    /// An environment that is assigned to it; may be given more than once
    #[arg(long = "env", value_name = "ENV", value_parser = environment_ref)]
    environments: Vec<EnvironmentRef>,
    /// Let it sign in with a password, which is read without being shown
    #[arg(long)]
    password: bool,
    /// Print a link, good once and for a day, by which the user chooses a password
    #[arg(long, conflicts_with = "password")]
    invite: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let role = if self.admin { Role::Admin } else { self.role };
        let password = password(session, self.password, &self.name).await?;
        session
            .at(async |at| {
                let (user, key) = match at {
                    At::Here(station) => self.create(session, station, role, password).await?,
                    At::There(server) => self.create_there(server, role, password).await?,
                };
                let key = key.as_ref().map(Secret::expose);
                let invited = match self.invite {
                    true => Some(invite(session, at, &user.id.to_string(), INVITATION_VALID_FOR).await?),
                    false => None,
                };
                if session.out.is_json() {
                    session.out.json(&json!({ "user": user, "secret": key, "invitation": invited }))?;
                    return Ok(Code::Done);
                }
                let text = format!(
                    "Made user `{}` ({}), for environments: {}.",
                    user.name,
                    user.role,
                    places(&user)
                );
                session.out.note(Tone::Good, &text);
                if role != Role::Admin && user.environments.is_empty() {
                    session
                        .out
                        .hint(&format!("it sees nothing yet: `stn user update {} --env <name>`", user.name));
                }
                if let Some(key) = key {
                    session.out.note(Tone::Plain, "Its API key, told this once:");
                    session.out.answer(key)?;
                }
                if let Some(invited) = invited {
                    invited.tell(session)?;
                }
                Ok(Code::Done)
            })
            .await
    }

    async fn create(
        &self,
        session: &Session<'_>,
        station: &Station,
        role: Role,
        password: Option<Secret>,
    ) -> Result<(wire::User, Option<Secret>)> {
        let has_password = password.is_some() || self.invite;
        let (name, environments) = (self.name.clone(), self.environments.clone());
        let user = station.create_user(&session.by, NewUser { name, role, environments, password }).await?;
        let told = wire::User::from(&user);
        if has_password {
            return Ok((told, None));
        }
        let wish = KeyWish { name: KEY.to_owned(), scopes: BTreeSet::<Scope>::new(), valid_for: None };
        let (_, key) = station.create_api_key(&session.by, &UserRef::Id(user.id), wish).await?;
        Ok((told, Some(key)))
    }

    async fn create_there(
        &self,
        server: &Server,
        role: Role,
        password: Option<Secret>,
    ) -> Result<(wire::User, Option<Secret>)> {
        let user: wire::User = server
            .ask(
                "create_user",
                json!({
                    "name": self.name,
                    "role": role.as_str(),
                    "environments": given(&self.environments),
                    "password": password.as_ref().map(Secret::expose),
                }),
            )
            .await?;
        if password.is_some() || self.invite {
            return Ok((user, None));
        }
        let wish = json!({ "user": user.id.to_string(), "name": KEY });
        let made: wire::NewApiKey = server.ask("create_api_key", wish).await?;
        Ok((user, Some(Secret::new(made.secret))))
    }
}

/// What the key is called that a user gets with its name.
const KEY: &str = "first";
