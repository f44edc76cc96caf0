//! `stn config …`

mod edit;
mod show;

use crate::cmd::settings;
use crate::error::{Code, Result};
use crate::session::Session;

/// Look at config.yaml and change it
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Show(show::Args),
    Set(settings::Set),
    Edit(edit::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::Show(args) => args.run(session),
            Self::Set(args) => args.run(session).await,
            // Done before there was a session.
            Self::Edit(_) => Ok(Code::Done),
        }
    }
}
