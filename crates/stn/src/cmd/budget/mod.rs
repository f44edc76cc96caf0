//! `stn budget …`

mod list;
mod prices;
mod scope;
mod set;
mod unset;

pub(crate) use scope::{amount, caps, given_amounts, sum};

use crate::error::Result;
use crate::session::Session;

/// Limit what runs may spend: tokens, money, tool calls and time
///
/// A limit holds for everything (`all`), for an environment (`env:NAME`), for an agent (`agent:NAME`) or for one run
/// (`run:ID`), for each run or by day (UTC). Files can say the same: `limits` in config.yaml and environment.yml, and
/// under `station` in an agent's file. The strictest wins. What is set here has no file form: it is kept in the store
/// alone. A run that reaches a limit waits: `stn runs resume --add` raises its own limit.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Set(set::Args),
    Unset(unset::Args),
    Prices(prices::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Set(args) => args.run(session).await,
            Self::Unset(args) => args.run(session).await,
            Self::Prices(args) => args.run(session).await,
        }
    }
}
