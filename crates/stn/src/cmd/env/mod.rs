//! `stn env …`

mod create;
mod delete;
mod get;
mod list;
mod update;

use crate::error::Result;
use crate::session::Session;

/// Make environments, look at them, delete them: the walls between dev, staging and production
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Create(create::Args),
    Get(get::Args),
    Update(update::Args),
    Delete(delete::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Create(args) => args.run(session).await,
            Self::Get(args) => args.run(session).await,
            Self::Update(args) => args.run(session).await,
            Self::Delete(args) => args.run(session).await,
        }
    }
}
