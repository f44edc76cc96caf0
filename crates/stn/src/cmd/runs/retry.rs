//! `stn runs retry`

use crate::attend::{Drive, Where, attend};
use crate::cmd::agent::{Handed, handed};
use crate::error::Result;
use crate::follow::Tell;
use crate::out::Tone;
use crate::session::Session;
use station_core::RunId;
use station_engine::Driver;

/// Run an ended run's agent again on the same task, as a new run
///
/// The new run has the task, the limits and the variables that were given with the old one; agent and servers are as they
/// are now. Unlike `resume`, nothing of what happened in the old run is taken over.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
    /// Put the run in the queue, print its id, and let a worker (`stn serve`) drive it
    #[arg(long, conflicts_with_all = ["tail", "local"])]
    detach: bool,
    #[command(flatten)]
    place: Where,
    /// Show the model's text on stderr while it arrives
    #[arg(long)]
    tail: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let tell = if self.tail { Tell::Text } else { Tell::Events };
        session
            .with(async |station| {
                let workers = self.place.workers(station).await?;
                let is_handed = self.detach || !workers.is_empty();
                let driver = if is_handed { Driver::Worker } else { Driver::Caller };
                let run = station.retry_run(&session.by, self.run, driver, None).await?;
                session.out.note(Tone::Plain, &format!("Run {} tries run {} again.", run.id, self.run));
                if is_handed {
                    return handed(session, station, &run, &workers, Handed::of(self.detach, tell)).await;
                }
                attend(session, station, run.id, Drive::New, tell).await
            })
            .await
    }
}
