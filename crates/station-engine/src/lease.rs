//! What is left of a driver's right to a run, by the monotonic clock.
//!
//! The store decides who owns a run; this is the owner's own estimate, kept on the safe side: it counts from before
//! the request for renewal was sent, so it lapses here before it lapses there.

use crate::Station;
use station_core::{Error, Fence, Result, RunId};
use station_store::Renewed;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a lease lasts: long enough for a stall of the database, short enough that a crashed host's runs move on
/// within a coffee break's patience.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// Renewed three times as often as needed, so that two renewals may be lost.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// No effect is sent with less than this left: time for the send itself to leave the process.
const MARGIN: Duration = Duration::from_secs(5);

pub(crate) struct Lease {
    run: RunId,
    fence: Fence,
    renewed: Mutex<Instant>,
}

impl Lease {
    pub(crate) fn new(run: RunId, fence: Fence, asked_at: Instant) -> Self {
        Self { run, fence, renewed: Mutex::new(asked_at) }
    }

    pub(crate) fn fence(&self) -> Fence {
        self.fence
    }

    /// Refuses where too little is left to send anything.
    ///
    /// # Errors
    /// `Conflict`: the run may belong to somebody else by now.
    pub(crate) fn check(&self) -> Result<()> {
        let renewed = *self.renewed.lock().expect("no holder of this lock can panic");
        if renewed.elapsed() + MARGIN < LEASE {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "the lease on run {} ran out: the store could not be reached in time",
            self.run
        )))
    }

    /// Renews until the lease is lost; then says so. Never returns `Ok`.
    pub(crate) async fn keep(&self, station: &Station) -> Error {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let asked_at = Instant::now();
            match station.store().renew(self.run, self.fence, millis(LEASE)).await {
                Ok(Renewed::Kept { .. }) => {
                    *self.renewed.lock().expect("no holder of this lock can panic") = asked_at
                }
                Ok(Renewed::Lost) => {
                    return Error::conflict(format!("run {} was taken over by another worker", self.run));
                }
                Err(error) if self.check().is_ok() => {
                    tracing::warn!(run = %self.run, %error, "the lease was not renewed");
                }
                Err(error) => return error,
            }
        }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
