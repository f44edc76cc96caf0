//! Runs as rows: inserted, and read back. The queue that they are is in `queue`.

use crate::db::{Conn, Row, Value, storable, unreadable};
use crate::lease::{self, LeaseInfo};
use crate::once::RequestClaim;
use crate::seal::Place;
use crate::{Context, ROWS_MAX, Store};
use station_core::run::fork::ForkedFrom;
use station_core::run::{Status, WaitKind};
use station_core::{
    AgentId, EffectId, EnvironmentId, Error, Fence, Micros, Result, RunId, Secret, Usage, UserId,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A run to be put in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Whose run it is.
    pub agent: AgentId,
    /// The environment of that agent.
    pub environment: EnvironmentId,
    /// Who asked for it.
    pub user: UserId,
    /// What it is to do. U+0000 is replaced, because a model may have written it.
    pub task: String,
    /// What the engine was asked for beside the task: JSON, no secrets.
    pub request: String,
    /// The model it will ask first, as far as is known: limits count it from its claim on.
    pub model: Option<String>,
    /// Variables that hold for this run alone; sealed.
    pub variables: BTreeMap<String, Secret>,
    /// Values of the environment of whoever queues it, which its templates ask for; sealed, after `variables`.
    pub carried: BTreeMap<String, Secret>,
    /// The run and the effect that spawned it: one effect spawns one run, however often it is asked for.
    pub parent: Option<(RunId, EffectId)>,
    /// How deep in a tree of sub-agents it is; 0 at the root.
    pub depth: u32,
    /// Higher is claimed first; 0 is the rule. A child has its parent's, whatever is said here.
    pub priority: i64,
    /// The request that starts it, where its sender gave it a key: that starts one run, however often it is done.
    pub once: Option<RequestClaim>,
}

impl NewRun {
    /// A run without variables, model or parent, of the usual priority, of which nothing is asked beside its task.
    #[must_use]
    pub fn new(agent: AgentId, environment: EnvironmentId, user: UserId, task: impl Into<String>) -> Self {
        Self {
            agent,
            environment,
            user,
            task: task.into(),
            request: "{}".to_owned(),
            model: None,
            variables: BTreeMap::new(),
            carried: BTreeMap::new(),
            parent: None,
            depth: 0,
            priority: 0,
            once: None,
        }
    }
}

/// A run as a row; its journal is read by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its row.
    pub id: RunId,
    /// Whose run it is.
    pub agent: AgentId,
    /// That agent's name.
    pub agent_name: String,
    /// Who started it, or the run above it.
    pub user: UserId,
    /// Where it runs.
    pub environment: EnvironmentId,
    /// That environment's name.
    pub environment_name: String,
    /// What it was to do.
    pub task: String,
    /// What the engine was asked for beside the task: JSON.
    pub request: String,
    /// The run that spawned it.
    pub parent: Option<RunId>,
    /// The effect of that run.
    pub parent_effect: Option<EffectId>,
    /// How deep in a tree of sub-agents it is.
    pub depth: u32,
    /// Where it stands.
    pub status: Status,
    /// What its driver waits for, or what it is parked for, in words; [`Run::waits_on`] knows more.
    pub waiting_on: Option<String>,
    /// What sort of thing that is, where it is known.
    pub waiting_kind: Option<WaitKind>,
    /// Since when it does, or since when it is in the queue.
    pub waiting_since: Option<Micros>,
    /// The model it asks, or will ask first.
    pub model: Option<String>,
    /// Its answer, where it ended with one.
    pub answer: Option<String>,
    /// Why it has none.
    pub error: Option<String>,
    /// Model turns taken.
    pub steps: u32,
    /// Tool calls made.
    pub tool_calls: u32,
    /// Tokens spent.
    pub usage: Usage,
    /// Higher is claimed first.
    pub priority: i64,
    /// Who asked for its end, where somebody did; whoever drives it ends it.
    pub cancel_requested_by: Option<String>,
    /// The run whose first steps are its history, where it did not begin at the beginning.
    pub forked_from: Option<ForkedFrom>,
    /// When it was put in the queue.
    pub created_at: Micros,
    /// When it was first claimed.
    pub started_at: Option<Micros>,
    /// When it was last found without the driver it had.
    pub resumed_at: Option<Micros>,
    /// When it ended.
    pub ended_at: Option<Micros>,
    /// The number of its last claim; 0 where nobody ever had it.
    pub fence: Fence,
    /// Who holds it.
    pub lease: Option<LeaseInfo>,
}

/// Where a run's variable came from.
const GIVEN: &str = "given";
const CARRIED: &str = "carried";

impl Run {
    /// What it waits for, in words, and since when; `None` where it is over.
    #[must_use]
    pub fn waits_on(&self) -> Option<(&str, Micros)> {
        let on = match self.status {
            Status::Queued => Some("a free worker"),
            Status::Running | Status::Waiting => self.waiting_on.as_deref(),
            Status::Completed | Status::Failed | Status::Cancelled | Status::TimedOut => None,
        };
        Some((on?, self.waiting_since.unwrap_or(self.created_at)))
    }

    /// What sort of thing it waits for; `None` where it is over, or where that is not known.
    #[must_use]
    pub fn waits_on_kind(&self) -> Option<WaitKind> {
        match self.status {
            Status::Queued => Some(WaitKind::Worker),
            _ => self.waits_on().and(self.waiting_kind),
        }
    }
}

/// Which runs are wanted; `None` means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this agent.
    pub agent: Option<AgentId>,
    /// Of this environment.
    pub environment: Option<EnvironmentId>,
    /// In this status.
    pub status: Option<Status>,
    /// Only those that have not ended.
    pub open: bool,
    /// Older than this one: the next page.
    pub before: Option<RunId>,
    /// Queued at this time or later.
    pub since: Option<Micros>,
    /// Queued before this time.
    pub until: Option<Micros>,
    /// In the environments assigned to this user.
    pub seen_by: Option<UserId>,
}

impl RunFilter {
    /// Its eight values, in the order in which statements ask for them.
    fn values(&self) -> Vec<Value> {
        vec![
            self.agent.map(|id| id.0).into(),
            self.environment.map(|id| id.0).into(),
            self.status.map(Status::as_str).into(),
            self.before.map(|id| id.0).into(),
            i64::from(self.open).into(),
            self.since.map(|at| at.0).into(),
            self.until.map(|at| at.0).into(),
            self.seen_by.map(|user| user.0).into(),
        ]
    }
}

/// Every statement that reads runs ends this list with its own conditions. `$1` is the lease clock, `$2` its boot.
macro_rules! select_runs {
    ($rest:literal) => {
        concat!(
            "select r.id, r.agent_id, a.name, r.user_id, r.environment_id, e.name, r.task, r.request, r.parent_id,
                r.parent_effect, r.depth, r.status, r.waiting_on, r.waiting_kind, r.waiting_since, r.model, r.answer, r.error, r.steps,
                r.tool_calls, r.tokens_input, r.tokens_output, r.tokens_cached, r.tokens_reasoning,
                r.priority, r.cancel_requested_by, r.created_at, r.started_at, r.resumed_at, r.ended_at,
                r.forked_from, r.forked_at_step,
                r.fence, r.lease_worker, r.lease_host, r.lease_pid, r.lease_pid_start,
                case when r.lease_until is null then null
                    when r.lease_boot <> $2
                        or r.lease_until <= coalesce(cast($1 as bigint), (select now from lease_clock)) then 1
                    else 0 end
            from agent_runs r join agents a on a.id = r.agent_id join environments e on e.id = r.environment_id ",
            $rest
        )
    };
}
pub(crate) use select_runs;

impl Store {
    /// The run of this id, where there is one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>> {
        const SQL: &str = select_runs!("where r.id = $3");
        let mut values = self.lease_values()?;
        values.push(id.0.into());
        self.read().await?.row(SQL, values).await?.map(read_run).transpose()
    }

    /// Runs, newest first, at most `limit`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn runs(&self, filter: &RunFilter, limit: u32) -> Result<Vec<Run>> {
        const SQL: &str = select_runs!(
            "where (cast($3 as bigint) is null or r.agent_id = $3)
                and (cast($4 as bigint) is null or r.environment_id = $4)
                and (cast($5 as text) is null or r.status = $5)
                and (cast($6 as bigint) is null or r.id < $6)
                and ($7 = 0 or r.status in ('queued', 'running', 'waiting'))
                and (cast($8 as bigint) is null or r.created_at >= $8)
                and (cast($9 as bigint) is null or r.created_at < $9)
                and (cast($10 as bigint) is null or r.environment_id in
                    (select environment_id from user_environments where user_id = $10))
            order by r.id desc limit $11"
        );
        let mut values = self.lease_values()?;
        values.extend(filter.values());
        values.push(i64::from(limit).into());
        self.read().await?.rows(SQL, values).await?.into_iter().map(read_run).collect()
    }

    /// How many runs there are.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn count_runs(&self, filter: &RunFilter) -> Result<u64> {
        const SQL: &str = "select count(*) from agent_runs r
            where (cast($1 as bigint) is null or r.agent_id = $1)
                and (cast($2 as bigint) is null or r.environment_id = $2)
                and (cast($3 as text) is null or r.status = $3)
                and (cast($4 as bigint) is null or r.id < $4)
                and ($5 = 0 or r.status in ('queued', 'running', 'waiting'))
                and (cast($6 as bigint) is null or r.created_at >= $6)
                and (cast($7 as bigint) is null or r.created_at < $7)
                and (cast($8 as bigint) is null or r.environment_id in
                    (select environment_id from user_environments where user_id = $8))";
        match self.read().await?.row(SQL, filter.values()).await? {
            Some(mut row) => row.count(),
            None => Ok(0),
        }
    }

    /// The runs that a run spawned, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn children(&self, run: RunId) -> Result<Vec<Run>> {
        const SQL: &str = select_runs!("where r.parent_id = $3 order by r.id limit $4");
        let mut values = self.lease_values()?;
        values.extend([run.0.into(), ROWS_MAX.into()]);
        self.read().await?.rows(SQL, values).await?.into_iter().map(read_run).collect()
    }

    /// The variables that hold for one run alone.
    ///
    /// # Errors
    /// `Conflict` where one does not open under this key.
    pub async fn run_variables(&self, run: RunId) -> Result<BTreeMap<String, Secret>> {
        self.variables_from(run, GIVEN).await
    }

    /// What was carried along with a run from the environment of whoever queued it.
    ///
    /// # Errors
    /// As [`Store::run_variables`].
    pub async fn carried_variables(&self, run: RunId) -> Result<BTreeMap<String, Secret>> {
        self.variables_from(run, CARRIED).await
    }

    async fn variables_from(&self, run: RunId, origin: &str) -> Result<BTreeMap<String, Secret>> {
        const SQL: &str = "select name, value from run_variables where run_id = $1 and origin = $2
            order by name limit $3";
        let values = vec![run.0.into(), origin.into(), ROWS_MAX.into()];
        let rows = self.read().await?.rows(SQL, values).await?;
        let run = run.to_string();
        rows.into_iter()
            .map(|mut row| {
                let (name, sealed) = (row.text()?, row.bytes()?);
                let value = self.context().sealer.open(place(&[&run, &name]), &sealed)?;
                Ok((name, value))
            })
            .collect()
    }

    fn lease_values(&self) -> Result<Vec<Value>> {
        self.context().lease_values()
    }
}

/// Puts a run in the queue, or finds the one that the same effect spawned before.
pub(crate) async fn insert(
    conn: &mut Conn,
    context: &Arc<Context>,
    new: &NewRun,
    now: Micros,
) -> Result<RunId> {
    // A child of a run that is to end is to end as well: it may be spawned after its parent was asked.
    const SQL: &str = "insert into agent_runs
            (agent_id, environment_id, user_id, task, request, parent_id, parent_effect, depth, status, created_at,
            waiting_since, model, priority, cancel_requested_by, cancel_requested_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, 'queued', $9, $9, $11,
            coalesce((select priority from agent_runs where id = $6), $10),
            (select cancel_requested_by from agent_runs where id = $6),
            (select cancel_requested_at from agent_runs where id = $6))
        on conflict (parent_effect) do nothing returning id";
    const FIND: &str = "select id from agent_runs where parent_effect = $1";
    const VARIABLE: &str = "insert into run_variables (run_id, name, value, origin) values ($1, $2, $3, $4)";
    let effect: Value = new.parent.map(|(_, effect)| effect.to_string()).into();
    let values = vec![
        new.agent.0.into(),
        new.environment.0.into(),
        new.user.0.into(),
        storable(&new.task).into(),
        new.request.as_str().into(),
        new.parent.map(|(run, _)| run.0).into(),
        effect.clone(),
        i64::from(new.depth).into(),
        now.0.into(),
        new.priority.into(),
        new.model.as_deref().map(storable).into(),
    ];
    let Some(mut row) = conn.row(SQL, values).await? else {
        let found = conn.row(FIND, vec![effect]).await?;
        return Ok(RunId(found.ok_or_else(|| unreadable("a spawned run vanished"))?.int()?));
    };
    let run = RunId(row.int()?);
    conn.news().queued = true;
    if new.variables.is_empty() && new.carried.is_empty() {
        return Ok(run);
    }
    let seal = context.sealer.named(conn).await?;
    let carried = new.carried.iter().filter(|(name, _)| !new.variables.contains_key(*name));
    let given = new.variables.iter().map(|it| (GIVEN, it));
    for (origin, (name, value)) in given.chain(carried.map(|it| (CARRIED, it))) {
        let sealed = seal.seal(place(&[&run.to_string(), name]), value)?;
        let values = vec![run.0.into(), name.as_str().into(), sealed.into(), origin.into()];
        conn.exec(VARIABLE, values).await?;
    }
    Ok(run)
}

/// Where the value of a run's variable is sealed to.
pub(crate) fn place<'a>(row: &'a [&'a str]) -> Place<'a> {
    Place { table: "run_variables", column: "value", row }
}

pub(crate) fn no_such(run: RunId) -> Error {
    Error::not_found(format!("run {run} does not exist")).with_hint("`stn runs list` shows those that do")
}

pub(crate) fn read_run(mut row: Row) -> Result<Run> {
    let row = &mut row;
    let mut run = Run {
        id: RunId(row.int()?),
        agent: AgentId(row.int()?),
        agent_name: row.text()?,
        user: UserId(row.int()?),
        environment: EnvironmentId(row.int()?),
        environment_name: row.text()?,
        task: row.text()?,
        request: row.text()?,
        parent: row.opt_int()?.map(RunId),
        parent_effect: row
            .opt_text()?
            .map(|text| text.parse())
            .transpose()
            .map_err(|_| unreadable("an effect id"))?,
        depth: row.count()?,
        status: read_status(&row.text()?)?,
        waiting_on: row.opt_text()?,
        waiting_kind: row.opt_text()?.and_then(|word| WaitKind::from_word(&word)),
        waiting_since: row.opt_int()?.map(Micros),
        model: row.opt_text()?,
        answer: row.opt_text()?,
        error: row.opt_text()?,
        steps: row.count()?,
        tool_calls: row.count()?,
        usage: Usage {
            input: row.count()?,
            output: row.count()?,
            cached: row.count()?,
            reasoning: row.count()?,
            // Of no interest once it is paid for: the journal has it.
            cache_written: 0,
        },
        priority: row.int()?,
        cancel_requested_by: row.opt_text()?,
        created_at: Micros(row.int()?),
        started_at: row.opt_int()?.map(Micros),
        resumed_at: row.opt_int()?.map(Micros),
        ended_at: row.opt_int()?.map(Micros),
        forked_from: read_fork(row.opt_int()?, row.opt_int()?)?,
        fence: Fence(0),
        lease: None,
    };
    (run.fence, run.lease) = lease::read(row)?;
    Ok(run)
}

fn read_fork(run: Option<i64>, step: Option<i64>) -> Result<Option<ForkedFrom>> {
    let Some((run, step)) = run.zip(step) else { return Ok(None) };
    let step = u32::try_from(step).map_err(|_| unreadable("the step of a fork"))?;
    Ok(Some(ForkedFrom { run: RunId(run), step }))
}

pub(crate) fn read_status(word: &str) -> Result<Status> {
    Status::from_word(word).ok_or_else(|| unreadable("an unknown status"))
}
