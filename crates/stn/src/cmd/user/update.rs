//! `stn user update`

use super::{given, password, places};
use crate::at::At;
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::{Role, Secret};
use station_engine::{EnvironmentRef, UserEdit, UserRef};
use station_server::wire;

/// Change a user; what is not named stays
///
/// It holds from the user's next request on, and for runs it started from their next tool call on.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct Args {
    /// Its name or id
    user: String,
    /// admin, user or viewer
    #[arg(long, value_name = "ROLE", group = "change")]
    role: Option<Role>,
    /// An environment that is assigned to it; those that are named are all it has then
    #[arg(long = "env", value_name = "ENV", value_parser = environment_ref, group = "change")]
    environments: Vec<EnvironmentRef>,
    /// Take every environment from it
    #[arg(long, conflicts_with = "environments", group = "change")]
    no_env: bool,
    /// Give it another password, which is read without being shown; its sessions end
    #[arg(long, group = "change")]
    password: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let password = password(session, self.password, &self.user).await?;
        let names_some = self.no_env || !self.environments.is_empty();
        let environments = names_some.then(|| self.environments.clone());
        session
            .at(async |at| {
                let user = match at {
                    At::Here(station) => {
                        let edit = UserEdit { role: self.role, environments, password };
                        let user =
                            station.update_user(&session.by, &UserRef::parse(&self.user), edit).await?;
                        wire::User::from(&user)
                    }
                    At::There(server) => {
                        let given = json!({
                            "user": self.user,
                            "role": self.role.map(Role::as_str),
                            "environments": environments.as_deref().map(given),
                            "password": password.as_ref().map(Secret::expose),
                        });
                        server.ask("update_user", given).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&json!({ "user": user }))?;
                } else {
                    let text = format!(
                        "User `{}` is {} now, for environments: {}.",
                        user.name,
                        user.role,
                        places(&user)
                    );
                    session.out.note(Tone::Good, &text);
                }
                Ok(Code::Done)
            })
            .await
    }
}
