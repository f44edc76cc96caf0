//! Who drives a run: claims, leases and fences.
//!
//! A claim is one conditional statement that takes the run, raises its fence and starts its lease at once, so that of
//! any number of workers one wins and the others learn it. What the statement did not take is explained by a second
//! one, which decides nothing.

use crate::db::Conn;
use crate::lease::{self, LeaseInfo, Owner, micros_of};
use crate::runs::read_status;
use crate::turns::Reach;
use crate::{Context, Store};
use station_core::run::Status;
use station_core::{Fence, Micros, Result, RunId};
use std::sync::Arc;

/// What became of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The lease goes on.
    Kept {
        /// Who asked for the run's end, where somebody did: the caller is to end it.
        cancel_requested_by: Option<String>,
    },
    /// The run has another driver, or none; the caller's writes are refused, or soon will be.
    Lost,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The run is the caller's.
    Claimed {
        /// The number that its writes carry.
        fence: Fence,
        /// Who asked for the run's end, where somebody did: the caller is to end it.
        cancel_requested_by: Option<String>,
    },
    /// The run is over.
    Final(Status),
    /// Somebody else has it.
    Held(LeaseInfo),
    /// There is no such run.
    NotFound,
}

struct Attempt {
    context: Arc<Context>,
    run: RunId,
    owner: Owner,
    lease_ms: u64,
    dead: Option<Fence>,
    now: Micros,
}

impl Store {
    /// Takes a run that waits, or one whose driver is gone: its lease lapsed, or it is the claim `dead`, whose process
    /// the caller saw to be gone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn claim(
        &self,
        run: RunId,
        owner: &Owner,
        lease_ms: u64,
        dead: Option<Fence>,
        now: Micros,
    ) -> Result<Claim> {
        let context = self.shared_context();
        let attempt = Attempt { context, run, owner: owner.clone(), lease_ms, dead, now };
        self.write_reaching(Reach::Run(run), attempt, |conn, attempt| Box::pin(claim(conn, attempt))).await
    }

    /// Makes a lease last for `lease_ms` from now.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn renew(&self, run: RunId, fence: Fence, lease_ms: u64) -> Result<Renewed> {
        const SQL: &str = "update agent_runs set lease_boot = $5,
                lease_until = coalesce(cast($3 as bigint), (select now from lease_clock)) + cast($4 as bigint)
            where id = $1 and fence = $2 and status = 'running' and lease_until is not null
            returning cancel_requested_by";
        let input = (self.shared_context(), run, fence, lease_ms);
        self.write_reaching(Reach::Run(run), input, |conn, (context, run, fence, lease_ms)| {
            Box::pin(async move {
                let leases = &context.leases;
                let values = vec![
                    run.0.into(),
                    fence.0.into(),
                    leases.now()?,
                    micros_of(*lease_ms).into(),
                    leases.boot(),
                ];
                let Some(mut row) = conn.row(SQL, values).await? else { return Ok(Renewed::Lost) };
                Ok(Renewed::Kept { cancel_requested_by: row.opt_text()? })
            })
        })
        .await
    }
}

async fn claim(conn: &mut Conn, attempt: &Attempt) -> Result<Claim> {
    const SQL: &str = "update agent_runs set fence = fence + 1, status = 'running', waiting_on = null,
            waiting_since = null, waits_for_children = 0,
            started_at = coalesce(started_at, $9), lease_worker = $5, lease_host = $6, lease_pid = $7,
            lease_pid_start = $8, lease_boot = $3,
            lease_until = coalesce(cast($2 as bigint), (select now from lease_clock)) + cast($4 as bigint)
        where id = $1 and (status in ('queued', 'waiting') or (status = 'running' and (
            lease_until is null or lease_boot <> $3 or fence = cast($10 as bigint)
            or lease_until <= coalesce(cast($2 as bigint), (select now from lease_clock)))))
        returning fence, cancel_requested_by";
    let leases = &attempt.context.leases;
    let values = vec![
        attempt.run.0.into(),
        leases.now()?,
        leases.boot(),
        micros_of(attempt.lease_ms).into(),
        attempt.owner.worker.as_str().into(),
        attempt.owner.host.as_str().into(),
        i64::from(attempt.owner.pid).into(),
        attempt.owner.pid_start.cast_signed().into(),
        attempt.now.0.into(),
        attempt.dead.map(|fence| fence.0).into(),
    ];
    match conn.row(SQL, values).await? {
        Some(mut row) => {
            Ok(Claim::Claimed { fence: Fence(row.int()?), cancel_requested_by: row.opt_text()? })
        }
        None => explain(conn, attempt.run).await,
    }
}

/// Why a run could not be claimed. It has a lease that has not lapsed, or the claim would have taken it.
async fn explain(conn: &mut Conn, run: RunId) -> Result<Claim> {
    const SQL: &str = "select status, fence, lease_worker, lease_host, lease_pid, lease_pid_start, 0
        from agent_runs where id = $1";
    let Some(mut row) = conn.row(SQL, vec![run.0.into()]).await? else { return Ok(Claim::NotFound) };
    let status = read_status(&row.text()?)?;
    if status.is_final() {
        return Ok(Claim::Final(status));
    }
    let (_, held) = lease::read(&mut row)?;
    held.map(Claim::Held).ok_or_else(|| crate::db::unreadable("a run that is held by nobody"))
}
