//! What belongs to a run alone, after the run was parked: it stays for a moment, because what the run waits for may come at once.
//!
//! Whoever said yes beforehand, or decides by a program, does so within it, and finds the server as the run left it; starting
//! it anew would cost two processes. A run that waits longer keeps nothing running, and where a place is needed nothing lingers.

use super::{Pool, Shared};
use station_core::RunId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long: no person reads a question in less.
const LINGER: Duration = Duration::from_secs(1);

/// Runs that were parked a moment ago, and how their servers are kept from being closed.
#[derive(Default)]
pub(super) struct Lingering(Mutex<HashMap<RunId, CancellationToken>>);

impl Lingering {
    pub(super) fn has(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Closes the connections that belong to a run that was parked alone, unless it is taken up in a moment.
    pub(crate) fn leave_run(&self, run: RunId) {
        if !self.slots().keys().any(|key| key.run == Some(run)) {
            return;
        }
        let kept = CancellationToken::new();
        self.shared.lingering.lock().insert(run, kept.clone());
        self.shared.tasks.spawn(close_later(Arc::clone(&self.shared), run, kept));
    }

    /// A run is driven on: what belongs to it stays.
    pub(crate) fn take_up_run(&self, run: RunId) {
        if let Some(kept) = self.shared.lingering.lock().remove(&run) {
            kept.cancel();
        }
    }
}

async fn close_later(shared: Arc<Shared>, run: RunId, kept: CancellationToken) {
    tokio::select! {
        () = kept.cancelled() => return,
        // Then everything is closed.
        () = shared.closing.cancelled() => return,
        () = tokio::time::sleep(LINGER) => {}
    }
    {
        let mut lingering = shared.lingering.lock();
        if kept.is_cancelled() {
            return;
        }
        lingering.remove(&run);
    }
    shared.close_where(|key, _| key.run == Some(run)).await;
}
