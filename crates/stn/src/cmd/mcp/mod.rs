//! `stn mcp …`

mod list;
mod status;
mod tools;

use crate::error::Result;
use crate::session::Session;

/// Look at MCP servers and their tools, as they were found last; nothing is started
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Tools(tools::Args),
    Status(status::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Tools(args) => args.run(session).await,
            Self::Status(args) => args.run(session).await,
        }
    }
}
