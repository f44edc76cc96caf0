//! `stn env …`

mod create;
mod list;

use crate::error::Result;
use crate::session::Session;

/// Make and list environments: the walls between dev, staging and production
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Create(create::Args),
    List(list::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::Create(args) => args.run(session).await,
            Self::List(args) => args.run(session).await,
        }
    }
}
