//! The worker of `stn serve`: claims what waits while it has free slots, drives it, and lets go of it.
//!
//! The queue is the runs themselves in the store, so nothing is handed over and nothing can be lost between a queue
//! and a run: an interrupted run is claimed like a new one when its lease has lapsed. A parked run holds no slot.
//! **Invariant:** the wake-up is registered before the question is asked, so that work queued in between is seen.

use crate::lease::{LEASE, Lease, millis, since_boot};
use crate::signals::Signals;
use crate::{Station, worker};
use station_core::{Micros, Result, RunId};
use station_store::Wanted;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often the queue is looked at although nothing woke the worker: leases lapse silently.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How a worker works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Runs driven at a time: `execution.workers`.
    pub workers: u32,
    /// How long calls that are out are waited for when the worker is told to stop: `execution.drain_s`.
    pub drain_for: Duration,
    /// Runs of one environment at a time.
    pub environment_max: Option<u32>,
    /// Runs of one agent at a time.
    pub agent_max: Option<u32>,
}

impl Serve {
    /// `execution.workers`.
    pub const WORKERS: u32 = 50;
    /// `execution.drain_s`.
    pub const DRAIN_FOR: Duration = Duration::from_secs(25);
}

impl Station {
    /// Drives what is in the queue until `stop` is cancelled, and then lets go of every run: requests to models are
    /// dropped and asked again by whoever goes on, calls are waited for, and nothing is left running.
    ///
    /// # Errors
    /// The store's, where it cannot even be asked for work at the start; later failures are logged and tried again.
    pub async fn serve(&self, serve: &Serve, stop: CancellationToken) -> Result<()> {
        let mut driving: JoinSet<()> = JoinSet::new();
        let mut wakes = self.store().wakes();
        let mut asked_before = false;
        let work = Work { serve: *serve, stop: stop.clone(), since: self.now() };
        while !stop.is_cancelled() {
            let taken = u32::try_from(driving.len()).unwrap_or(u32::MAX);
            match self.take(&work, serve.workers.saturating_sub(taken), &mut driving).await {
                Ok(()) => asked_before = true,
                Err(error) if asked_before => tracing::error!(%error, "the queue could not be read"),
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = wakes.next() => {}
                Some(done) = driving.join_next(), if !driving.is_empty() => report(done),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        while let Some(done) = driving.join_next().await {
            report(done);
        }
        Ok(())
    }

    async fn take(&self, work: &Work, free: u32, driving: &mut JoinSet<()>) -> Result<()> {
        if free == 0 {
            return Ok(());
        }
        let wanted =
            Wanted { n: free, environment_max: work.serve.environment_max, agent_max: work.serve.agent_max };
        let asked_at = since_boot();
        let owner = worker::owner(self)?;
        for (run, fence) in self.store().claim_next(&owner, millis(LEASE), &wanted, self.now()).await? {
            let (station, id) = (self.clone(), run.id);
            // What was last driven before this worker began was interrupted, or let go of: that time does not count.
            let signals = Signals::of_worker(work.stop.clone(), work.serve.drain_for).resumed(work.since);
            driving.spawn(async move {
                let lease = Lease::new(id, fence, asked_at);
                if let Err(error) = worker::drive_claimed(&station, &run, &lease, &signals).await {
                    told(id, &error);
                }
            });
        }
        Ok(())
    }
}

/// What every driver of one worker shares.
struct Work {
    serve: Serve,
    stop: CancellationToken,
    since: Micros,
}

fn told(run: RunId, error: &station_core::Error) {
    tracing::error!(%run, %error, causes = ?error.causes(), "a run was let go of");
}

/// A task that panicked must not take the worker with it; its run's lease lapses and the run is claimed again.
fn report(done: std::result::Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "a driver ended without letting go of its run");
    }
}
