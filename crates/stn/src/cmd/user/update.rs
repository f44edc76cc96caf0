//! `stn user update`

use super::{password, places, shown};
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::Role;
use station_engine::{EnvironmentRef, UserEdit, UserRef};

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
        let edit = UserEdit {
            role: self.role,
            environments: names_some.then(|| self.environments.clone()),
            password,
        };
        session
            .with(async |station| {
                let user = station.update_user(&session.by, &UserRef::parse(&self.user), edit).await?;
                if session.out.is_json() {
                    session.out.json(&json!({ "user": shown(&user) }))?;
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
