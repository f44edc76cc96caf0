//! A wish that a run should end: marked on its row and on those of its descendants, heeded by whoever drives them.
//!
//! Nothing ends here: a run ends in its journal, by its driver, through the one road. A run that has a driver learns of
//! the wish at once where it listens (`Store::cancels`), else when its lease is renewed or when it tries to park; one that has none is put in the queue, so that it gets one.

use crate::Store;
use crate::db::{Conn, storable};
use crate::runs::read_status;
use crate::turns::Reach;
use station_core::run::Status;
use station_core::{Micros, Result, RunId};

/// What became of a wish that a run should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It had no driver. It is in the queue, marked, and the next driver ends it.
    Queued,
    /// Its driver will end it.
    Requested,
    /// It is over already.
    Final(Status),
    /// There is no such run.
    NotFound,
}

impl Store {
    /// Asks for the end of a run and of all its descendants. Whoever asked first is kept.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn request_cancel(&self, run: RunId, by: &str, now: Micros) -> Result<Cancelled> {
        let input = (run, storable(by), now);
        self.write_reaching(Reach::Run(run), input, |conn, (run, by, now)| {
            Box::pin(request_cancel(conn, *run, by, *now))
        })
        .await
    }
}

/// Runs with such a wish that are told at a time; the rest is heeded at the renewal of its lease.
const WISHES_MAX: i64 = 1_000;

impl Store {
    /// Runs that are driven and that somebody asked to end, with who asked, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn wishes(&self) -> Result<Vec<(RunId, String)>> {
        const SQL: &str = "select id, cancel_requested_by from agent_runs
            where status = 'running' and cancel_requested_at is not null order by id limit $1";
        let rows = self.read().await?.rows(SQL, vec![WISHES_MAX.into()]).await?;
        rows.into_iter().map(|mut row| Ok((RunId(row.int()?), row.opt_text()?.unwrap_or_default()))).collect()
    }
}

async fn request_cancel(conn: &mut Conn, run: RunId, by: &str, now: Micros) -> Result<Cancelled> {
    const LOCK: &str = "with recursive tree (id) as (select id from agent_runs where id = $1
            union all select child.id from agent_runs child join tree on child.parent_id = tree.id)
        select id from agent_runs where id in (select id from tree) order by id for no key update";
    const STATUS: &str = "select status from agent_runs where id = $1";
    const MARK: &str = "with recursive tree (id) as (select id from agent_runs where id = $1
            union all select child.id from agent_runs child join tree on child.parent_id = tree.id)
        update agent_runs set cancel_requested_by = $2, cancel_requested_at = $3, waits_for_children = 0,
            status = case when status = 'waiting' then 'queued' else status end,
            lease_until = case when status = 'running' then lease_until end,
            waiting_on = case when status = 'running' then waiting_on end,
            waiting_since = case when status = 'waiting' then $3 else waiting_since end
        where id in (select id from tree) and cancel_requested_at is null
            and status in ('queued', 'running', 'waiting')";
    if !conn.is_sqlite() {
        conn.rows(LOCK, vec![run.0.into()]).await?;
    }
    let Some(mut row) = conn.row(STATUS, vec![run.0.into()]).await? else { return Ok(Cancelled::NotFound) };
    let status = read_status(&row.text()?)?;
    if status.is_final() {
        return Ok(Cancelled::Final(status));
    }
    // Again until nobody new is found: a descendant may have spawned one while its row was waited for.
    while conn.exec(MARK, vec![run.0.into(), by.into(), now.0.into()]).await? > 0 {}
    // Also for one that runs: its driver may be gone, and then the next claim finds it.
    conn.news().queued = true;
    conn.news().cancelled = true;
    Ok(if status == Status::Running { Cancelled::Requested } else { Cancelled::Queued })
}
