//! What is left of a driver's right to a run, by the clock since boot.
//!
//! The store decides who owns a run; this is the owner's own estimate, kept on the safe side: it counts from before
//! the request for renewal was sent, so it lapses here before it lapses there.

use crate::signals::Signals;
use crate::{Clock, Station};
use station_core::{Error, Fence, Result, RunId};
use station_store::Renewed;
use std::sync::Mutex;
use std::time::Duration;

/// How long a lease lasts: long enough for a stall of the database, short enough that a crashed host's runs move on
/// within a coffee break's patience.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// Renewed three times as often as needed, so that two renewals may be lost.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(10);

/// No effect is sent with less than this left: time for the send itself to leave the process.
const MARGIN: Duration = Duration::from_secs(5);

/// What is known of whoever held a run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// The process that held it under this fence is gone, and all its children: what *it* sent is at work nowhere any more. It may
    /// have died before it sent anything, and who drove before it may be there still.
    Gone(Fence),
    /// Nobody drove it, it let go by itself, or it may still be there.
    Unsure,
}

pub(crate) struct Lease {
    run: RunId,
    fence: Fence,
    before: Before,
    clock: Clock,
    /// When the last renewal that was granted was asked for, since boot.
    renewed: Mutex<Duration>,
}

impl Lease {
    /// A lease that was asked for at `asked_at`, by the clock since boot.
    pub(crate) fn new(
        station: &Station,
        run: RunId,
        fence: Fence,
        asked_at: Duration,
        before: Before,
    ) -> Self {
        let clock = station.config().clock.clone();
        Self { run, fence, before, clock, renewed: Mutex::new(asked_at) }
    }

    /// What is known of whoever drove the run before.
    pub(crate) fn before(&self) -> Before {
        self.before
    }

    pub(crate) fn fence(&self) -> Fence {
        self.fence
    }

    /// Refuses where too little is left to send anything.
    ///
    /// # Errors
    /// `Conflict`: the run may belong to somebody else by now.
    pub(crate) fn check(&self) -> Result<()> {
        if self.left().is_zero() { Err(self.ran_out()) } else { Ok(()) }
    }

    /// Renews until the lease is lost, and says so; hands on a wish that the run should end.
    pub(crate) async fn keep(&self, station: &Station, signals: &Signals) -> Error {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let asked_at = self.clock.since_boot();
            let renewal = station.store().renew(self.run, self.fence, millis(LEASE));
            // A store that hangs must not keep a driver that has nothing left to drive with.
            match tokio::time::timeout(self.left(), renewal).await {
                Ok(Ok(Renewed::Kept { cancel_requested_by })) => {
                    *self.renewed.lock().expect("no holder of this lock can panic") = asked_at;
                    if let Some(by) = cancel_requested_by {
                        signals.cancel(&by);
                    }
                }
                Ok(Ok(Renewed::Lost)) => {
                    return Error::conflict(format!("run {} was taken over by another worker", self.run));
                }
                Ok(Err(error)) if self.check().is_ok() => {
                    tracing::warn!(run = %self.run, %error, "the lease was not renewed");
                }
                Ok(Err(error)) => return error,
                Err(_) => return self.ran_out(),
            }
        }
    }

    /// What is left until nothing may be sent any more.
    fn left(&self) -> Duration {
        let renewed = *self.renewed.lock().expect("no holder of this lock can panic");
        (LEASE - MARGIN).saturating_sub(self.clock.since_boot().saturating_sub(renewed))
    }

    fn ran_out(&self) -> Error {
        Error::conflict(format!(
            "the lease on run {} ran out: the store could not be reached in time",
            self.run
        ))
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
