//! `stn user …`

mod create;
mod delete;
mod invite;
mod key;
mod list;
mod update;

use crate::error::Result;
use crate::question::given_secret;
use crate::session::Session;
use station_core::{Role, Secret};
use station_engine::EnvironmentRef;
use station_server::wire;

/// Say who may use this Station from elsewhere, and for what
///
/// Whoever can read the store and its key is the local administrator and needs no user: these are for HTTP. A `viewer` sees what
/// is in the environments assigned to it, without variables, users and audit; a `user` runs and edits agents there besides; an
/// `admin` may everything, everywhere. Once there is a user, nobody is let in over HTTP without a credential.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Create(create::Args),
    Update(update::Args),
    Delete(delete::Args),
    Invite(invite::Args),
    #[command(subcommand)]
    Key(key::Command),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Create(args) => args.run(session).await,
            Self::Update(args) => args.run(session).await,
            Self::Delete(args) => args.run(session).await,
            Self::Invite(args) => args.run(session).await,
            Self::Key(command) => command.run(session).await,
        }
    }
}

/// Where a user is let, in words.
fn places(user: &wire::User) -> String {
    if user.role == Role::Admin.as_str() {
        return "all".to_owned();
    }
    if user.environments.is_empty() { "none".to_owned() } else { user.environments.join(", ") }
}

/// The password that a user is to have, where one is wanted.
async fn password(session: &Session<'_>, wanted: bool, user: &str) -> Result<Option<Secret>> {
    if !wanted {
        return Ok(None);
    }
    given_secret(session, &format!("Password of {user}"), "give it on standard input").await.map(Some)
}

/// Environments as a server is told of them.
fn given(environments: &[EnvironmentRef]) -> Vec<String> {
    environments.iter().map(ToString::to_string).collect()
}
