//! Approvals: questions to people, in the commit of the `EffectPlanned` that waits for them; and what became of them.
//!
//! A decision is a row here first and an event of the run's journal second: whoever decides has no claim on the run, so
//! it puts the run back in the queue, and the next driver appends what was decided. **Invariant:** a run does not park
//! on a decision that is here and not in its journal yet (`heard`), so no decision is slept through.

use crate::audit;
use crate::db::{Conn, Row, storable, unreadable};
use crate::queue::requeue;
use crate::sealer::Sealer;
use crate::turns::Reach;
use crate::{ROWS_MAX, Store};
use serde_json::json;
use station_core::approval::{Basis, Decided, Decision, Status};
use station_core::{Actor, AgentId, EffectId, EnvironmentId, Error, Micros, Result, RunId, ServerId};
use std::fmt;

/// A question to a person.
#[derive(Clone, Debug, PartialEq)]
pub struct NewApproval {
    /// The call that waits.
    pub effect: EffectId,
    /// Whose call it is.
    pub agent: AgentId,
    /// The server of its tool.
    pub server: ServerId,
    /// The upstream name of the tool.
    pub tool: String,
    /// What the person is shown: JSON of the arguments.
    pub arguments: String,
    /// What a yes is bound to.
    pub basis: Basis,
    /// When the question is over; `None` where it waits for ever.
    pub expires_at: Option<Micros>,
}

/// A question as a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Its row.
    pub id: i64,
    /// Who waits.
    pub asker: Asker,
    /// The call that waits.
    pub effect: EffectId,
    /// Where its server is.
    pub environment_id: EnvironmentId,
    /// That environment's name.
    pub environment: String,
    /// The server's name.
    pub server: String,
    /// The upstream name of the tool.
    pub tool: String,
    /// JSON of the arguments.
    pub arguments: String,
    /// What a yes is bound to.
    pub basis: Basis,
    /// Where it stands.
    pub status: Status,
    /// When it was asked.
    pub asked_at: Micros,
    /// When the question is over.
    pub expires_at: Option<Micros>,
    /// When it was decided.
    pub decided_at: Option<Micros>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Why it was denied.
    pub reason: Option<String>,
    /// When the call was sent on it.
    pub used_at: Option<Micros>,
}

/// Whose call waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A run's.
    Run {
        /// The run.
        run: RunId,
        /// Its agent's name.
        agent: String,
    },
    /// That of a client that cannot be asked itself, on behalf of this caller.
    Caller(String),
}

impl Approval {
    /// What is said where there is none of this number.
    #[must_use]
    pub fn missing(id: i64) -> Error {
        Error::not_found(format!("approval {id} does not exist"))
            .with_hint("`stn approvals list` shows those that wait")
    }

    /// Whether nobody has decided yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.status == Status::Pending
    }

    /// The run that waits, where one does.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        match &self.asker {
            Asker::Run { run, .. } => Some(*run),
            Asker::Caller(_) => None,
        }
    }
}

/// "run 7 of `triage`", "a client of `ada`"
impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { run, agent } => write!(f, "run {run} of `{agent}`"),
            Self::Caller(name) => write!(f, "a client of `{name}`"),
        }
    }
}

/// What a person says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// Yes, this once.
    Once,
    /// Yes, and to every call of this tool by this agent, as long as the tool is defined as it is.
    Always,
    /// No.
    Deny {
        /// Why; may be empty.
        reason: String,
    },
}

impl Say {
    fn action(&self) -> &'static str {
        match self {
            Self::Once => "approve",
            Self::Always => "approve_always",
            Self::Deny { .. } => "deny",
        }
    }

    fn status(&self) -> Status {
        match self {
            Self::Once | Self::Always => Status::Approved,
            Self::Deny { .. } => Status::Denied,
        }
    }
}

/// Who lets a question time out, in the audit: it was the clock.
const NOBODY: &str = "nobody";

macro_rules! select_approvals {
    ($rest:literal) => {
        concat!(
            "select p.id, p.run_id, a.name, p.caller, p.effect_id, e.id, e.name, s.name, p.tool, p.arguments, p.basis, p.status,
                p.asked_at, p.expires_at, p.decided_at, p.decided_by, p.reason, p.used_at
            from approvals p left join agents a on a.id = p.agent_id join environments e on e.id = p.environment_id
                join mcp_servers s on s.id = p.server_id ",
            $rest
        )
    };
}

pub(crate) use select_approvals;

impl Store {
    /// Questions of one run, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approvals_of(&self, run: RunId) -> Result<Vec<Approval>> {
        const SQL: &str = select_approvals!("where p.run_id = $1 order by p.id limit $2");
        let rows = self.read().await?.rows(SQL, vec![run.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(read_approval).collect()
    }

    /// One question.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn approval(&self, id: i64) -> Result<Approval> {
        const SQL: &str = select_approvals!("where p.id = $1");
        let row = self.read().await?.row(SQL, vec![id.into()]).await?;
        read_approval(row.ok_or_else(|| Approval::missing(id))?)
    }

    /// Answers a question, and puts its run back in the queue where it waits.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it was decided already, or is over, and for a yes for always where no agent calls.
    pub async fn decide(&self, id: i64, say: Say, actor: impl Into<Actor>, now: Micros) -> Result<()> {
        let run = self.approval(id).await?.run();
        if run.is_none() && say == Say::Always {
            let sentence = format!(
                "approval {id} is for a call of a client, and no agent's: nothing is approved for always"
            );
            return Err(Error::conflict(sentence)
                .with_hint(format!("say yes to this one: `stn approvals approve {id}`")));
        }
        let input = (self.shared_context(), id, run, say, actor.into(), now);
        let decided = self
            .write_reaching(Reach::Audit(run), input, |conn, (context, id, run, say, actor, now)| {
                Box::pin(decide(conn, &context.sealer, (*id, *run), say, actor, *now))
            })
            .await?;
        if decided { Ok(()) } else { Err(over(&self.approval(id).await?)) }
    }

    /// Ends questions whose time is over, and puts their runs back in the queue. How many there were.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn expire_approvals(&self, now: Micros) -> Result<usize> {
        const DUE: &str = "select id, run_id from approvals where status = 'pending' and expires_at <= $1
            order by expires_at limit $2";
        let due = self.read().await?.rows(DUE, vec![now.0.into(), ROWS_MAX.into()]).await?;
        let n = due.len();
        for mut row in due {
            let (id, run) = (row.int()?, row.opt_int()?.map(RunId));
            let input = (self.shared_context(), id, run, now);
            self.write_reaching(Reach::Audit(run), input, |conn, (context, id, run, now)| {
                Box::pin(expire(conn, &context.sealer, (*id, *run), *now))
            })
            .await?;
        }
        Ok(n)
    }

    /// What was decided about calls of a run and is not in its journal yet, oldest question first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn decisions(&self, run: RunId) -> Result<Vec<Decided>> {
        const SQL: &str = "select effect_id, status, decided_by, reason from approvals
            where run_id = $1 and heard = 0 and status in ('approved', 'denied', 'timed_out') order by id limit $2";
        let rows = self.read().await?.rows(SQL, vec![run.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter()
            .map(|mut row| {
                let (effect, status) = (effect(&row.text()?)?, row.text()?);
                let by = row.opt_text()?.unwrap_or_default();
                let reason = row.opt_text()?.unwrap_or_default();
                let decision = match status.as_str() {
                    "approved" => Decision::Approved,
                    "denied" => Decision::Denied { reason },
                    _ => Decision::TimedOut,
                };
                Ok(Decided { effect, decision, by })
            })
            .collect()
    }
}

async fn decide(
    conn: &mut Conn,
    sealer: &Sealer,
    (id, run): (i64, Option<RunId>),
    say: &Say,
    actor: &Actor,
    now: Micros,
) -> Result<bool> {
    const SQL: &str = "update approvals set status = $2, decided_at = $3, decided_by = $4, reason = $5
        where id = $1 and status = 'pending' and (expires_at is null or expires_at > $3)";
    const ALWAYS: &str = "insert into standing_approvals
            (agent_id, server_id, tool, definition_hash, approval_id, made_at, made_by)
        select agent_id, server_id, tool, $2, id, $3, $4 from approvals where id = $1
        on conflict (agent_id, server_id, tool, definition_hash) where revoked_at is null do nothing";
    const WHAT: &str = "select s.name, p.tool, p.basis, p.effect_id from approvals p
        join mcp_servers s on s.id = p.server_id where p.id = $1";
    if let Some(run) = run {
        lock_run(conn, run).await?;
    }
    let reason = match say {
        Say::Deny { reason } => Some(storable(reason)),
        Say::Once | Say::Always => None,
    };
    let name = storable(&actor.name);
    let values = vec![
        id.into(),
        say.status().as_str().into(),
        now.0.into(),
        name.as_str().into(),
        reason.clone().into(),
    ];
    if conn.exec(SQL, values).await? == 0 {
        return Ok(false);
    }
    let row = conn.row(WHAT, vec![id.into()]).await?;
    let mut row = row.ok_or_else(|| unreadable("an approval without its server"))?;
    let (server, tool, basis, effect) = (row.text()?, row.text()?, read_basis(&row.text()?)?, row.text()?);
    if *say == Say::Always {
        let values = vec![id.into(), basis.definition.as_str().into(), now.0.into(), name.into()];
        conn.exec(ALWAYS, values).await?;
    }
    if let Some(run) = run {
        requeue(conn, run, now).await?;
    }
    let detail = json!({
        "run": run.map(|run| run.0), "effect": effect, "server": server, "tool": tool, "rule": basis.rule.to_string(),
        "arguments_hash": basis.arguments.as_str(), "reason": reason,
    });
    audit::note(conn, sealer, (actor, now), say.action(), format!("approval {id}"), detail).await?;
    Ok(true)
}

async fn expire(
    conn: &mut Conn,
    sealer: &Sealer,
    (id, run): (i64, Option<RunId>),
    now: Micros,
) -> Result<()> {
    const SQL: &str = "update approvals set status = 'timed_out', decided_at = $2
        where id = $1 and status = 'pending' and expires_at <= $2";
    if let Some(run) = run {
        lock_run(conn, run).await?;
    }
    if conn.exec(SQL, vec![id.into(), now.0.into()]).await? > 0 {
        if let Some(run) = run {
            requeue(conn, run, now).await?;
        }
        let by = (&Actor::from(NOBODY), now);
        let detail = json!({ "run": run.map(|run| run.0) });
        audit::note(conn, sealer, by, "time_out", format!("approval {id}"), detail).await?;
    }
    Ok(())
}

/// Takes the run's row before anything is decided about it: a driver that parks meanwhile then sees the decision, or
/// the decision sees that it has parked.
pub(crate) async fn lock_run(conn: &mut Conn, run: RunId) -> Result<()> {
    const SQL: &str = "select id from agent_runs where id = $1 for no key update";
    if !conn.is_sqlite() {
        conn.rows(SQL, vec![run.0.into()]).await?;
    }
    Ok(())
}

/// Puts questions of a run, in the commit of what it appends.
pub(crate) async fn ask(conn: &mut Conn, run: RunId, asks: &[NewApproval], now: Micros) -> Result<()> {
    const SQL: &str = "insert into approvals (run_id, effect_id, agent_id, environment_id, server_id, tool,
            arguments, basis, status, asked_at, expires_at)
        values ($1, $2, $3, (select environment_id from agent_runs where id = $1), $4, $5, $6, $7, 'pending', $8, $9)";
    for ask in asks {
        let basis = basis_text(&ask.basis)?;
        let values = vec![
            run.0.into(),
            ask.effect.to_string().into(),
            ask.agent.0.into(),
            ask.server.0.into(),
            storable(&ask.tool).into(),
            storable(&ask.arguments).into(),
            basis.into(),
            now.0.into(),
            ask.expires_at.map(|at| at.0).into(),
        ];
        conn.exec(SQL, values).await?;
        conn.news().timed |= ask.expires_at.is_some();
    }
    Ok(())
}

/// Takes a yes back that was given for something that has changed.
pub(crate) async fn take_back(conn: &mut Conn, effects: &[EffectId]) -> Result<()> {
    const SQL: &str = "update approvals set status = 'void' where effect_id = $1 and used_at is null";
    for effect in effects {
        conn.exec(SQL, vec![effect.to_string().into()]).await?;
    }
    Ok(())
}

/// Ends questions of a run that need no answer any more.
pub(crate) async fn end(conn: &mut Conn, run: RunId) -> Result<()> {
    const SQL: &str = "update approvals set status = 'void' where run_id = $1 and status = 'pending'";
    conn.exec(SQL, vec![run.0.into()]).await.map(drop)
}

/// Marks decisions of a run as being in its journal.
pub(crate) async fn hear(conn: &mut Conn, heard: &[EffectId]) -> Result<()> {
    const APPROVALS: &str = "update approvals set heard = 1 where effect_id = $1";
    const SETTLEMENTS: &str = "update settlements set heard = 1 where effect_id = $1";
    for effect in heard {
        for sql in [APPROVALS, SETTLEMENTS] {
            conn.exec(sql, vec![effect.to_string().into()]).await?;
        }
    }
    Ok(())
}

/// Records that a call is sent on a yes that was given for it alone.
///
/// # Errors
/// `Internal` where there is no such yes: nothing may be sent on it.
pub(crate) async fn use_once(conn: &mut Conn, effect: EffectId, now: Micros) -> Result<()> {
    const SQL: &str = "update approvals set used_at = coalesce(used_at, $2)
        where effect_id = $1 and status = 'approved'";
    match conn.exec(SQL, vec![effect.to_string().into(), now.0.into()]).await? {
        1 => Ok(()),
        _ => Err(Error::internal("sending a call on an approval", "it was never given")),
    }
}

/// An approval that is not to be decided any more, in words.
fn over(approval: &Approval) -> Error {
    let by = approval.decided_by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
    let what = match approval.status {
        Status::Approved => format!("was approved{by} already"),
        Status::Denied => format!("was denied{by} already"),
        Status::Void => "is void: its run has ended, or what it was asked for has changed".to_owned(),
        // What is pending is not decided any more because its time is over.
        Status::TimedOut | Status::Pending => "timed out: nobody decided in time".to_owned(),
    };
    let error = Error::conflict(format!("approval {} {what}", approval.id));
    match approval.run() {
        Some(run) => error.with_hint(format!("see its run with `stn runs inspect {run}`")),
        None => error.with_hint("call it again: a new question is put"),
    }
}

pub(crate) fn read_approval(mut row: Row) -> Result<Approval> {
    let row = &mut row;
    let id = row.int()?;
    let of_run = (row.opt_int()?.map(RunId), row.opt_text()?);
    let asker = match (of_run, row.opt_text()?) {
        ((Some(run), Some(agent)), _) => Asker::Run { run, agent },
        (_, caller) => Asker::Caller(caller.unwrap_or_default()),
    };
    Ok(Approval {
        id,
        asker,
        effect: effect(&row.text()?)?,
        environment_id: EnvironmentId(row.int()?),
        environment: row.text()?,
        server: row.text()?,
        tool: row.text()?,
        arguments: row.text()?,
        basis: read_basis(&row.text()?)?,
        status: Status::from_word(&row.text()?).ok_or_else(|| unreadable("a status of an approval"))?,
        asked_at: Micros(row.int()?),
        expires_at: row.opt_int()?.map(Micros),
        decided_at: row.opt_int()?.map(Micros),
        decided_by: row.opt_text()?,
        reason: row.opt_text()?,
        used_at: row.opt_int()?.map(Micros),
    })
}

pub(crate) fn basis_text(basis: &Basis) -> Result<String> {
    serde_json::to_string(basis).map_err(|cause| Error::internal("storing a question", cause))
}

fn read_basis(text: &str) -> Result<Basis> {
    serde_json::from_str(text).map_err(|cause| Error::internal("reading a question", cause))
}

pub(crate) fn effect(text: &str) -> Result<EffectId> {
    text.parse().map_err(|_| unreadable("an effect id"))
}
