//! In which order locks are taken, so that no two Stations on one PostgreSQL wait for each other.
//!
//! A transaction of ours is a group of writes that have nothing to do with each other, so its locks could be taken in
//! any order, and two groups in opposite orders are a deadlock: a second of standstill for both. So the order is fixed:
//! first the turns of the queue, of the audit, of the ledger and of the bodies, where one of the group needs them, then
//! rows of runs by rising id. The writer sorts each
//! group; a run's end reaches for its parent's row as well, so a group with an end takes all its rows at once, first.
//! On SQLite there is one lock, and it is held. What remains (a cancel of a whole tree) is what the writer's second
//! attempt is for.

use crate::db::Conn;
use station_core::{Result, RunId};

/// The rows that a write takes from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// None that another Station would take.
    Nothing,
    /// The queue as a whole: what it counts must hold until COMMIT.
    Queue,
    /// One run.
    Run(RunId),
    /// One run, and the queue as a whole: what is counted when it is taken must hold until COMMIT.
    Claim(RunId),
    /// The end of the audit's chain, and the run that is decided about, where there is one.
    Audit(Option<RunId>),
    /// The end of the audit's chain, and the ledger of budgets: a limit is set by hand.
    Limit,
    /// The ledger of budgets: what it says must hold until COMMIT.
    Ledger,
    /// Stored bodies that nobody needs any more: nobody may begin to need one until COMMIT.
    Blobs,
    /// A run that shares bodies with another one, and the queue where its length is counted.
    Fork { is_counted: bool },
    /// An append: its run, and what else it touches.
    Append(Appending),
}

/// What an append touches beside its run's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appending {
    pub(crate) run: RunId,
    /// It ends its run, and so reaches for the parent's row.
    pub(crate) is_end: bool,
    /// It touches the ledger of budgets.
    pub(crate) has_charges: bool,
    /// It names stored bodies.
    pub(crate) has_blobs: bool,
}

impl Reach {
    /// The order within a group.
    pub(crate) fn run(self) -> Option<RunId> {
        match self {
            Self::Nothing | Self::Queue | Self::Fork { .. } | Self::Limit | Self::Ledger | Self::Blobs => {
                None
            }
            Self::Audit(run) => run,
            Self::Run(run) | Self::Claim(run) | Self::Append(Appending { run, .. }) => Some(run),
        }
    }

    fn is_ending(self) -> bool {
        match self {
            Self::Append(appending) => appending.is_end,
            Self::Nothing
            | Self::Queue
            | Self::Fork { .. }
            | Self::Run(_)
            | Self::Claim(_)
            | Self::Audit(_)
            | Self::Limit
            | Self::Ledger
            | Self::Blobs => false,
        }
    }

    fn is_counting(self) -> bool {
        match self {
            Self::Limit | Self::Ledger => true,
            Self::Append(appending) => appending.has_charges,
            Self::Nothing
            | Self::Queue
            | Self::Fork { .. }
            | Self::Run(_)
            | Self::Claim(_)
            | Self::Audit(_)
            | Self::Blobs => false,
        }
    }

    fn is_queueing(self) -> bool {
        matches!(self, Self::Queue | Self::Claim(_) | Self::Fork { is_counted: true })
    }

    fn is_naming(self) -> bool {
        matches!(self, Self::Fork { .. } | Self::Append(Appending { has_blobs: true, .. }))
    }
}

/// Any number, as long as no other advisory lock in the same database has it: "queue" in ASCII.
const QUEUE_LOCK: i64 = 0x0071_7565_7565;

/// As the lock of the queue: "ledger" in ASCII.
const LEDGER_LOCK: i64 = 0x6c65_6467_6572;

/// As the lock of the queue: "blobs" in ASCII. Who names a body shares it, who removes bodies does not.
const BLOBS_LOCK: i64 = 0x0062_6c6f_6273;

/// As above: "audit" in ASCII.
const AUDIT_LOCK: i64 = 0x0061_7564_6974;

/// Takes what the group will need, in the one order; the first thing in its transaction.
pub(crate) async fn take(conn: &mut Conn, group: &[Reach]) -> Result<()> {
    const ROWS: &str = "select id from agent_runs where id in (
            select cast(id as bigint) from unnest(string_to_array($1, ',')) as mine (id)
            union select parent_id from agent_runs where parent_id is not null
                and id in (select cast(id as bigint) from unnest(string_to_array($2, ',')) as ending (id)))
        order by id for no key update";
    if conn.is_sqlite() {
        return Ok(());
    }
    if group.iter().any(|reach| reach.is_queueing()) {
        conn.rows("select 1 from pg_advisory_xact_lock($1)", vec![QUEUE_LOCK.into()]).await?;
    }
    if group.iter().any(|reach| matches!(reach, Reach::Audit(_) | Reach::Limit)) {
        conn.rows("select 1 from pg_advisory_xact_lock($1)", vec![AUDIT_LOCK.into()]).await?;
    }
    if group.iter().any(|reach| reach.is_counting()) {
        conn.rows("select 1 from pg_advisory_xact_lock($1)", vec![LEDGER_LOCK.into()]).await?;
    }
    if group.contains(&Reach::Blobs) {
        conn.rows("select 1 from pg_advisory_xact_lock($1)", vec![BLOBS_LOCK.into()]).await?;
    } else if group.iter().any(|reach| reach.is_naming()) {
        conn.rows("select 1 from pg_advisory_xact_lock_shared($1)", vec![BLOBS_LOCK.into()]).await?;
    }
    let ending = group.iter().filter(|reach| reach.is_ending());
    let ending = joined(ending.filter_map(|reach| reach.run()));
    if !ending.is_empty() {
        let all = joined(group.iter().filter_map(|reach| reach.run()));
        conn.rows(ROWS, vec![all.into(), ending.into()]).await?;
    }
    Ok(())
}

/// Ids as one value: `1,2,3`.
pub(crate) fn joined(runs: impl Iterator<Item = RunId>) -> String {
    runs.map(|run| run.0.to_string()).collect::<Vec<_>>().join(",")
}
