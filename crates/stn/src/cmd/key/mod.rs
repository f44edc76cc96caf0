//! `stn key …`

mod generate;
mod given;
mod rotate;
mod set;
mod status;

use crate::error::Result;
use crate::session::Session;

/// The key that encrypts the database and seals secrets
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Generate(generate::Args),
    Rotate(rotate::Args),
    Set(set::Args),
    Status(status::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::Generate(args) => args.run(session).await,
            Self::Rotate(args) => args.run(session).await,
            Self::Set(args) => args.run(session).await,
            Self::Status(args) => args.run(session).await,
        }
    }
}
