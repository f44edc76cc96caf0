//! `stn runs follow`

use crate::at::At;
use crate::attend::{report, until_interrupted};
use crate::error::Result;
use crate::follow::{Tell, follow};
use crate::out::Tone;
use crate::remote;
use crate::session::Session;
use station_core::RunId;
use station_engine::Followed;

/// Follow a run, whoever drives it, from its first entry to its end
///
/// The answer is printed on stdout, what happens on stderr, and the exit code is as of `stn agent run`. Ctrl-C ends the
/// following and not the run. What models say while they say it is told only where a worker of this machine drives the
/// run on SQLite.
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
        let id = self.run;
        let tell = if self.tail { Tell::Text } else { Tell::Events };
        session
            .at(async |at| {
                let station = match at {
                    At::Here(station) => station,
                    At::There(server) => return remote::follow(session, server, id, tell).await,
                };
                let doing = format!("run {id} is followed");
                let following =
                    follow(session.out, station, tell, &doing, station.follow_run(&session.by, id));
                match until_interrupted(following).await?? {
                    Followed::Ended | Followed::Parked => {}
                    Followed::Interrupted(worker) => {
                        session.out.note(Tone::Bad, &format!("Worker {worker} is gone."));
                    }
                    Followed::Unclaimed => session.out.note(Tone::Bad, "No worker is there."),
                }
                report(session, at, id).await
            })
            .await
    }
}
