//! `stn mcp …`

mod add;
mod at;
mod call;
mod client;
mod config;
mod delete;
mod given;
mod import;
mod list;
mod lock;
mod login;
mod logout;
mod prompt;
mod read;
mod show;
mod status;
mod sync;
mod tools;
mod way;

pub(crate) use sync::answered;

use crate::error::Result;
use crate::remote::OnlyHere;
use crate::session::Session;

/// Add MCP servers, look at what they offer, ask them anew, log in, pin and call their tools; add Station to MCP clients
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Add(add::Args),
    Show(show::Args),
    Tools(tools::Args),
    Status(status::Args),
    Sync(sync::Args),
    Lock(lock::Args),
    Login(login::Args),
    Logout(logout::Args),
    Call(call::Args),
    Read(read::Args),
    Prompt(prompt::Args),
    Delete(delete::Args),
    Import(import::Args),
    Config(config::Args),
}

impl Command {
    /// Why it is carried out on this machine alone; `None` where a server does it as well.
    pub(crate) fn only_here(&self) -> Option<OnlyHere> {
        match self {
            Self::Login(_) => Some(OnlyHere::LOGIN),
            Self::Import(_) => Some(OnlyHere::IMPORT_SERVERS),
            Self::Config(_) => Some(OnlyHere::CLIENT_CONFIG),
            Self::List(_)
            | Self::Add(_)
            | Self::Show(_)
            | Self::Tools(_)
            | Self::Status(_)
            | Self::Sync(_)
            | Self::Lock(_)
            | Self::Call(_)
            | Self::Read(_)
            | Self::Prompt(_)
            | Self::Logout(_)
            | Self::Delete(_) => None,
        }
    }

    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Add(args) => args.run(session).await,
            Self::Show(args) => args.run(session).await,
            Self::Tools(args) => args.run(session).await,
            Self::Status(args) => args.run(session).await,
            Self::Sync(args) => args.run(session).await,
            Self::Lock(args) => args.run(session).await,
            Self::Login(args) => args.run(session).await,
            Self::Logout(args) => args.run(session).await,
            Self::Call(args) => args.run(session).await,
            Self::Read(args) => args.run(session).await,
            Self::Prompt(args) => args.run(session).await,
            Self::Delete(args) => args.run(session).await,
            Self::Import(args) => args.run(session).await,
            Self::Config(args) => args.run(session),
        }
    }
}
