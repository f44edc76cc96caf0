//! The journal: what a run appends, in one commit, under its fence.
//!
//! The first statement of an append moves `journal_seq` where the fence is still the caller's. It takes the row's
//! lock until COMMIT, so nobody can claim the run between the check and the events, and two writers cannot interleave;
//! the events that follow need no condition of their own. An append whose fence is old stops there: it has changed
//! nothing, and the others of its group do not notice.

use crate::db::{Conn, Value, storable};
use crate::ledger::{self, Ledger, Refusal};
use crate::runs::{self, NewRun, no_such};
use crate::turns::{Appending, Reach};
use crate::{Context, NewApproval, Store, approvals, standing};
use station_core::approval::Approved;
use station_core::run::{Entry, Event, Status, WaitsOn};
use station_core::{BlobHash, EffectId, Error, Fence, Micros, Result, RunId, Usage};
use std::sync::Arc;

/// What one driver appends to its run at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// The run.
    pub run: RunId,
    /// The number of the driver's claim.
    pub fence: Fence,
    /// What happened; `seq` goes on where the journal ended.
    pub entries: Vec<Entry>,
    /// Bodies that the entries name by hash: all of them, also where they are stored already, or they may go with another
    /// run.
    pub blobs: Vec<(BlobHash, Vec<u8>)>,
    /// Runs that the entries spawn, by effect. Whatever `parent` they name, they become children of this effect.
    pub spawns: Vec<(EffectId, NewRun)>,
    /// Questions to persons that the entries put.
    pub asks: Vec<NewApproval>,
    /// The yes that each call of the entries is sent on, where it needs one.
    pub uses: Vec<(EffectId, Approved)>,
    /// Effects of which the entries tell what a person decided.
    pub heard: Vec<EffectId>,
    /// Effects whose yes does not hold any more.
    pub voids: Vec<EffectId>,
    /// What the run's row says from now on.
    pub row: Option<RunUpdate>,
    /// What is reserved, spent and settled.
    pub ledger: Ledger,
}

impl Append {
    /// These entries and nothing beside them; the run's row says what it said.
    #[must_use]
    pub fn new(run: RunId, fence: Fence, entries: Vec<Entry>) -> Self {
        Self {
            run,
            fence,
            entries,
            blobs: Vec::new(),
            spawns: Vec::new(),
            asks: Vec::new(),
            uses: Vec::new(),
            heard: Vec::new(),
            voids: Vec::new(),
            row: None,
            ledger: Ledger::default(),
        }
    }
}

/// What a run's row says after an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunUpdate {
    /// Where it stands.
    pub status: Status,
    /// What it waits for.
    pub waiting_on: Option<WaitsOn>,
    /// Since when, or since when it is in the queue.
    pub waiting_since: Option<Micros>,
    /// Whether it waits for its children. It is queued instead where none of them is still to end, and the last that
    /// ends puts it back in the queue.
    pub waits_for_children: bool,
    /// Whether its driver has heard that it is to end: the wish does not call it back then, and it waits for the rest.
    pub is_stopping: bool,
    /// The model that answered last; `None` leaves what was said before, as for the next three.
    pub model: Option<String>,
    /// Model turns taken.
    pub steps: u32,
    /// Tool calls made.
    pub tool_calls: u32,
    /// Tokens spent.
    pub usage: Usage,
    /// Its answer.
    pub answer: Option<String>,
    /// Why it has none.
    pub error: Option<String>,
    /// When it ended.
    pub ended_at: Option<Micros>,
    /// Whether the lease is given back.
    pub release: bool,
}

impl RunUpdate {
    /// Of a run that is let go of as `status`, of which there is nothing else to say.
    #[must_use]
    pub fn new(status: Status) -> Self {
        Self {
            status,
            waiting_on: None,
            waiting_since: None,
            waits_for_children: false,
            is_stopping: false,
            model: None,
            steps: 0,
            tool_calls: 0,
            usage: Usage::default(),
            answer: None,
            error: None,
            ended_at: None,
            release: true,
        }
    }

    /// Whether the run is driven on by the driver it has, with nothing to say but how far it has come. Its claim made it
    /// `running`, waiting for no children.
    fn goes_on(&self) -> bool {
        self.status == Status::Running
            && !self.release
            && !self.waits_for_children
            && self.model.is_none()
            && self.answer.is_none()
            && self.error.is_none()
            && self.ended_at.is_none()
    }
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is committed.
    Done {
        /// The runs that were spawned, by effect.
        children: Vec<(EffectId, RunId)>,
    },
    /// The run has another driver; nothing was written.
    Fenced,
    /// There is no room in a budget; nothing was written.
    Refused(Box<Refusal>),
}

/// Events of one statement. The texts below are all there are, so each is prepared once.
const EVENTS_MAX: usize = 4;

const INSERT_EVENTS: [&str; EVENTS_MAX] = [
    "insert into run_events (run_id, seq, at, body) values ($1, $2, $3, $4)",
    "insert into run_events (run_id, seq, at, body) values ($1, $2, $3, $4), ($1, $5, $6, $7)",
    "insert into run_events (run_id, seq, at, body) values ($1, $2, $3, $4), ($1, $5, $6, $7), ($1, $8, $9, $10)",
    "insert into run_events (run_id, seq, at, body) values ($1, $2, $3, $4), ($1, $5, $6, $7), ($1, $8, $9, $10),
        ($1, $11, $12, $13)",
];

/// Names of bodies in one statement: a run's inputs are four at most.
const NAMES_MAX: usize = 4;

const INSERT_NAMES: [&str; NAMES_MAX] = [
    "insert into run_blobs (run_id, hash) values ($1, $2) on conflict do nothing",
    "insert into run_blobs (run_id, hash) values ($1, $2), ($1, $3) on conflict do nothing",
    "insert into run_blobs (run_id, hash) values ($1, $2), ($1, $3), ($1, $4) on conflict do nothing",
    "insert into run_blobs (run_id, hash) values ($1, $2), ($1, $3), ($1, $4), ($1, $5) on conflict do nothing",
];

impl Store {
    /// Appends to a run's journal, and changes its row, in one commit that other runs may share.
    ///
    /// # Errors
    /// `NotFound` where there is no such run, `Internal` where an entry does not continue the journal.
    pub async fn append(&self, append: Append) -> Result<Appended> {
        let is_final = append.row.as_ref().is_some_and(|row| row.status.is_final());
        let (has_charges, has_blobs) = (!append.ledger.is_empty(), !append.blobs.is_empty());
        let reach = Reach::Append(Appending { run: append.run, is_end: is_final, has_charges, has_blobs });
        self.write_reaching(reach, (self.shared_context(), append), |conn, (context, input)| {
            Box::pin(append_all(conn, context, input))
        })
        .await
    }

    /// At most `limit` entries of a journal after `after`, in order; `after` 0 is the beginning.
    ///
    /// # Errors
    /// `Conflict` where an entry was written by a newer version that knows an event this one does not.
    pub async fn journal(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<Entry>> {
        const SQL: &str = "select seq, at, body from run_events
            where run_id = $1 and seq > $2 order by seq limit $3";
        let values = vec![run.0.into(), after.into(), i64::from(limit).into()];
        let rows = self.read().await?.rows(SQL, values).await?;
        rows.into_iter()
            .map(|mut row| {
                let (seq, at, body) = (row.int()?, Micros(row.int()?), row.text()?);
                let event: Event = serde_json::from_str(&body).map_err(|cause| unknown(run, seq, cause))?;
                Ok(Entry { seq, at, event })
            })
            .collect()
    }

    /// The body of this hash.
    ///
    /// # Errors
    /// `NotFound` where nothing of this hash was stored.
    pub async fn blob(&self, hash: &BlobHash) -> Result<Vec<u8>> {
        const SQL: &str = "select body from blobs where hash = $1";
        let row = self.read().await?.row(SQL, vec![hash.as_str().into()]).await?;
        row.ok_or_else(|| Error::not_found(format!("no stored body has the hash `{hash}`")))?.bytes()
    }
}

fn unknown(run: RunId, seq: i64, cause: serde_json::Error) -> Error {
    Error::conflict(format!("entry {seq} of run {run} is not known to this version of Station"))
        .with_hint("a newer Station wrote it; update this one")
        .with_cause(cause)
}

async fn append_all(conn: &mut Conn, context: &Arc<Context>, append: &Append) -> Result<Appended> {
    let Ledger { charges, wait } = &append.ledger;
    let at = append.entries.last().map_or(Micros(0), |entry| entry.at);
    if charges.is_empty() {
        let appended = append_one(conn, context, append).await?;
        if matches!(appended, Appended::Done { .. }) {
            ledger::settle_wait(conn, append.run, wait, at).await?;
        }
        return Ok(appended);
    }
    conn.script("savepoint charges").await?;
    let mut appended = append_one(conn, context, append).await?;
    if matches!(appended, Appended::Done { .. }) {
        match ledger::charge(conn, charges, at).await? {
            Ok(()) => ledger::settle_wait(conn, append.run, wait, at).await?,
            Err(refusal) => {
                conn.script("rollback to savepoint charges").await?;
                appended = Appended::Refused(Box::new(refusal));
            }
        }
    }
    conn.script("release savepoint charges").await?;
    Ok(appended)
}

async fn append_one(conn: &mut Conn, context: &Arc<Context>, append: &Append) -> Result<Appended> {
    if !take(conn, append).await? {
        return refused(conn, append).await;
    }
    insert_events(conn, append.run, &append.entries).await?;
    insert_blobs(conn, append.run, &append.blobs).await?;
    let mut children = Vec::with_capacity(append.spawns.len());
    for (effect, new) in &append.spawns {
        let new = NewRun { parent: Some((append.run, *effect)), ..new.clone() };
        // A child is put in the queue by the entry that says so.
        let at = append.entries.last().map_or(Micros(0), |entry| entry.at);
        children.push((*effect, runs::insert(conn, context, &new, at).await?));
    }
    ask_people(conn, append).await?;
    if let Some(row) = &append.row {
        wake(conn, append.run, row).await?;
    }
    Ok(Appended::Done { children })
}

/// Questions that are put, decisions that are heard, and the yes that each call is sent on.
async fn ask_people(conn: &mut Conn, append: &Append) -> Result<()> {
    let at = append.entries.last().map_or(Micros(0), |entry| entry.at);
    approvals::ask(conn, append.run, &append.asks, at).await?;
    approvals::hear(conn, &append.heard).await?;
    approvals::take_back(conn, &append.voids).await?;
    for (effect, approved) in &append.uses {
        match approved {
            Approved::Once { .. } => approvals::use_once(conn, *effect, at).await?,
            Approved::Always { id } => standing::use_standing(conn, *id, at).await?,
        }
    }
    if append.row.as_ref().is_some_and(|row| row.status.is_final()) {
        approvals::end(conn, append.run).await?;
    }
    Ok(())
}

/// Puts back in the queue what `run`, of which `row` is known now, does not keep waiting any more: its parent, or itself.
///
/// No wake-up is lost between two transactions on PostgreSQL: whoever parks holds its own row, whoever ends a child
/// took its parent's row first (see `turns`), and both look for children only then, with a fresh snapshot.
async fn wake(conn: &mut Conn, run: RunId, row: &RunUpdate) -> Result<()> {
    // A run that somebody asked to end, or of which somebody decided something, must not park: its driver did not know
    // yet, the next one does.
    const ITSELF: &str =
        "update agent_runs set status = 'queued', waiting_on = null, waiting_kind = null, waits_for_children = 0, lease_until = null
        where id = $1 and status = 'waiting' and ((cancel_requested_at is not null and $2 = 0)
            or exists (select 1 from approvals p where p.run_id = agent_runs.id and p.heard = 0
                and p.status in ('approved', 'denied', 'timed_out'))
            or exists (select 1 from settlements t where t.run_id = agent_runs.id and t.heard = 0)
            or (waits_for_children = 1 and not exists (select 1 from agent_runs child
                where child.parent_id = agent_runs.id and child.status in ('queued', 'running', 'waiting'))))";
    const PARENT: &str =
        "update agent_runs set status = 'queued', waiting_on = null, waiting_kind = null, waits_for_children = 0, lease_until = null,
            waiting_since = $2
        where id = (select parent_id from agent_runs where id = $1)
            and status = 'waiting' and waits_for_children = 1 and not exists (select 1 from agent_runs child
                where child.parent_id = agent_runs.id and child.status in ('queued', 'running', 'waiting'))";
    let queued = match row.status {
        Status::Running => return Ok(()),
        Status::Queued => true,
        Status::Waiting => {
            conn.exec(ITSELF, vec![run.0.into(), i64::from(row.is_stopping).into()]).await? > 0
        }
        Status::Completed | Status::Failed | Status::Cancelled | Status::TimedOut => {
            let ended_at = row.ended_at.map(|at| at.0);
            conn.exec(PARENT, vec![run.0.into(), ended_at.into()]).await? > 0
        }
    };
    conn.news().freed = true;
    conn.news().queued |= queued;
    Ok(())
}

/// Moves the journal's end, and the rest of the row with it; `false` where fence or seq are not as they should be.
async fn take(conn: &mut Conn, append: &Append) -> Result<bool> {
    const TAKE: &str = "update agent_runs set journal_seq = $3
        where id = $1 and fence = $2 and journal_seq = $4";
    // The first nine values of a row are those of a run that goes on, see `progress_values`.
    const TAKE_AND_UPDATE: &str = "update agent_runs set journal_seq = $3, waiting_on = $5, steps = $6,
            tool_calls = $7, tokens_input = $8, tokens_output = $9, tokens_cached = $10, tokens_reasoning = $11,
            waiting_since = $12, waiting_kind = $13, status = $14, model = coalesce($15, model),
            answer = coalesce($16, answer), error = coalesce($17, error), ended_at = coalesce($18, ended_at),
            lease_until = case when $19 = 1 then null else lease_until end, waits_for_children = $20
        where id = $1 and fence = $2 and journal_seq = $4";
    // Most appends of a run change no column that an index has: named, these would cost a page each, unchanged or not.
    const TAKE_AND_GO_ON: &str = "update agent_runs set journal_seq = $3, waiting_on = $5, steps = $6,
            tool_calls = $7, tokens_input = $8, tokens_output = $9, tokens_cached = $10, tokens_reasoning = $11,
            waiting_since = $12, waiting_kind = $13
        where id = $1 and fence = $2 and journal_seq = $4";
    // Without entries the end stays where it is, wherever that may be.
    const UPDATE: &str =
        "update agent_runs set journal_seq = journal_seq + $3 + $4, waiting_on = $5, steps = $6,
            tool_calls = $7, tokens_input = $8, tokens_output = $9, tokens_cached = $10, tokens_reasoning = $11,
            waiting_since = $12, waiting_kind = $13, status = $14, model = coalesce($15, model),
            answer = coalesce($16, answer), error = coalesce($17, error), ended_at = coalesce($18, ended_at),
            lease_until = case when $19 = 1 then null else lease_until end, waits_for_children = $20
        where id = $1 and fence = $2";
    const TOUCH: &str =
        "update agent_runs set journal_seq = journal_seq + $3 + $4 where id = $1 and fence = $2";
    let (end, before) = match (append.entries.last(), append.entries.first()) {
        (Some(last), Some(first)) => (last.seq, first.seq - 1),
        _ => (0, 0),
    };
    let mut values: Vec<Value> = vec![append.run.0.into(), append.fence.0.into(), end.into(), before.into()];
    let sql = match (&append.row, append.entries.is_empty()) {
        (None, true) => TOUCH,
        (None, false) => TAKE,
        (Some(row), is_empty) => {
            values.extend(progress_values(row));
            if row.goes_on() && !is_empty {
                TAKE_AND_GO_ON
            } else {
                values.extend(standing_values(row));
                if is_empty { UPDATE } else { TAKE_AND_UPDATE }
            }
        }
    };
    Ok(conn.exec(sql, values).await? == 1)
}

/// What changes of a run that goes on.
fn progress_values(row: &RunUpdate) -> [Value; 9] {
    [
        row.waiting_on.as_ref().map(|on| storable(&on.words)).into(),
        i64::from(row.steps).into(),
        i64::from(row.tool_calls).into(),
        count(row.usage.input),
        count(row.usage.output),
        count(row.usage.cached),
        count(row.usage.reasoning),
        row.waiting_since.map(|at| at.0).into(),
        row.waiting_on.as_ref().map(|on| on.kind.as_str()).into(),
    ]
}

/// What changes besides where it is let go of, ends, or goes on with another model.
fn standing_values(row: &RunUpdate) -> [Value; 7] {
    [
        row.status.as_str().into(),
        row.model.as_deref().map(storable).into(),
        row.answer.as_deref().map(storable).into(),
        row.error.as_deref().map(storable).into(),
        row.ended_at.map(|at| at.0).into(),
        i64::from(row.release).into(),
        i64::from(row.waits_for_children && row.status == Status::Waiting).into(),
    ]
}

fn count(n: u64) -> Value {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}

/// Why nothing was taken: somebody else drives the run, or the caller's journal is not the stored one.
async fn refused(conn: &mut Conn, append: &Append) -> Result<Appended> {
    const SQL: &str = "select fence, journal_seq from agent_runs where id = $1";
    let row = conn.row(SQL, vec![append.run.0.into()]).await?;
    let mut row = row.ok_or_else(|| no_such(append.run))?;
    let (fence, end) = (row.int()?, row.int()?);
    if fence != append.fence.0 {
        return Ok(Appended::Fenced);
    }
    let first = append.entries.first().map_or(0, |entry| entry.seq);
    Err(Error::internal(
        format!("appending to run {}", append.run),
        format!("the journal ends at {end}, the append begins at {first}"),
    ))
}

pub(crate) async fn insert_events(conn: &mut Conn, run: RunId, all: &[Entry]) -> Result<()> {
    let mut expected = all.first().map_or(0, |entry| entry.seq);
    for entries in all.chunks(EVENTS_MAX) {
        let mut values: Vec<Value> = vec![run.0.into()];
        for entry in entries {
            if entry.seq != expected {
                return Err(Error::internal("appending to a run", "the entries have a gap"));
            }
            expected += 1;
            let body = serde_json::to_string(&entry.event)
                .map_err(|cause| Error::internal("appending to a run", cause))?;
            values.extend([entry.seq.into(), entry.at.0.into(), body.into()]);
        }
        conn.exec(INSERT_EVENTS[entries.len() - 1], values).await?;
    }
    Ok(())
}

pub(crate) async fn insert_blobs(conn: &mut Conn, run: RunId, blobs: &[(BlobHash, Vec<u8>)]) -> Result<()> {
    const SQL: &str = "insert into blobs (hash, body) values ($1, $2) on conflict (hash) do nothing";
    for (hash, body) in blobs {
        conn.exec(SQL, vec![hash.as_str().into(), body.clone().into()]).await?;
    }
    for blobs in blobs.chunks(NAMES_MAX) {
        let mut values: Vec<Value> = vec![run.0.into()];
        values.extend(blobs.iter().map(|(hash, _)| Value::from(hash.as_str())));
        conn.exec(INSERT_NAMES[blobs.len() - 1], values).await?;
    }
    Ok(())
}
