//! `stn user key …`

mod create;
mod list;
mod revoke;

use crate::error::Result;
use crate::session::Session;

/// Make, list and revoke API keys: what programs show to be known as a user
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Create(create::Args),
    Revoke(revoke::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Create(args) => args.run(session).await,
            Self::Revoke(args) => args.run(session).await,
        }
    }
}
