//! `stn variables …`

mod list;
mod set;
mod unset;

use crate::error::Result;
use crate::session::Session;

/// Look at the variables of an environment, set them and take them out; values are never shown
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Set(set::Args),
    Unset(unset::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Set(args) => args.run(session).await,
            Self::Unset(args) => args.run(session).await,
        }
    }
}
