//! `stn runs resume`

use crate::attend::{Drive, attend};
use crate::error::Result;
use crate::follow::Tell;
use crate::session::Session;
use station_core::RunId;

/// Drive an interrupted run on
///
/// Everything that happened stays. A call whose outcome is unknown is sent again only if its tool is read-only or
/// idempotent; of any other the model is told that its outcome is unknown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
    /// Show the model's text on stderr while it arrives
    #[arg(long)]
    tail: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let tell = if self.tail { Tell::Text } else { Tell::Events };
        session.with(async |station| attend(session, station, self.run, Drive::Resume, tell).await).await
    }
}
