//! Retention: runs that ended long ago go, with all that is theirs, in small transactions.
//!
//! What goes is whole trees: a run that a person started and all below it, once every one of them has ended and the first of
//! them long ago. Children go before their parents. A tree in which somebody said yes for always stays while that holds. A body goes with the last run that needs it: whoever names a body
//! brings it along and says so in `run_blobs`, in the same transaction; on PostgreSQL a removal waits for those who are at
//! it and keeps others out until its COMMIT (see `turns`), so that none is taken away between the two. Audit never goes:
//! nothing here touches it. A table that refers to runs is named in `REMOVE`, or its rows go by `on delete cascade`.

use crate::Store;
use crate::db::{Conn, unreadable};
use crate::turns::Reach;
use station_core::{Micros, Result, RunId};

/// Roots looked at in one transaction.
const ROOTS_MAX: i64 = 20;

/// Runs removed in one transaction: each has some dozens of rows, and nobody writes meanwhile.
const RUNS_MAX: i64 = 50;

/// What would go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prunable {
    /// Runs, sub-agents' included.
    pub runs: u64,
    /// When the oldest of them was started.
    pub oldest: Option<Micros>,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Runs, sub-agents' included.
    pub runs: u64,
    /// Bodies that no run needs any more.
    pub blobs: u64,
}

/// How far a removal came; the next goes on from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneCursor {
    ended_at: i64,
    root: i64,
}

/// Tables of which a run has rows, children of `agent_runs` first.
const REMOVE: [&str; 10] = [
    "delete from standing_approvals where revoked_at is not null
        and approval_id in (select id from approvals where run_id = $1)",
    "delete from approvals where run_id = $1",
    "delete from settlements where run_id = $1",
    "delete from run_events where run_id = $1",
    "delete from run_variables where run_id = $1",
    "delete from run_blobs where run_id = $1",
    "delete from budget_waits where run_id = $1",
    "delete from budget_accounts where scope = 'run' and scope_id = $1",
    "delete from budgets where scope = 'run' and scope_id = $1",
    "delete from agent_runs where id = $1",
];

impl Store {
    /// What would go of runs that ended before `before`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn prunable(&self, before: Micros) -> Result<Prunable> {
        const SQL: &str = "with recursive tree (id, root, status, created_at) as (
                select id, id, status, created_at from agent_runs where parent_id is null and ended_at < $1
                union all select child.id, tree.root, child.status, child.created_at
                    from agent_runs child join tree on child.parent_id = tree.id)
            select count(*), min(case when id = root then created_at end) from tree
            where root not in (select root from tree where status in ('queued', 'running', 'waiting')
                or id in (select p.run_id from approvals p join standing_approvals s on s.approval_id = p.id
                    where s.revoked_at is null))";
        let row = self.read().await?.row(SQL, vec![before.0.into()]).await?;
        let mut row = row.ok_or_else(|| unreadable("a count is missing"))?;
        Ok(Prunable { runs: row.count()?, oldest: row.opt_int()?.map(Micros) })
    }

    /// Removes some of the runs that ended before `before`, in one small transaction; to be called again with the cursor
    /// it gives, until it gives none.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn prune(&self, before: Micros, from: PruneCursor) -> Result<(Pruned, Option<PruneCursor>)> {
        self.write_reaching(Reach::Blobs, (before, from), |conn, (before, from)| {
            Box::pin(prune(conn, *before, *from))
        })
        .await
    }

    /// Removes a run and all below it, once every one of them has ended. Returns how many went: none where one has not, or
    /// where somebody said yes for always in one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn remove_run(&self, root: RunId) -> Result<u64> {
        self.write_reaching(Reach::Blobs, root, |conn, root| {
            Box::pin(async move {
                let runs = removable(conn, *root, crate::ROWS_MAX).await?;
                for run in &runs {
                    remove(conn, *run).await?;
                }
                Ok(runs.len() as u64)
            })
        })
        .await
    }

    /// Removes accounts of days before `day`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn prune_accounts(&self, day: i64) -> Result<()> {
        const SQL: &str = "delete from budget_accounts where day >= 0 and day < $1";
        self.write_reaching(Reach::Ledger, day, |conn, day| {
            Box::pin(async move { conn.exec(SQL, vec![(*day).into()]).await.map(drop) })
        })
        .await
    }
}

async fn prune(conn: &mut Conn, before: Micros, from: PruneCursor) -> Result<(Pruned, Option<PruneCursor>)> {
    let (roots, last) = roots(conn, before, from).await?;
    let Some(last) = last else { return Ok((Pruned::default(), None)) };
    let (mut pruned, mut is_whole) = (Pruned::default(), true);
    for root in roots {
        let left = RUNS_MAX - i64::try_from(pruned.runs).unwrap_or(i64::MAX);
        let runs = removable(conn, root, left.max(0)).await?;
        for run in &runs {
            pruned.blobs += remove(conn, *run).await?;
            pruned.runs += 1;
        }
        is_whole = i64::try_from(runs.len()).unwrap_or(i64::MAX) < left;
        if !is_whole {
            break;
        }
    }
    // Where a tree was not removed whole, the next transaction begins with it.
    Ok((pruned, Some(if is_whole { last } else { from })))
}

/// The next roots whose end was before `before`, and where they end.
async fn roots(
    conn: &mut Conn,
    before: Micros,
    from: PruneCursor,
) -> Result<(Vec<RunId>, Option<PruneCursor>)> {
    const SQL: &str = "select id, ended_at from agent_runs
        where parent_id is null and ended_at is not null and ended_at < $1
            and (ended_at > $2 or (ended_at = $2 and id > $3))
            and status in ('completed', 'failed', 'cancelled', 'timed_out')
        order by ended_at, id limit $4";
    let values = vec![before.0.into(), from.ended_at.into(), from.root.into(), ROOTS_MAX.into()];
    let (mut roots, mut last) = (Vec::new(), None);
    for mut row in conn.rows(SQL, values).await? {
        let (root, ended_at) = (row.int()?, row.int()?);
        roots.push(RunId(root));
        last = Some(PruneCursor { ended_at, root });
    }
    Ok((roots, last))
}

/// The deepest runs of a tree, at most `limit`; none where one of it has not ended.
async fn removable(conn: &mut Conn, root: RunId, limit: i64) -> Result<Vec<RunId>> {
    const SQL: &str = "with recursive tree (id, status, depth) as (
            select id, status, depth from agent_runs where id = $1
            union all select child.id, child.status, child.depth
                from agent_runs child join tree on child.parent_id = tree.id)
        select id from tree
        where not exists (select 1 from tree where status in ('queued', 'running', 'waiting')
            or id in (select p.run_id from approvals p join standing_approvals s on s.approval_id = p.id
                where s.revoked_at is null))
        order by depth desc, id limit $2";
    let rows = conn.rows(SQL, vec![root.0.into(), limit.into()]).await?;
    rows.into_iter().map(|mut row| row.int().map(RunId)).collect()
}

/// Removes a run that has no children; returns how many bodies went with it.
async fn remove(conn: &mut Conn, run: RunId) -> Result<u64> {
    const NAMED: &str = "select hash from run_blobs where run_id = $1 order by hash limit $2";
    const UNNAMED: &str =
        "delete from blobs where hash = $1 and not exists (select 1 from run_blobs where hash = $1)";
    let named = conn.rows(NAMED, vec![run.0.into(), crate::ROWS_MAX.into()]).await?;
    for sql in REMOVE {
        conn.exec(sql, vec![run.0.into()]).await?;
    }
    let mut blobs = 0;
    for mut row in named {
        blobs += conn.exec(UNNAMED, vec![row.text()?.into()]).await?;
    }
    Ok(blobs)
}
