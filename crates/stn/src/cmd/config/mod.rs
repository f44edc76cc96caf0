//! `stn config …`

mod show;

use crate::error::Result;
use crate::session::Session;

/// Look at settings
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Show(show::Args),
}

impl Command {
    pub(crate) fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::Show(args) => args.run(session),
        }
    }
}
