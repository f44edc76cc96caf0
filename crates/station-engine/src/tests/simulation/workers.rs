//! A whole worker, as `stn serve` runs it: it looks for work, claims, drives in its slots, renews, heeds wishes, drains.
//!
//! The runtime polls its tasks, so a crash falls between two rounds of polls, not between any two polls as where the
//! schedule drives runs itself. All workers are of one process, so none is seen to be gone: their leases lapse.

use crate::{Serve, Station};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Fewer slots than there are runs, so that the queue is one.
const SLOTS: u32 = 4;

pub(super) struct Worker {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Worker {
    pub(super) fn start(station: &Station) -> Self {
        let (station, stop) = (station.clone(), CancellationToken::new());
        let until = stop.clone();
        let task = tokio::spawn(async move {
            let serve = Serve { workers: SLOTS, drain_for: Serve::DRAIN_FOR };
            tokio::select! {
                biased;
                worked = station.work(&serve, &until) => worked.expect("the store works"),
                never = station.heed_cancels() => match never {},
            }
        });
        Self { task, stop }
    }

    /// It is told to stop: it begins nothing and lets go of everything.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// It is gone, and its drivers with it.
    pub(super) async fn crash(self) {
        self.task.abort();
        let ended = self.task.await;
        assert!(ended.is_ok() || ended.is_err_and(|error| error.is_cancelled()), "a worker panicked");
        // What removes old runs is a task of its own, which only this ends.
        self.stop.cancel();
        tokio::task::yield_now().await;
    }
}
