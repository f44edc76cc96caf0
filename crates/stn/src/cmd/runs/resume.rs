//! `stn runs resume`

use crate::attend::{Drive, Where, attend, tell_handed};
use crate::error::Result;
use crate::follow::Tell;
use crate::session::Session;
use station_core::RunId;
use station_engine::From;

/// Drive an interrupted run on
///
/// Everything that happened stays. A call whose outcome is unknown is sent again only if its tool is read-only or
/// idempotent; of any other the model is told that its outcome is unknown. Where a worker (`stn serve`) has the same store
/// open, it drives the run on, and the run is followed from here.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
    #[command(flatten)]
    place: Where,
    /// Show the model's text on stderr while it arrives
    #[arg(long)]
    tail: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let tell = if self.tail { Tell::Text } else { Tell::Events };
        let id = self.run;
        session
            .with(async |station| {
                let workers = self.place.workers(station).await?;
                if !workers.is_empty() && station.is_for_workers(&session.by, id).await? {
                    tell_handed(session, station, id, &workers, tell);
                    return attend(session, station, id, Drive::Handed(From::Now), tell).await;
                }
                attend(session, station, id, Drive::Resume, tell).await
            })
            .await
    }
}
