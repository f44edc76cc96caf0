//! How many connections there may be: children are bounded by configuration, because each is a process; remote ones by a
//! number of ours, because each is a socket. Neither takes the other's room.

use super::slot::Slot;
use super::{Key, Pool, Reach};
use station_core::{RunId, Transport};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections to remote servers at a time. Each is a socket or a few; half of what a process may open by default, so that
/// a store and a worker's socket always find theirs.
const REMOTES_MAX: usize = 256;

/// Room for connections of one transport.
pub(super) struct Bound {
    places: Arc<Semaphore>,
    /// What is said where there is none.
    full: String,
}

impl Bound {
    pub(super) fn of_processes(places: usize) -> Self {
        let full = format!("all {places} connections (`pool.processes_max`) are in use");
        Self { places: Arc::new(Semaphore::new(places)), full }
    }

    pub(super) fn of_remotes() -> Self {
        let full = format!("all {REMOTES_MAX} connections to remote servers are in use");
        Self { places: Arc::new(Semaphore::new(REMOTES_MAX)), full }
    }
}

impl Pool {
    /// Room for one more connection of the same transport, for `run`: a free place, or the one of that which was idle
    /// longest.
    pub(super) async fn place(
        &self,
        reach: &Reach,
        run: Option<RunId>,
    ) -> Result<OwnedSemaphorePermit, String> {
        let transport = reach.definition.transport();
        let bound = match transport {
            Transport::Stdio => &self.shared.processes,
            Transport::Http => &self.shared.remotes,
        };
        let found = tokio::time::timeout(self.connect_timeout(reach), async {
            loop {
                let released = self.shared.released.notified();
                if let Ok(permit) = Arc::clone(&bound.places).try_acquire_owned() {
                    return permit;
                }
                match self.idlest(transport, run) {
                    Some(idlest) => {
                        if idlest.run.is_some_and(|run| !self.shared.lingering.has(run)) {
                            tracing::warn!(
                                run = run.map(|run| run.0),
                                server = idlest.server.0,
                                "a server of a run's own is closed before the run has ended, because another one of the run needs its place (`pool.processes_max`)"
                            );
                        }
                        // Its place is for this run, and makes no room for others.
                        let picked = self.slots().remove(&idlest);
                        self.shared.close_all(picked.into_iter().collect(), None).await;
                    }
                    None => released.await,
                }
            }
        });
        found.await.map_err(|_| {
            let what = match transport {
                Transport::Stdio => "started",
                Transport::Http => "connected to",
            };
            format!("server `{}` was not {what}: {}", reach.name, bound.full)
        })
    }

    /// The open connection that nobody uses and that was idle longest. What belongs to a run is used until that ends, with
    /// one exception: where no connection at all is in use, nothing but the end of a run would make room, and `run` would
    /// wait for its own. Then it gives one of its own up, unless something is being closed just now, which makes room in a
    /// moment.
    pub(super) fn idlest(&self, transport: Transport, run: Option<RunId>) -> Option<Key> {
        let slots = self.slots();
        let open: Vec<(&Key, &Arc<Slot>)> =
            slots.iter().filter(|(key, slot)| key.transport == transport && slot.is_open()).collect();
        let is_idle = |slot: &Arc<Slot>| Arc::strong_count(slot) == 1;
        let longest = |of: Option<RunId>| {
            let idle = open.iter().filter(|(key, slot)| key.run == of && is_idle(slot));
            idle.min_by_key(|(_, slot)| slot.used()).map(|(key, _)| (*key).clone())
        };
        let left = open
            .iter()
            .find(|(key, slot)| is_idle(slot) && key.run.is_some_and(|run| self.shared.lingering.has(run)));
        let own =
            run.filter(|_| self.shared.leaving.is_empty() && open.iter().all(|(_, slot)| is_idle(slot)));
        longest(None)
            .or_else(|| left.map(|(key, _)| (*key).clone()))
            .or_else(|| own.and_then(|run| longest(Some(run))))
    }
}
