//! Forks: runs that begin with the journal of another one.
//!
//! The events are copied, not referred to: whatever reads a journal reads a fork's like any other, the other run may go
//! on or be removed, and what was said is small. Bodies kept by hash are shared. **Invariant:** row, events and bodies
//! are one transaction, so a fork that is found has its history.

use crate::db::Conn;
use crate::journal::{insert_blobs, insert_events};
use crate::queue::{Enqueued, add, is_full};
use crate::runs::{NewRun, no_such};
use crate::turns::Reach;
use crate::{Context, Store, once};
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
    /// Bodies that the entries name by hash and that the other run does not.
    pub blobs: Vec<(BlobHash, Vec<u8>)>,
}

impl Store {
    /// Puts a fork in the queue.
    ///
    /// # Errors
    /// `Busy` where `queue_max` runs wait already, `NotFound` where the other run was removed: nothing is left behind.
    pub async fn enqueue_fork(&self, fork: NewFork, queue_max: Option<u32>, now: Micros) -> Result<RunId> {
        let reach = Reach::Fork { is_counted: queue_max.is_some() };
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
    if let Some(claim) = &fork.run.once
        && let Some(run) = once::bound(conn, claim).await?
    {
        return Ok(Ok(run));
    }
    let run = match add(conn, context, &fork.run, queue_max, now).await? {
        Ok(run) => run,
        Err(queued) => return Ok(Err(queued)),
    };
    let end = fork.entries.last().map_or(0, |entry| entry.seq);
    let values = vec![run.0.into(), fork.from.run.0.into(), i64::from(fork.from.step).into(), end.into()];
    conn.exec(SQL, values).await?;
    insert_events(conn, run, &fork.entries).await?;
    insert_blobs(conn, run, &fork.blobs).await?;
    share_blobs(conn, run, fork.from.run).await?;
    Ok(Ok(run))
}

/// The fork needs every body that the other run does.
///
/// # Errors
/// `NotFound` where the other run was removed meanwhile, and its bodies with it.
async fn share_blobs(conn: &mut Conn, run: RunId, from: RunId) -> Result<()> {
    const SHARE: &str = "insert into run_blobs (run_id, hash)
        select cast($1 as bigint), hash from run_blobs where run_id = $2 on conflict do nothing";
    const IS_THERE: &str = "select id from agent_runs where id = $1";
    conn.exec(SHARE, vec![run.0.into(), from.0.into()]).await?;
    match conn.row(IS_THERE, vec![from.0.into()]).await? {
        Some(_) => Ok(()),
        None => Err(no_such(from)),
    }
}
