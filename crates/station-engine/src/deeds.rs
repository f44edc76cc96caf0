//! Calls that are passed on, on their way into the audit: written in groups, because a row of its own costs each of them a flush
//! of the disk, which is more than all the rest of the way.
//!
//! A call takes its place in a queue before it is sent, and its row is committed within a tenth of a second. The queue has an
//! end: whoever finds it full waits, and is turned away where that takes too long, so that nothing is sent that could not be
//! told. What was queued is written before Station closes. **What may be lost:** a process that is killed takes along what it
//! had queued in its last tenth of a second. **Invariant:** only what a rule allows without a person goes this way; what was refused,
//! and what somebody said yes to, is written before anything else happens.

use station_core::{Error, Kind, Result};
use station_store::{Deed, Store};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Deeds that may wait: twenty thousand calls a second fill it in the time of one group, more than one process passes on.
const WAITING_MAX: usize = 1_024;

/// How long a group is gathered: half of the tenth of a second that is promised, so that the commit has the other half.
const GATHER: Duration = Duration::from_millis(50);

/// How long a call may wait for its place: a database that is away for longer is away for its caller, too.
const PLACE_WITHIN: Duration = Duration::from_secs(10);

/// Between two tries where the database does not take a group.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Tries of what is left when Station closes: nobody can be kept waiting for a database that does not come back.
const LAST_TRIES: u32 = 3;

/// The queue.
#[derive(Default)]
pub(crate) struct Deeds(Mutex<State>);

#[derive(Default)]
enum State {
    /// Nothing was queued yet.
    #[default]
    Resting,
    Writing {
        queue: mpsc::Sender<Deed>,
        writing: JoinHandle<()>,
    },
    Closed,
}

impl Deeds {
    /// Queues what is about to be done.
    ///
    /// # Errors
    /// `Busy` where the database does not keep up, `Conflict` where Station is closed: then nothing may be sent.
    pub(crate) async fn note(&self, store: &Store, deed: Deed) -> Result<()> {
        let queue = self.queue(store)?;
        match tokio::time::timeout(PLACE_WITHIN, queue.send(deed)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(Error::new(Kind::Busy, "the audit cannot be written: nothing is called meanwhile")
                .with_hint("look after the database, then try again")),
        }
    }

    /// Takes nothing more, and waits until what was queued is written.
    pub(crate) async fn close(&self) {
        let state = std::mem::replace(&mut *self.lock(), State::Closed);
        if let State::Writing { queue, writing } = state {
            drop(queue);
            if writing.await.is_err() {
                tracing::error!("what writes calls into the audit ended early");
            }
        }
    }

    fn queue(&self, store: &Store) -> Result<mpsc::Sender<Deed>> {
        let mut state = self.lock();
        match &*state {
            State::Closed => Err(closed()),
            State::Writing { queue, .. } => Ok(queue.clone()),
            State::Resting => {
                let (queue, deeds) = mpsc::channel(WAITING_MAX);
                // tracked: `close` waits for it, and a Station that is dropped ends it with its queue.
                let writing = tokio::spawn(write(store.clone(), deeds));
                *state = State::Writing { queue: queue.clone(), writing };
                Ok(queue)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::conflict("Station is about to end: nothing more is called")
}

/// Writes what is queued, a group at a time, until the queue is closed and empty.
async fn write(store: Store, mut deeds: mpsc::Receiver<Deed>) {
    while let Some(first) = deeds.recv().await {
        let mut group = vec![first];
        if !deeds.is_closed() {
            tokio::time::sleep(GATHER).await;
        }
        while group.len() < WAITING_MAX
            && let Ok(next) = deeds.try_recv()
        {
            group.push(next);
        }
        write_group(&store, group, &deeds).await;
    }
}

/// Writes one group. While the database does not take it, the queue fills, and whoever calls waits.
async fn write_group(store: &Store, group: Vec<Deed>, deeds: &mpsc::Receiver<Deed>) {
    let (mut tries_left, mut is_told) = (LAST_TRIES, false);
    while let Err(error) = store.note_deeds(group.clone()).await {
        if !std::mem::replace(&mut is_told, true) {
            tracing::error!(n = group.len(), %error, "calls are not in the audit yet");
        }
        if deeds.is_closed() {
            tries_left -= 1;
        }
        if tries_left == 0 {
            tracing::error!(n = group.len(), "calls that were made are not in the audit");
            return;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::{Actor, Micros};
    use station_store::{AuditFilter, Key, LeaseClock, Location, Options};

    async fn store(folder: &std::path::Path) -> Store {
        let location = Location::Sqlite(folder.join("station.db"));
        let key = Key::generate().unwrap();
        Store::open(Options { location, keys: key.into(), lease_clock: LeaseClock::System }).await.unwrap()
    }

    fn deed(n: usize) -> Deed {
        let (actor, subject) = (Actor::from("ada"), format!("tool {n}"));
        Deed { at: Micros(1), actor, action: "call_tool", subject, detail: "{}".to_owned() }
    }

    #[tokio::test]
    async fn what_was_queued_is_written_in_groups_and_whole_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let (deeds, n) = (Deeds::default(), WAITING_MAX * 2);
        let before = store.commits();
        for at in 0..n {
            deeds.note(&store, deed(at)).await.unwrap();
        }
        deeds.close().await;
        let groups = store.commits() - before;
        assert!(groups < 20, "{groups} commits of {n} calls");
        let rows = store.audit(&AuditFilter::default(), u32::try_from(n).unwrap() + 1).await.unwrap();
        let told: Vec<String> = rows.iter().rev().map(|row| row.subject.clone()).collect();
        assert_eq!(told, (0..n).map(|at| format!("tool {at}")).collect::<Vec<_>>());
        assert!(store.check_audit().await.unwrap().is_ok());
        assert!(deeds.note(&store, deed(0)).await.is_err(), "after the end nothing is taken");
        store.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_the_queue_full_waits_and_is_told_where_that_takes_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        // A database that takes nothing.
        store.close().await;
        let deeds = Deeds::default();
        // A group is with the writer meanwhile.
        let mut noted = 0;
        let refused = loop {
            match deeds.note(&store, deed(noted)).await {
                Ok(()) => noted += 1,
                Err(refused) => break refused,
            }
        };
        assert!((WAITING_MAX..=3 * WAITING_MAX).contains(&noted), "{noted}");
        assert_eq!(refused.kind(), Kind::Busy);
        deeds.close().await;
    }
}
