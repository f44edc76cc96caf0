//! Who drives a run: claims, leases and fences.
//!
//! A claim is one conditional statement that takes the run, raises its fence and starts its lease at once, so that of
//! any number of workers one wins and the others learn it. What the statement did not take is explained by a second
//! one, which decides nothing. Whoever takes a run by its id keeps to the same limits as who takes what comes next
//! (`queue`); a run that is taken over was counted already.

use crate::db::Conn;
use crate::lease::{self, LeaseInfo, Owner, micros_of};
use crate::runs::read_status;
use crate::turns::Reach;
use crate::{Context, Store};
use station_core::run::Status;
use station_core::{Concurrency, Error, Fence, Micros, Result, RunId};
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
    /// As many runs as may are driven already that have this in common with it; it stays where it is.
    Full(Bound, u32),
    /// There is no such run.
    NotFound,
}

/// What runs have in common of which only so many may be driven at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Their environment.
    Environment,
    /// Their agent.
    Agent,
    /// Their model.
    Model(String),
}

struct Attempt {
    context: Arc<Context>,
    run: RunId,
    owner: Owner,
    lease_ms: u64,
    dead: Option<Fence>,
    at_once: Concurrency,
    now: Micros,
}

impl Store {
    /// Takes a run that waits, or one whose driver is gone: its lease lapsed, or it is the claim `dead`, whose process
    /// the caller saw to be gone. However many others are driven.
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
        self.claim_within(&Concurrency::UNLIMITED, run, (owner, lease_ms, dead), now).await
    }

    /// As [`Store::claim`], where no more are driven than `at_once` says.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn claim_within(
        &self,
        at_once: &Concurrency,
        run: RunId,
        (owner, lease_ms, dead): (&Owner, u64, Option<Fence>),
        now: Micros,
    ) -> Result<Claim> {
        let (context, at_once) = (self.shared_context(), at_once.clone());
        let reach = if at_once == Concurrency::UNLIMITED { Reach::Run(run) } else { Reach::Claim(run) };
        let attempt = Attempt { context, run, owner: owner.clone(), lease_ms, dead, at_once, now };
        self.write_reaching(reach, attempt, |conn, attempt| Box::pin(claim(conn, attempt))).await
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

/// The claim of one run, but for how the limits of named models are read. `$11` is the limit of an environment, `$12`
/// that of an agent, `$13` that of a model without one in `$14`.
macro_rules! claim_one {
    ($limits:literal) => {
        concat!(
            "update agent_runs set fence = fence + 1, status = 'running', waiting_on = null, waiting_kind = null,
                waiting_since = null, waits_for_children = 0,
                started_at = coalesce(started_at, $9), lease_worker = $5, lease_host = $6, lease_pid = $7,
                lease_pid_start = $8, lease_boot = $3,
                lease_until = coalesce(cast($2 as bigint), (select now from lease_clock)) + cast($4 as bigint)
            where id = $1 and ((status in ('queued', 'waiting')
                and (cast($11 as bigint) is null or cast($11 as bigint) > (select count(*) from agent_runs o
                    where o.status = 'running' and o.environment_id = agent_runs.environment_id))
                and (cast($12 as bigint) is null or cast($12 as bigint) > (select count(*) from agent_runs o
                    where o.status = 'running' and o.agent_id = agent_runs.agent_id))
                and ((cast($13 as bigint) is null and $14 = '{}') or coalesce((select count(*) from agent_runs o
                        where o.status = 'running' and o.model = agent_runs.model)
                    < coalesce((",
            $limits,
            " where key = agent_runs.model), cast($13 as bigint)), true))) or (status = 'running' and (
                lease_until is null or lease_boot <> $3 or fence = cast($10 as bigint)
                or lease_until <= coalesce(cast($2 as bigint), (select now from lease_clock)))))
            returning fence, cancel_requested_by"
        )
    };
}

const CLAIM_SQLITE: &str = claim_one!("select value from json_each($14)");
const CLAIM_POSTGRES: &str =
    claim_one!("select cast(value as bigint) from json_each_text(cast($14 as json))");

async fn claim(conn: &mut Conn, attempt: &Attempt) -> Result<Claim> {
    let Concurrency { environment_max, agent_max, model_max } = &attempt.at_once;
    let named = serde_json::to_string(&model_max.named)
        .map_err(|cause| Error::internal("writing the limits of a claim", cause))?;
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
        environment_max.map(i64::from).into(),
        agent_max.map(i64::from).into(),
        model_max.each.map(i64::from).into(),
        named.into(),
    ];
    match conn.row(if conn.is_sqlite() { CLAIM_SQLITE } else { CLAIM_POSTGRES }, values).await? {
        Some(mut row) => {
            Ok(Claim::Claimed { fence: Fence(row.int()?), cancel_requested_by: row.opt_text()? })
        }
        None => explain(conn, attempt.run, &attempt.at_once).await,
    }
}

/// Why a run could not be claimed. It is at a limit, or has a lease that has not lapsed, or the claim would have taken it.
async fn explain(conn: &mut Conn, run: RunId, at_once: &Concurrency) -> Result<Claim> {
    const SQL: &str = "select status, fence, lease_worker, lease_host, lease_pid, lease_pid_start, 0
        from agent_runs where id = $1";
    let Some(mut row) = conn.row(SQL, vec![run.0.into()]).await? else { return Ok(Claim::NotFound) };
    let status = read_status(&row.text()?)?;
    if status.is_final() {
        return Ok(Claim::Final(status));
    }
    if status != Status::Running
        && let Some((bound, most)) = full(conn, run, at_once).await?
    {
        return Ok(Claim::Full(bound, most));
    }
    let (_, held) = lease::read(&mut row)?;
    held.map(Claim::Held).ok_or_else(|| crate::db::unreadable("a run that is held by nobody"))
}

/// The limit that keeps a run.
async fn full(conn: &mut Conn, run: RunId, at_once: &Concurrency) -> Result<Option<(Bound, u32)>> {
    const SQL: &str = "select r.model,
            (select count(*) from agent_runs o where o.status = 'running' and o.environment_id = r.environment_id),
            (select count(*) from agent_runs o where o.status = 'running' and o.agent_id = r.agent_id),
            (select count(*) from agent_runs o where o.status = 'running' and o.model = r.model)
        from agent_runs r where r.id = $1";
    let Some(mut row) = conn.row(SQL, vec![run.0.into()]).await? else { return Ok(None) };
    let model = row.opt_text()?;
    let model_max = model.as_deref().and_then(|model| at_once.model_max.of(model));
    let bounds = [
        (Bound::Environment, at_once.environment_max),
        (Bound::Agent, at_once.agent_max),
        (Bound::Model(model.unwrap_or_default()), model_max),
    ];
    for (bound, most) in bounds {
        let n: u64 = row.count()?;
        if let Some(most) = most.filter(|most| n >= u64::from(*most)) {
            return Ok(Some((bound, most)));
        }
    }
    Ok(None)
}
