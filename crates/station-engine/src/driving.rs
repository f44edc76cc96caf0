//! The runs that this process drives, so that a wish that one should end reaches its driver at once.
//!
//! The wish itself is a mark on the run's row; what is heard here (from this store, another process's socket, or
//! PostgreSQL) only says that it is time to look. What is not heard is found when the lease is renewed.

use crate::Station;
use crate::signals::Signals;
use station_core::RunId;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who drives what, in this process.
#[derive(Debug, Default)]
pub(crate) struct Driving(Mutex<HashMap<RunId, Signals>>);

/// A run is driven here until this is dropped.
pub(crate) struct Driven<'a> {
    driving: &'a Driving,
    run: RunId,
}

impl Driving {
    pub(crate) fn enter(&self, run: RunId, signals: &Signals) -> Driven<'_> {
        self.lock().insert(run, signals.clone());
        Driven { driving: self, run }
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn cancel(&self, run: RunId, by: &str) {
        if let Some(signals) = self.lock().get(&run) {
            signals.cancel(by);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Signals>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Driven<'_> {
    fn drop(&mut self) {
        self.driving.lock().remove(&self.run);
    }
}

impl Station {
    /// Hands wishes to end on to the drivers of this process as they are heard.
    pub(crate) async fn heed_cancels(&self) -> Infallible {
        let mut cancels = self.store().cancels();
        loop {
            cancels.next().await;
            self.heed_wishes().await;
        }
    }

    /// Looks which of the runs that are driven here somebody asked to end.
    async fn heed_wishes(&self) {
        if self.driving().is_empty() {
            return;
        }
        match self.store().wishes().await {
            Ok(wishes) => wishes.iter().for_each(|(run, by)| self.driving().cancel(*run, by)),
            // The renewal of the lease brings it too.
            Err(error) => tracing::warn!(%error, "wishes to end runs were not read"),
        }
    }
}
