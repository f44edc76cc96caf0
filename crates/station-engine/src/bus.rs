//! Live run events, for whoever watches. What must be kept is in the journal; the bus may forget.

use station_core::RunId;
use station_core::run::Entry;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::broadcast;

/// Events a slow watcher may fall behind before it misses some: a few seconds of the fastest stream.
const BACKLOG_MAX: usize = 4096;

/// Something that is happening in a run.
#[derive(Clone, Debug)]
pub struct Live {
    /// The run.
    pub run: RunId,
    /// How deep it is in a tree of sub-agents.
    pub depth: u32,
    /// The agent's name.
    pub agent: String,
    /// What is happening.
    pub seen: Seen,
}

/// What can be seen live.
#[derive(Clone, Debug)]
pub enum Seen {
    /// An entry of the journal; it is committed.
    Journal(Box<Entry>),
    /// A piece of a model's text, as it arrives. Not kept: the answer is.
    Text(String),
    /// A request to a model is retried.
    Retry {
        /// 1 for the first.
        attempt: u32,
        /// How long it waits.
        after: Duration,
        /// Why.
        reason: String,
    },
    /// Who drives the run has changed, or nobody does, in words.
    Hands(String),
    /// The run waits for its turn at something that may not be asked so often.
    Paced {
        /// What, in words.
        on: String,
        /// For how long.
        wait: Duration,
    },
    /// A server is being connected and listed.
    Discovery {
        /// Its name.
        server: String,
        /// Number of tools, or why it failed.
        result: Result<usize, String>,
    },
}

/// Receives live events; those missed because the watcher was too slow are counted. All watchers share each event: a thousand who
/// watch one run each hear of all runs.
#[derive(Debug)]
pub struct Watch(broadcast::Receiver<Arc<Live>>);

impl Watch {
    /// The next event, or how many were missed; `None` when Station is closed.
    pub async fn next(&mut self) -> Option<Result<Arc<Live>, u64>> {
        match self.0.recv().await {
            Ok(live) => Some(Ok(live)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next event if one is there already.
    pub fn try_next(&mut self) -> Option<Arc<Live>> {
        loop {
            match self.0.try_recv() {
                Ok(live) => return Some(live),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => {
                    return None;
                }
            }
        }
    }
}

/// Its backlog takes 160 KB: it is made when somebody watches, and most commands watch nothing.
#[derive(Debug, Default)]
pub(crate) struct Bus(OnceLock<broadcast::Sender<Arc<Live>>>);

impl Bus {
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.0.get_or_init(|| broadcast::Sender::new(BACKLOG_MAX)).subscribe())
    }

    /// Tells whoever watches; nobody watching is the normal case.
    pub(crate) fn tell(&self, live: Live) {
        if let Some(sender) = self.0.get().filter(|sender| sender.receiver_count() > 0) {
            drop(sender.send(Arc::new(live)));
        }
    }
}
