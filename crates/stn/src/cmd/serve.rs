//! `stn serve`

use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Work off the queue until told to stop
///
/// Drives what `stn agent run --detach` put in the queue, and takes up runs whose process is gone. Several may share one
/// store. Ctrl-C or SIGTERM stops it: nothing new is begun, requests to models are dropped and asked again by the next
/// worker, calls that are out are waited for as long as `execution.drain_s` says, and no run is left as running. Server
/// files may ask for variables of this process's environment only where `env_passthrough` or STN_ENV_PASSTHROUGH names
/// them.
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
                session.out.note(Tone::Good, &format!("Working with {} slots; Ctrl-C stops.", serve.workers));
                let (served, ()) = tokio::join!(
                    async {
                        let served = station.serve(&serve, stop.clone()).await;
                        stop.cancel();
                        served
                    },
                    told_to_stop(session, &stop),
                );
                served?;
                Ok(Code::Done)
            })
            .await
    }
}

async fn told_to_stop(session: &Session<'_>, stop: &CancellationToken) {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupts), Ok(mut terminations)) = signals else {
        session.out.warning("signals cannot be received here: only SIGKILL stops this process");
        return stop.cancelled().await;
    };
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
        () = stop.cancelled() => return,
    }
    session.out.note(Tone::Plain, "Stopping: nothing new is begun; calls that are out are waited for.");
    stop.cancel();
}
