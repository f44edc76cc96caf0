//! Which workers are there: by their socket on SQLite, by a row that each renews on PostgreSQL.

use crate::local::{Ask, Line};
use crate::{Clock, Station, worker};
use station_core::Result;
use station_store::{Instance, Location};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a worker says that it is there.
pub(crate) const SEEN_EVERY: Duration = Duration::from_secs(5);

/// A worker that has not said so for this long is gone: three times as long, so that two may be lost.
pub(crate) const GONE_AFTER: Duration = Duration::from_secs(15);

impl Station {
    /// The names of workers that take up what is queued now, oldest first. One on SQLite that could open no socket is
    /// not found; it works all the same.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_workers(&self) -> Result<Vec<String>> {
        match self.config().location {
            Location::Sqlite(_) => {
                Ok(Line::open(self).await.map(|line| line.worker().to_owned()).into_iter().collect())
            }
            Location::Postgres(_) => {
                let instances = self.store().instances(crate::lease::millis(GONE_AFTER)).await?;
                let there = instances.into_iter().filter(|instance| !worker::is_gone(&instance.owner));
                Ok(there.map(|instance| instance.owner.worker).collect())
            }
        }
    }

    /// Tells the worker of this store that there is work; who follows a run does that anyway. Where nobody hears it, the
    /// work is found later.
    pub async fn wake_worker(&self) {
        self.ring_worker(Ask::Wake).await;
    }

    /// Asks the worker of this store, where there is one, for something that needs no answer.
    pub(crate) async fn ring_worker(&self, ask: Ask) {
        drop(Line::ask(self, ask).await);
    }

    /// Says that this worker is there, until `stop`.
    pub(crate) async fn be_seen(&self, stop: &CancellationToken) {
        if matches!(self.config().location, Location::Sqlite(_)) {
            return;
        }
        let owner = match worker::owner(self) {
            Ok(owner) => owner,
            Err(error) => return tracing::error!(%error, "others do not see that this worker is there"),
        };
        let instance = Instance { id: Clock::effect_id().to_string(), owner, started_at: self.now() };
        while !stop.is_cancelled() {
            if let Err(error) = self.store().renew_instance(&instance).await {
                tracing::warn!(%error, "others may not see that this worker is there");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(SEEN_EVERY) => {}
            }
        }
        if let Err(error) = self.store().remove_instance(&instance.id).await {
            tracing::warn!(%error, "others may think for a moment that this worker is still there");
        }
    }
}
