//! `stn runs …`

mod cancel;
mod inspect;
mod list;
mod resume;
mod settle;

use crate::error::Result;
use crate::session::Session;

/// Look at runs, stop them, and go on with interrupted ones
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Inspect(inspect::Args),
    Resume(resume::Args),
    Cancel(cancel::Args),
    Settle(settle::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Inspect(args) => args.run(session).await,
            Self::Resume(args) => args.run(session).await,
            Self::Cancel(args) => args.run(session).await,
            Self::Settle(args) => args.run(session).await,
        }
    }
}
