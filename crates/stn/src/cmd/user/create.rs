//! `stn user create`

use super::{password, places, shown};
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::{Role, Scope, Secret};
use station_engine::{EnvironmentRef, KeyWish, NewUser, UserRef};
use std::collections::BTreeSet;

/// Make a user
///
/// Without --password it gets an API key, which is printed this once: `Authorization: Bearer stn_…`. With it, the password is asked
/// for, or read from standard input.
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
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let role = if self.admin { Role::Admin } else { self.role };
        let password = password(session, self.password, &self.name).await?;
        session
            .with(async |station| {
                let new = NewUser {
                    name: self.name.clone(),
                    role,
                    environments: self.environments.clone(),
                    password: password.clone(),
                };
                let user = station.create_user(&session.by, new).await?;
                let key = if password.is_some() {
                    None
                } else {
                    let wish = KeyWish {
                        name: "first".to_owned(),
                        scopes: BTreeSet::<Scope>::new(),
                        valid_for: None,
                    };
                    Some(station.create_api_key(&session.by, &UserRef::Id(user.id), wish).await?.1)
                };
                let key = key.as_ref().map(Secret::expose);
                if session.out.is_json() {
                    session.out.json(&json!({ "user": shown(&user), "secret": key }))?;
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
                Ok(Code::Done)
            })
            .await
    }
}
