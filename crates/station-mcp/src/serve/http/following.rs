//! Resources that a legacy session follows, and its streams, which tell of them.
//!
//! A client opens its stream right after the greeting and follows resources later, so a stream takes up what is followed whenever that
//! changes: what was added is begun, what was taken out is let go of, and the rest goes on as it is. A wish to follow is answered once
//! every open stream has taken it up: what changes after the answer is told.

use super::super::listen::{told, unasked};
use super::super::{Asked, Change, Fault, Host, Wanted};
use crate::serve::frame::Written;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Resources that one session may follow.
const FOLLOWED_MAX: usize = 1_000;

/// A wish to follow is answered after this time also where a stream has not taken it up: a server that says nothing keeps it.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(5);

/// What is followed, with a number that grows with every change.
#[derive(Clone, Default)]
struct Uris {
    version: u64,
    all: BTreeSet<String>,
}

#[derive(Default)]
pub(super) struct Following {
    uris: watch::Sender<Uris>,
    /// The number that each open stream has taken up.
    streams: watch::Sender<BTreeMap<Uuid, u64>>,
    /// When a stream was closed the last time.
    closed_at: Mutex<Option<Instant>>,
}

/// An open stream, until it is dropped.
pub(super) struct Open {
    following: Arc<Following>,
    id: Uuid,
    uris: watch::Receiver<Uris>,
}

impl Following {
    /// Follows a resource from now on.
    ///
    /// # Errors
    /// `Params` where it is one too many.
    pub(super) async fn add(&self, uri: String) -> Result<(), Fault> {
        let mut fits = true;
        self.uris.send_if_modified(|uris| {
            fits = uris.all.len() < FOLLOWED_MAX || uris.all.contains(&uri);
            let is_new = fits && uris.all.insert(uri);
            uris.version += u64::from(is_new);
            is_new
        });
        if !fits {
            return Err(Fault::Params(format!("more than {FOLLOWED_MAX} resources are followed")));
        }
        let version = self.uris.borrow().version;
        let mut streams = self.streams.subscribe();
        let taken_up = streams.wait_for(|streams| streams.values().all(|taken_up| *taken_up >= version));
        if tokio::time::timeout(TAKEN_UP_WITHIN, taken_up).await.is_err() {
            tracing::debug!("a stream has not taken up yet what it is to follow");
        }
        Ok(())
    }

    /// Follows a resource no more.
    pub(super) fn remove(&self, uri: &str) {
        self.uris.send_if_modified(|uris| {
            let was_there = uris.all.remove(uri);
            uris.version += u64::from(was_there);
            was_there
        });
    }

    /// Whether a stream is open.
    pub(super) fn is_open(&self) -> bool {
        !self.streams.borrow().is_empty()
    }

    /// When a stream was closed the last time.
    pub(super) fn closed_at(&self) -> Option<Instant> {
        *self.closed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a stream that opens.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        let id = Uuid::now_v7();
        self.streams.send_modify(|streams| {
            streams.insert(id, 0);
        });
        let mut uris = self.uris.subscribe();
        uris.mark_changed();
        Open { following: Arc::clone(self), id, uris }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut closed_at = self.following.closed_at.lock().unwrap_or_else(PoisonError::into_inner);
        *closed_at = Some(Instant::now());
        self.following.streams.send_modify(|streams| {
            streams.remove(&self.id);
        });
    }
}

impl Open {
    /// Tells what changes until `gone`: every list, and the resources that are followed at each moment.
    pub(super) async fn tell(
        mut self,
        host: &dyn Host,
        asked: &Asked,
        outlet: &mpsc::Sender<Written>,
        gone: &CancellationToken,
    ) {
        let tell = async {
            let mut lists = host.changes(asked, unasked(&host.about())).await;
            let mut followed = BTreeMap::new();
            loop {
                let change = tokio::select! {
                    Ok(()) = self.uris.changed() => None,
                    change = next(followed.values_mut().chain([&mut lists])) => Some(change),
                };
                let Some(change) = change else {
                    self.take_up(host, asked, &mut followed).await;
                    continue;
                };
                if outlet.send(told(&change, None).into()).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = tell => {}
            () = gone.cancelled() => {}
        }
    }

    /// Begins what is followed since the last time, and lets go of what is no more.
    async fn take_up(&mut self, host: &dyn Host, asked: &Asked, followed: &mut BTreeMap<String, Changes>) {
        let uris = self.uris.borrow_and_update().clone();
        followed.retain(|uri, _| uris.all.contains(uri));
        for uri in uris.all {
            if let Entry::Vacant(new) = followed.entry(uri) {
                let wanted = Wanted { uris: vec![new.key().clone()], ..Wanted::default() };
                new.insert(host.changes(asked, wanted).await);
            }
        }
        self.following.streams.send_modify(|streams| {
            streams.insert(self.id, uris.version);
        });
    }
}

type Changes = BoxStream<'static, Change>;

/// The next change of any of them.
async fn next<'c>(all: impl Iterator<Item = &'c mut Changes>) -> Change {
    match stream::select_all(all).next().await {
        Some(change) => change,
        // Nothing will change any more; the stream stays open all the same.
        None => std::future::pending().await,
    }
}
