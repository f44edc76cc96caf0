//! The queue: the runs themselves. Enqueued with their row, claimed by priority and in fairness, counted.
//!
//! A claim first puts runs back whose lease lapsed (and raises their fence: a late writer is refused from then on), then
//! takes up to `n` in one statement: best priority first, then the environment in which the least runs, then the oldest.
//! Where agents or models are limited, it takes again, in the same transaction, until nothing more has room.
//! It reads the first `n` of each environment from an index of nothing but queued runs, so what is parked or over costs
//! nothing. On PostgreSQL claims take turns by an advisory lock that is held until COMMIT: what they count (for limits and
//! for fairness) holds, so instances never overshoot together; rows that somebody holds are skipped, not waited for.
//! A queue with a limit is counted in the same turn. **Invariant:** an empty answer means that nothing can be claimed.

use crate::db::{Conn, Value};
use crate::lease::{Owner, micros_of};
use crate::runs::{self, NewRun, Run, read_run, select_runs};
use crate::turns::{Reach, joined};
use crate::wakes::Wake;
use crate::writer::Work;
use crate::{Context, Store, once};
use station_core::{Concurrency, Error, Fence, Kind, Micros, Result, RunId};
use std::sync::Arc;

/// What a worker has room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Runs at most.
    pub n: u32,
    /// How much may run at a time, here and elsewhere, afterwards.
    pub at_once: Concurrency,
}

/// How many runs stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Runs that wait for a worker.
    pub queued: u64,
    /// Runs that a worker has.
    pub running: u64,
    /// Parked runs.
    pub waiting: u64,
    /// Runs whose worker is gone, and that nobody has put back in the queue yet.
    pub lapsed: u64,
}

/// When a full queue may be tried again: runs take seconds to minutes, so sooner it would be as full.
const RETRY_AFTER_S: u32 = 5;

/// A run in the queue, or how many wait where it found no room.
pub(crate) type Enqueued = Result<RunId, u64>;

struct Attempt {
    context: Arc<Context>,
    owner: Owner,
    lease_ms: u64,
    wanted: Wanted,
    now: Micros,
}

/// The claim, but for how limits by name are read, how the first of each environment are found and how the rows are
/// taken. `$1` is how many are wanted, `$2` the limit of an environment, `$3` that of an agent, `$12` that of a model
/// without one in `$13`. A run's turn is how many run when it does. Models of which nothing is known have no limit.
macro_rules! claim_sql {
    ($limits:literal, $candidates:literal, $taken:literal) => {
        concat!(
            "with running as materialized (select environment_id, agent_id, model, count(*) as n
                from agent_runs where status = 'running' group by environment_id, agent_id, model),
            limits (model, most) as materialized (",
            $limits,
            "), models as materialized (select model, cast(sum(n) as bigint) as n,
                    coalesce((select most from limits where limits.model = running.model), cast($12 as bigint)) as most
                from running where model is not null group by model),
            full_agents as materialized (select agent_id from running group by agent_id
                having sum(n) >= cast($3 as bigint)),
            full_models as materialized (select model from models where n >= most),
            rooms as materialized (select e.id, coalesce((select cast(sum(n) as bigint) from running
                where running.environment_id = e.id), 0) as n from environments e),
            candidates as (select q.id, q.environment_id, q.agent_id, q.model, q.priority, rooms.n from rooms ",
            $candidates,
            " where cast($2 as bigint) is null or rooms.n < $2),
            ranked as (select id, priority,
                n + row_number() over (partition by environment_id order by priority desc, id) as environment_turn,
                coalesce((select cast(sum(running.n) as bigint) from running
                    where running.agent_id = candidates.agent_id), 0)
                    + row_number() over (partition by agent_id order by priority desc, id) as agent_turn,
                coalesce((select models.n from models where models.model = candidates.model), 0)
                    + row_number() over (partition by model order by priority desc, id) as model_turn,
                case when model is not null then
                    coalesce((select most from limits where limits.model = candidates.model), cast($12 as bigint))
                    end as model_most
                from candidates),
            picked as materialized (select id from ranked
                where (cast($2 as bigint) is null or environment_turn <= $2)
                    and (cast($3 as bigint) is null or agent_turn <= $3)
                    and (model_most is null or model_turn <= model_most)
                order by priority desc, environment_turn, id limit $1),
            taken as materialized (",
            $taken,
            ") update agent_runs set fence = fence + 1, status = 'running', waiting_on = null, waiting_kind = null, waiting_since = null,
                started_at = coalesce(started_at, $11), lease_worker = $7, lease_host = $8, lease_pid = $9,
                lease_pid_start = $10, lease_boot = $5,
                lease_until = coalesce(cast($4 as bigint), (select now from lease_clock)) + cast($6 as bigint)
            where id in (select id from taken) returning id"
        )
    };
}

#[cfg(test)]
pub(crate) use claim_sql;

/// A macro as well, so that a test can ask how it is done.
macro_rules! claim_on_sqlite {
    () => {
        claim_sql!(
            "select key, value from json_each($13)",
            "join agent_runs q on q.id in (select c.id from agent_runs c
                    where c.status = 'queued' and c.environment_id = rooms.id
                        and c.agent_id not in (select agent_id from full_agents)
                        and (c.model is null or c.model not in (select model from full_models))
                    order by c.priority desc, c.id limit $1)",
            "select id from picked"
        )
    };
}
#[cfg(test)]
pub(crate) use claim_on_sqlite;

const CLAIM_SQLITE: &str = claim_on_sqlite!();

const CLAIM_POSTGRES: &str = claim_sql!(
    "select key, cast(value as bigint) from json_each_text(cast($13 as json))",
    "cross join lateral (select c.id, c.environment_id, c.agent_id, c.model, c.priority from agent_runs c
        where c.status = 'queued' and c.environment_id = rooms.id
            and c.agent_id not in (select agent_id from full_agents)
            and (c.model is null or c.model not in (select model from full_models))
        order by c.priority desc, c.id limit $1) q",
    "select id from agent_runs where id = any (array(select id from picked)) and status = 'queued'
        for no key update skip locked"
);

impl Store {
    /// Puts a run in the queue. One that was spawned by the same effect before, or started by the same request, is found and returned.
    ///
    /// # Errors
    /// `Busy` where `queue_max` runs wait already: nothing is left behind. A child is never refused, because its
    /// parent already runs.
    pub async fn enqueue(&self, new: &NewRun, queue_max: Option<u32>, now: Micros) -> Result<RunId> {
        let queue_max = queue_max.filter(|_| new.parent.is_none());
        let reach = if queue_max.is_some() { Reach::Queue } else { Reach::Nothing };
        let input = (self.shared_context(), new.clone(), queue_max, now);
        let work: Work<_, _> =
            |conn, (context, new, queue_max, now)| Box::pin(enqueue(conn, context, new, *queue_max, *now));
        let enqueued = self.inner.writer.write_with(reach, input, work, Some(Wake::Work)).await?;
        enqueued.map_err(is_full)
    }

    /// Takes up to `wanted.n` runs of the queue for `owner`, those included whose lease lapsed: best priority first,
    /// then fair between environments, then oldest. Each comes with the number that its writes carry.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn claim_next(
        &self,
        owner: &Owner,
        lease_ms: u64,
        wanted: &Wanted,
        now: Micros,
    ) -> Result<Vec<(Run, Fence)>> {
        let context = self.shared_context();
        let attempt = Attempt { context, owner: owner.clone(), lease_ms, wanted: wanted.clone(), now };
        self.write_reaching(Reach::Queue, attempt, |conn, attempt| Box::pin(claim_next(conn, attempt))).await
    }

    /// How many runs stand where.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn queue_depth(&self) -> Result<QueueDepth> {
        const SQL: &str = "select (select count(*) from agent_runs where status = 'queued'),
            (select count(*) from agent_runs where status = 'running'),
            (select count(*) from agent_runs where status = 'waiting'),
            (select count(*) from agent_runs where status = 'running' and (lease_until is null or lease_boot <> $2
                or lease_until <= coalesce(cast($1 as bigint), (select now from lease_clock))))";
        let row = self.read().await?.row(SQL, self.context().lease_values()?).await?;
        let mut row = row.ok_or_else(|| crate::db::unreadable("a count is missing"))?;
        let (queued, held, waiting, lapsed) =
            (row.count()?, row.count::<u64>()?, row.count()?, row.count::<u64>()?);
        Ok(QueueDepth { queued, running: held.saturating_sub(lapsed), waiting, lapsed })
    }
}

/// So many runs wait already.
pub(crate) fn is_full(queued: u64) -> Error {
    let waiting = if queued == 1 { "1 run waits".to_owned() } else { format!("{queued} runs wait") };
    Error::new(Kind::Busy, format!("the queue is full: {waiting}"))
        .with_hint("`stn serve` works them off; `execution.queue` says how many may wait")
        .with_retry_after_s(RETRY_AFTER_S)
}

pub(crate) async fn enqueue(
    conn: &mut Conn,
    context: &Arc<Context>,
    new: &NewRun,
    queue_max: Option<u32>,
    now: Micros,
) -> Result<Enqueued> {
    if let Some(claim) = &new.once
        && let Some(run) = once::bound(conn, claim).await?
    {
        return Ok(Ok(run));
    }
    add(conn, context, new, queue_max, now).await
}

/// As [`enqueue`], of a run that is bound to no key yet.
pub(crate) async fn add(
    conn: &mut Conn,
    context: &Arc<Context>,
    new: &NewRun,
    queue_max: Option<u32>,
    now: Micros,
) -> Result<Enqueued> {
    const COUNT: &str = "select count(*) from agent_runs where status = 'queued'";
    if let Some(queue_max) = queue_max {
        let row = conn.row(COUNT, Vec::new()).await?;
        let queued = row.ok_or_else(|| crate::db::unreadable("a count is missing"))?.count()?;
        // A value, not a failure: a failure would take the whole group of writes back.
        if queued >= u64::from(queue_max) {
            return Ok(Err(queued));
        }
    }
    let run = runs::insert(conn, context, new, now).await?;
    if let Some(claim) = &new.once {
        once::bind(conn, claim, run).await?;
    }
    Ok(Ok(run))
}

async fn claim_next(conn: &mut Conn, attempt: &Attempt) -> Result<Vec<(Run, Fence)>> {
    requeue_lapsed(conn, &attempt.context, attempt.now).await?;
    let mut claimed: Vec<RunId> = Vec::new();
    let mut left = i64::from(attempt.wanted.n);
    let Concurrency { agent_max, model_max, .. } = &attempt.wanted.at_once;
    // Only under such a limit may the first of an environment hide others that have room.
    let may_hide = agent_max.is_some() || model_max.is_limited();
    while left > 0 {
        let found = claim_some(conn, attempt, left).await?;
        left -= i64::try_from(found.len()).unwrap_or(i64::MAX);
        let is_all = found.is_empty();
        claimed.extend(found);
        if is_all || !may_hide {
            break;
        }
    }
    read_claimed(conn, &attempt.context, &claimed).await
}

/// Puts a run back in the queue that waits for something that is no run, and that may go on now; it is in the queue since
/// `at`. One that somebody drives meanwhile stays with them.
pub(crate) async fn requeue(conn: &mut Conn, run: RunId, at: Micros) -> Result<()> {
    const SQL: &str =
        "update agent_runs set status = 'queued', waiting_on = null, waiting_kind = null, waiting_since = $2,
            waits_for_children = 0, lease_until = null
        where id = $1 and status = 'waiting'";
    conn.news().queued |= conn.exec(SQL, vec![run.0.into(), at.0.into()]).await? > 0;
    Ok(())
}

/// Puts runs back in the queue whose driver is gone. Its writes are refused from then on.
async fn requeue_lapsed(conn: &mut Conn, context: &Context, now: Micros) -> Result<()> {
    const SQLITE: &str =
        "update agent_runs set status = 'queued', fence = fence + 1, waiting_on = null, waiting_kind = null, waiting_since = $3,
            resumed_at = $3, lease_until = null
        where status = 'running' and (lease_until is null or lease_boot <> $2
            or lease_until <= coalesce(cast($1 as bigint), (select now from lease_clock)))";
    const POSTGRES: &str = "update agent_runs set status = 'queued', fence = fence + 1, waiting_on = null, waiting_kind = null, waiting_since = $3,
            resumed_at = $3, lease_until = null
        where id in (select id from agent_runs where status = 'running' and (lease_until is null or lease_boot <> $2
            or lease_until <= coalesce(cast($1 as bigint), (select now from lease_clock)))
            for no key update skip locked)";
    let sql = if conn.is_sqlite() { SQLITE } else { POSTGRES };
    // Whoever has no room for them here tells the others.
    let mut values = context.lease_values()?;
    values.push(now.0.into());
    let requeued = conn.exec(sql, values).await?;
    conn.news().queued |= requeued > 0;
    Ok(())
}

async fn claim_some(conn: &mut Conn, attempt: &Attempt, n: i64) -> Result<Vec<RunId>> {
    let leases = &attempt.context.leases;
    let Concurrency { environment_max, agent_max, model_max } = &attempt.wanted.at_once;
    let named = serde_json::to_string(&model_max.named)
        .map_err(|cause| Error::internal("writing the limits of a claim", cause))?;
    let values: Vec<Value> = vec![
        n.into(),
        environment_max.map(i64::from).into(),
        agent_max.map(i64::from).into(),
        leases.now()?,
        leases.boot(),
        micros_of(attempt.lease_ms).into(),
        attempt.owner.worker.as_str().into(),
        attempt.owner.host.as_str().into(),
        i64::from(attempt.owner.pid).into(),
        attempt.owner.pid_start.cast_signed().into(),
        attempt.now.0.into(),
        model_max.each.map(i64::from).into(),
        named.into(),
    ];
    let rows = conn.rows(if conn.is_sqlite() { CLAIM_SQLITE } else { CLAIM_POSTGRES }, values).await?;
    rows.into_iter().map(|mut row| row.int().map(RunId)).collect()
}

async fn read_claimed(conn: &mut Conn, context: &Context, claimed: &[RunId]) -> Result<Vec<(Run, Fence)>> {
    const SQLITE: &str = select_runs!(
        "where r.id in (select value from json_each('[' || $3 || ']')) order by r.priority desc, r.id limit $4"
    );
    const POSTGRES: &str = select_runs!(
        "where r.id in (select cast(id as bigint) from unnest(string_to_array($3, ',')) as claimed (id))
        order by r.priority desc, r.id limit $4"
    );
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let mut values = context.lease_values()?;
    values.push(joined(claimed.iter().copied()).into());
    values.push(i64::try_from(claimed.len()).unwrap_or(i64::MAX).into());
    let rows = conn.rows(if conn.is_sqlite() { SQLITE } else { POSTGRES }, values).await?;
    rows.into_iter()
        .map(|row| {
            let run = read_run(row)?;
            let fence = run.fence;
            Ok((run, fence))
        })
        .collect()
}
