//! `stn runs …`

mod cancel;
mod export;
mod follow;
mod fork;
mod inspect;
mod list;
mod prune;
mod record;
mod resume;
mod retry;
mod settle;
mod to;
mod which;

use crate::error::Result;
use crate::session::Session;

/// Look at runs, follow and stop them, go on with interrupted ones, try ended ones again, and remove old ones
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Inspect(inspect::Args),
    Follow(follow::Args),
    Resume(resume::Args),
    Retry(retry::Args),
    Cancel(cancel::Args),
    Fork(fork::Args),
    Record(record::Args),
    Export(export::Args),
    Settle(settle::Args),
    Prune(prune::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Inspect(args) => args.run(session).await,
            Self::Follow(args) => args.run(session).await,
            Self::Resume(args) => args.run(session).await,
            Self::Retry(args) => args.run(session).await,
            Self::Cancel(args) => args.run(session).await,
            Self::Fork(args) => args.run(session).await,
            Self::Export(args) => args.run(session).await,
            Self::Record(args) => args.run(session).await,
            Self::Settle(args) => args.run(session).await,
            Self::Prune(args) => args.run(session).await,
        }
    }
}
