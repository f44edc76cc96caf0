//! `stn runs retry`

use crate::at::At;
use crate::attend::{Drive, Where, attend};
use crate::cmd::agent::{Handed, handed};
use crate::error::Result;
use crate::follow::Tell;
use crate::out::Tone;
use crate::remote::{self, Server};
use crate::session::Session;
use serde_json::json;
use station_core::RunId;
use station_engine::Driver;
use station_server::wire;

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
            .at(async |at| {
                let station = match at {
                    At::Here(station) => station,
                    At::There(server) => return self.retry_there(session, server, tell).await,
                };
                let workers = self.place.workers(station).await?;
                let is_handed = self.detach || !workers.is_empty();
                let driver = if is_handed { Driver::Worker } else { Driver::Caller };
                let run = station.retry_run(&session.by, self.run, driver, None).await?;
                self.tell(session, run.id);
                if is_handed {
                    return handed(session, station, &run, &workers, Handed::of(self.detach, tell)).await;
                }
                attend(session, station, run.id, Drive::New, tell).await
            })
            .await
    }

    async fn retry_there(&self, session: &Session<'_>, server: &Server, tell: Tell) -> Result {
        self.place.check_there()?;
        let run: wire::Run = server.ask("retry_run", json!({ "run": self.run.0 })).await?;
        self.tell(session, RunId(run.id));
        remote::handed(session, server, &run, Handed::of(self.detach, tell)).await
    }

    fn tell(&self, session: &Session<'_>, new: RunId) {
        session.out.note(Tone::Plain, &format!("Run {new} tries run {} again.", self.run));
    }
}
