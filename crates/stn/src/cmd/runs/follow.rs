//! `stn runs follow`

use crate::attend::report;
use crate::error::{Failure, Result};
use crate::follow::{Tell, follow};
use crate::out::Tone;
use crate::session::Session;
use station_core::{Error, RunId};
use station_engine::Followed;
use tokio::signal::unix::{SignalKind, signal};

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
            .with(async |station| {
                let internal = |cause| Error::internal("listening for Ctrl-C", cause);
                let mut interrupts = signal(SignalKind::interrupt()).map_err(internal)?;
                let doing = format!("run {id} is followed");
                let following =
                    follow(session.out, station, tell, &doing, station.follow_run(&session.by, id));
                let followed = tokio::select! {
                    followed = following => followed?,
                    _ = interrupts.recv() => return Err(Failure::Interrupted),
                };
                match followed {
                    Followed::Ended | Followed::Parked => {}
                    Followed::Interrupted(worker) => {
                        session.out.note(Tone::Bad, &format!("Worker {worker} is gone."));
                    }
                    Followed::Unclaimed => session.out.note(Tone::Bad, "No worker is there."),
                }
                let details = station.show_run(&session.by, id).await?;
                report(session, station, &details.run).await
            })
            .await
    }
}
