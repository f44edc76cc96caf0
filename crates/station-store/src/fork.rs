//! Forks: runs that begin with the journal of another one.
//!
//! The events are copied, not referred to: whatever reads a journal reads a fork's like any other, the other run may go
//! on or be removed, and what was said is small. Bodies kept by hash are shared. **Invariant:** row, events and bodies
//! are one transaction, so a fork that is found has its history.

use crate::db::Conn;
use crate::journal::{insert_blobs, insert_events};
use crate::queue::{Enqueued, enqueue, is_full};
use crate::runs::{NewRun, no_such};
use crate::turns::Reach;
use crate::{Context, Store};
use station_core::run::Entry;
use station_core::run::fork::ForkedFrom;
use station_core::{BlobHash, Micros, Result, RunId};
use std::sync::Arc;

/// A run that begins with a history.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFork {
    /// Its row.
    pub run: NewRun,
    /// Where its history is from.
    pub from: ForkedFrom,
    /// Its history; `seq` from 1 on.
    pub entries: Vec<Entry>,
    /// Bodies that the entries name by hash and that the store may not have yet.
    pub blobs: Vec<(BlobHash, Vec<u8>)>,
}

impl Store {
    /// Puts a fork in the queue.
    ///
    /// # Errors
    /// `Busy` where `queue_max` runs wait already, `NotFound` where the other run was removed: nothing is left behind.
    pub async fn enqueue_fork(&self, fork: NewFork, queue_max: Option<u32>, now: Micros) -> Result<RunId> {
        let reach = if queue_max.is_some() { Reach::Queue } else { Reach::Nothing };
        let input = (self.shared_context(), fork, queue_max, now);
        let enqueued = self
            .write_reaching(reach, input, |conn, (context, fork, queue_max, now)| {
                Box::pin(insert(conn, context, fork, *queue_max, *now))
            })
            .await?;
        enqueued.map_err(is_full)
    }
}

async fn insert(
    conn: &mut Conn,
    context: &Arc<Context>,
    fork: &NewFork,
    queue_max: Option<u32>,
    now: Micros,
) -> Result<Enqueued> {
    const SQL: &str =
        "update agent_runs set forked_from = $2, forked_at_step = $3, journal_seq = $4 where id = $1";
    const THERE: &str = "select 1 from agent_runs where id = $1";
    // Removed since its journal was read: with it may have gone what the journal names.
    if conn.row(THERE, vec![fork.from.run.0.into()]).await?.is_none() {
        return Err(no_such(fork.from.run));
    }
    let run = match enqueue(conn, context, &fork.run, queue_max, now).await? {
        Ok(run) => run,
        Err(queued) => return Ok(Err(queued)),
    };
    let end = fork.entries.last().map_or(0, |entry| entry.seq);
    let values = vec![run.0.into(), fork.from.run.0.into(), i64::from(fork.from.step).into(), end.into()];
    conn.exec(SQL, values).await?;
    insert_events(conn, run, &fork.entries).await?;
    insert_blobs(conn, run, &fork.blobs).await?;
    // What its history names stays as long as one of the two does.
    const NAMES: &str =
        "insert into run_blobs (run_id, hash) select $1, hash from run_blobs where run_id = $2
        on conflict do nothing";
    conn.exec(NAMES, vec![run.0.into(), fork.from.run.0.into()]).await?;
    Ok(Ok(run))
}
