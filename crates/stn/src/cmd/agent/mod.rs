//! `stn agent …`

mod create;
mod delete;
mod export;
mod import;
mod list;
mod plan;
mod run;
mod show;
mod update;

pub(crate) use run::{Handed, given_time, given_variables, handed, run_agent, timeout, variable};

use crate::error::Result;
use crate::session::Session;

/// Make agents, look at them, run them
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Create(create::Args),
    List(list::Args),
    Show(show::Args),
    Update(update::Args),
    Delete(delete::Args),
    Export(export::Args),
    Import(import::Args),
    Run(run::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::Create(args) => args.run(session).await,
            Self::List(args) => args.run(session).await,
            Self::Show(args) => args.run(session).await,
            Self::Update(args) => args.run(session).await,
            Self::Delete(args) => args.run(session).await,
            Self::Export(args) => args.run(session).await,
            Self::Import(args) => args.run(session).await,
            Self::Run(args) => args.run(session).await,
        }
    }
}
