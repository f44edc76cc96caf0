//! `stn settings …`
//!
//! A setting is a key of config.yaml, by the name it has there: see docs/decisions/0008. `stn config` says the same of the
//! whole file.

mod get;
mod list;
mod set;

pub(crate) use list::show;
pub(crate) use set::Args as Set;

use crate::error::Result;
use crate::session::Session;

/// Look at settings and change them: the keys of config.yaml
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Get(get::Args),
    Set(set::Args),
}

impl Command {
    pub(crate) fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session),
            Self::Get(args) => args.run(session),
            Self::Set(args) => args.run(session),
        }
    }
}
