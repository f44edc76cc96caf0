//! `stn audit …`

mod export;
mod list;
mod verify;

use crate::error::Result;
use crate::session::Session;

/// See who decided what, and whether the record is whole
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Export(export::Args),
    Verify(verify::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Export(args) => args.run(session).await,
            Self::Verify(args) => args.run(session).await,
        }
    }
}
