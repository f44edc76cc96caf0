//! The worker of `stn serve`: claims what waits while it has free slots, drives it, and lets go of it.
//!
//! The queue is the runs themselves in the store, so nothing is handed over and nothing can be lost between a queue
//! and a run: an interrupted run is claimed like a new one when its lease has lapsed. A parked run holds no slot.
//! A worker with nothing to do sleeps: it is told of work, and knows when something is due (`station_core::looking`).
//! **Invariant:** the wake-up is registered before the question is asked, so that work queued in between is seen.

use crate::Station;
use crate::lease::{Before, LEASE, Lease, millis};
use crate::signals::Signals;
use crate::tasks;
use crate::worker::{self, Limits, Ours};
use station_core::looking::LOOK_EVERY;
use station_core::run::{Status, WaitKind};
use station_core::{Kind, Micros, Result};
use station_store::{Run, RunFilter, Wanted};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Running runs that are looked at for a dead driver at a time; the rest is found by their leases.
const LOOKED_AT_MAX: u32 = 200;

/// How a worker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// Runs driven at a time: `execution.workers`.
    pub workers: u32,
    /// How long calls that are out are waited for when the worker is told to stop: `execution.drain_s`.
    pub drain_for: Duration,
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
        let work = async {
            let worked = self.work(serve, &stop).await;
            // Also where it could not even begin.
            stop.cancel();
            worked
        };
        tokio::select! {
            biased;
            (worked, ()) = async { tokio::join!(work, self.be_seen(&stop)) } => worked,
            never = self.heed_cancels() => match never {},
        }
    }

    /// The loop itself, without what makes this worker known to others.
    ///
    /// # Errors
    /// As [`Station::serve`].
    pub(crate) async fn work(&self, serve: &Serve, stop: &CancellationToken) -> Result<()> {
        let (since, look_at) = (self.now(), Instant::now());
        let serve = serve.clone();
        let mut work = Work { serve, stop: stop.clone(), since, is_behind: false, look_at };
        let mut driving: JoinSet<()> = JoinSet::new();
        let (mut wakes, mut times) = (self.store().wakes(), self.store().times());
        // What an older Station could not read may be known to this one.
        self.store().call_back(WaitKind::NewerStation, self.now()).await?;
        // First those whose Station is known to be gone: of them most is known.
        self.look(&mut work, &mut driving).await?;
        self.is_working().store(true, Ordering::Relaxed);
        // tracked: waited for below; it ends with `stop`.
        let retention = tokio::spawn(tasks::retention(self.clone(), stop.clone()));
        while !stop.is_cancelled() {
            let taken = tokio::select! {
                // Nothing here may keep another waiting for ever. The look comes around seldom, and sees everything; what is
                // over makes room and takes what is new as well.
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(work.look_at) => self.look(&mut work, &mut driving).await,
                Some(done) = driving.join_next(), if !driving.is_empty() => {
                    report(done);
                    work.look_within(LOOK_EVERY);
                    // Those whose driver is gone come before the queue, as long as there are some: their leases run.
                    if work.is_behind {
                        self.look(&mut work, &mut driving).await
                    } else {
                        self.take(&work, &mut driving).await
                    }
                }
                () = wakes.next() => {
                    work.look_within(LOOK_EVERY);
                    self.take(&work, &mut driving).await
                }
                () = times.next() => self.sleep(&driving).await.map(|sleep| work.look_within(sleep)),
            };
            if let Err(error) = taken {
                tracing::error!(%error, causes = ?error.causes(), "the queue could not be read; it is asked again");
            }
        }
        self.is_working().store(false, Ordering::Relaxed);
        while let Some(done) = driving.join_next().await {
            report(done);
        }
        if let Err(error) = retention.await {
            tracing::error!(%error, "removing old runs ended early");
        }
        Ok(())
    }

    /// Claims as many runs as there are free slots, in one transaction.
    async fn take(&self, work: &Work, driving: &mut JoinSet<()>) -> Result<()> {
        let n = work.free(driving);
        if n == 0 {
            return Ok(());
        }
        let wanted = Wanted { n, at_once: self.at_once().clone() };
        let asked_at = self.since_boot();
        let owner = worker::owner(self)?;
        for (run, fence) in self.store().claim_next(&owner, millis(LEASE), &wanted, self.now()).await? {
            let lease = Lease::new(self, run.id, fence, asked_at, Before::Unsure);
            // What was last driven before this worker began was let go of: that time does not count.
            self.drive_on(work, run, lease, work.since, driving);
        }
        Ok(())
    }

    /// Ends questions that waited too long, and takes runs whose leases have lapsed, and those of processes of this host
    /// that are gone, for which nobody needs to wait so long.
    async fn look(&self, work: &mut Work, driving: &mut JoinSet<()>) -> Result<()> {
        // Where the store fails half-way, too.
        work.look_at = Instant::now() + LOOK_EVERY;
        self.store().free_due(self.now()).await?;
        let filter = RunFilter { status: Some(Status::Running), ..RunFilter::default() };
        work.is_behind = false;
        for run in self.store().runs(&filter, LOOKED_AT_MAX).await? {
            if !run.lease.as_ref().is_some_and(worker::is_dead) {
                continue;
            }
            if work.free(driving) == 0 {
                work.is_behind = true;
                break;
            }
            match worker::claim(self, run.id, Limits::Hold).await {
                Ok(Ours::Claimed(claimed)) => {
                    let (run, lease) = *claimed;
                    self.drive_on(work, run, lease, self.now(), driving);
                }
                Ok(Ours::Ended | Ours::Held(_) | Ours::Full(_)) => {}
                // Its tool servers are still ending, and so are those of the others of that Station: next time.
                Err(error) if error.kind() == Kind::Busy => {
                    tracing::warn!(run = %run.id, %error, "runs are not taken up yet");
                    break;
                }
                Err(error) => {
                    tracing::error!(run = %run.id, %error, causes = ?error.causes(), "a run was not taken up");
                }
            }
        }
        self.store().expire_approvals(self.now()).await?;
        self.take(work, driving).await?;
        work.look_at = Instant::now() + self.sleep(driving).await?;
        Ok(())
    }

    /// How long nobody need look.
    async fn sleep(&self, driving: &JoinSet<()>) -> Result<Duration> {
        Ok(self.store().ahead().await?.sleep(driving.len() as u64, self.now()))
    }

    fn drive_on(&self, work: &Work, run: Run, lease: Lease, resumed_at: Micros, driving: &mut JoinSet<()>) {
        let signals = Signals::of_worker(work.stop.clone(), work.serve.drain_for).resumed(resumed_at);
        let station = self.clone();
        driving.spawn(async move {
            if let Err(error) = worker::drive_claimed(&station, &run, &lease, &signals).await {
                tracing::error!(run = %run.id, %error, causes = ?error.causes(), "a run was let go of");
            }
        });
    }
}

/// What every driver of one worker shares.
struct Work {
    serve: Serve,
    stop: CancellationToken,
    since: Micros,
    /// There are runs of processes that are gone, and no slot was free for them when it was looked last.
    is_behind: bool,
    /// When it is looked next, if nothing is told before.
    look_at: Instant,
}

impl Work {
    /// Something changed: who drives what, so that it is worth a look soon whether they are still there.
    fn look_within(&mut self, within: Duration) {
        self.look_at = self.look_at.min(Instant::now() + within);
    }

    fn free(&self, driving: &JoinSet<()>) -> u32 {
        self.serve.workers.saturating_sub(u32::try_from(driving.len()).unwrap_or(u32::MAX))
    }
}

/// A task that panicked must not take the worker with it; its run's lease lapses and the run is claimed again.
fn report(done: std::result::Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "a driver ended without letting go of its run");
    }
}
