//! `stn serve`

use crate::error::{Code, Failure, Result};
use crate::out::Tone;
use crate::session::Session;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Work off the queue until told to stop
///
/// Drives what `stn agent run --detach` put in the queue, and takes up runs whose process is gone. Several may share one
/// store. Ctrl-C or SIGTERM stops it: nothing new is begun, requests to models are dropped and asked again by the next
/// worker, calls that are out are waited for as long as `execution.drain_s` says, and no run is left as running. A second
/// Ctrl-C ends it at once, as if it were killed. Server files may ask for variables of this process's environment only where `env_passthrough` or STN_ENV_PASSTHROUGH names
/// them. Faults are told on stderr; STN_LOG_LEVEL (error, warn, info, debug) says how much.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs driven at a time, instead of `execution.workers`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    workers: Option<u32>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let mut serve = session.settings.serve();
        serve.workers = self.workers.unwrap_or(serve.workers);
        session
            .with_serving(async |station| {
                let stop = CancellationToken::new();
                // Before anybody is told that it works.
                let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
                let sockets = station.open_sockets().await;
                if let Some(reason) = sockets.unavailable() {
                    let told =
                        format!("Without a socket ({reason}): what models say is not followed, and other commands may be heard a second later.");
                    session.out.note(Tone::Plain, &told);
                }
                session.out.note(Tone::Good, &format!("Working with {} slots; Ctrl-C stops.", serve.workers));
                let end = CancellationToken::new();
                tokio::try_join!(
                    async {
                        let served = station.serve(&serve, stop.clone()).await;
                        stop.cancel();
                        // Whoever follows a run has heard what became of it.
                        end.cancel();
                        Ok(served?)
                    },
                    async {
                        sockets.answer(station, stop.clone(), end.clone()).await;
                        Ok(())
                    },
                    told_to_stop(session, signals, &stop, &end),
                )?;
                Ok(Code::Done)
            })
            .await
    }
}

async fn told_to_stop(
    session: &Session<'_>,
    signals: (io::Result<Signal>, io::Result<Signal>),
    stop: &CancellationToken,
    end: &CancellationToken,
) -> Result<()> {
    let (Ok(mut interrupts), Ok(mut terminations)) = signals else {
        session.out.warning("signals cannot be received here: only SIGKILL stops this process");
        end.cancelled().await;
        return Ok(());
    };
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
        () = stop.cancelled() => return Ok(()),
    }
    session.out.note(Tone::Plain, "Stopping: nothing new is begun; calls that are out are waited for.");
    stop.cancel();
    // Whoever is in a hurry: what is out then is unknown, as after a kill.
    tokio::select! {
        _ = interrupts.recv() => Err(Failure::Interrupted),
        () = end.cancelled() => Ok(()),
    }
}
