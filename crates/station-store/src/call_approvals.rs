//! Questions about calls of clients that cannot be asked themselves: no run waits with them. Whoever calls is told the question's
//! number; when it is decided, the same call by the same caller finds what was said.
//!
//! **Invariant:** a yes is used once, for exactly what was shown, and by whom it was asked for; a no is told once.

use crate::approvals::{basis_text, read_approval, select_approvals};
use crate::db::{Conn, storable};
use crate::{Approval, Store};
use station_core::approval::Basis;
use station_core::{EffectId, Error, Kind, Micros, Result, ServerId};

/// How long a question may be decided, and a yes be used: whoever decides may be asleep.
const VALID_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// How long a yes that was given back may be used.
const GIVEN_BACK_MICROS: i64 = 60 * 60 * 1_000_000;

/// Questions that may wait at a time: a client that calls on and on must not bury what people have to decide.
const PENDING_MAX: i64 = 1_000;

/// How long a question that is over is kept, for whoever looks back: what was decided stays in the audit.
const KEPT_MICROS: i64 = 30 * VALID_MICROS;

/// A call of a client that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct CallQuestion {
    /// On whose behalf it calls.
    pub caller: String,
    /// The server of its tool.
    pub server: ServerId,
    /// The upstream name of the tool.
    pub tool: String,
    /// What the person is shown: JSON of the arguments.
    pub arguments: String,
    /// What a yes is bound to.
    pub basis: Basis,
}

impl Store {
    /// The question about this call that is neither over nor used up: of several one that is decided, and the newest.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn call_approval(&self, question: &CallQuestion, now: Micros) -> Result<Option<Approval>> {
        const SQL: &str = select_approvals!(
            "where p.run_id is null and p.server_id = $1 and p.tool = $2 and p.caller = $3 and p.basis = $4
                and p.heard = 0 and p.expires_at > $5 and p.status in ('pending', 'approved', 'denied')
            order by case p.status when 'pending' then 1 else 0 end, p.id desc limit 1"
        );
        let values = key(question, &basis_text(&question.basis)?, now);
        self.read().await?.row(SQL, values).await?.map(read_approval).transpose()
    }

    /// Gives a yes back that was used up by a call which was not carried out: the same call may be sent once more, within
    /// the hour.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn give_back_call_approval(&self, id: i64, now: Micros) -> Result<()> {
        const SQL: &str = "update approvals set heard = 0, used_at = null,
                expires_at = case when expires_at < $2 then expires_at else $2 end
            where id = $1 and run_id is null and heard = 1 and status = 'approved'";
        self.write((id, now), |conn, (id, now)| {
            Box::pin(async move {
                let until = now.0 + GIVEN_BACK_MICROS;
                conn.exec(SQL, vec![(*id).into(), until.into()]).await.map(drop)
            })
        })
        .await
    }

    /// Puts a question, under the id that the call will carry, unless the same waits already. Its number.
    ///
    /// # Errors
    /// `Busy` where too many wait; `NotFound` where the server is gone.
    pub async fn ask_for_call(&self, question: &CallQuestion, id: EffectId, now: Micros) -> Result<i64> {
        let input = (question.clone(), basis_text(&question.basis)?, id, now);
        self.write(input, |conn, (question, basis, id, now)| Box::pin(put(conn, question, basis, *id, *now)))
            .await
    }

    /// Uses up what was said to a question: a yes for one call, a no for one answer. Whether it was there to be used.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn use_call_approval(&self, id: i64, now: Micros) -> Result<bool> {
        const SQL: &str = "update approvals set heard = 1,
                used_at = case when status = 'approved' then $2 else used_at end
            where id = $1 and run_id is null and heard = 0 and status in ('approved', 'denied') and expires_at > $2";
        self.write((id, now), |conn, (id, now)| {
            Box::pin(async move { Ok(conn.exec(SQL, vec![(*id).into(), now.0.into()]).await? > 0) })
        })
        .await
    }
}

async fn put(
    conn: &mut Conn,
    question: &CallQuestion,
    basis: &str,
    id: EffectId,
    now: Micros,
) -> Result<i64> {
    const SAME: &str =
        "select id from approvals where run_id is null and server_id = $1 and tool = $2 and caller = $3
            and basis = $4 and heard = 0 and expires_at > $5 and status = 'pending' limit 1";
    const FORGET: &str = "delete from approvals where run_id is null and expires_at < $1";
    const WAITING: &str =
        "select count(*) from approvals where run_id is null and status = 'pending' and expires_at > $1";
    const PUT: &str =
        "insert into approvals (effect_id, environment_id, server_id, tool, arguments, basis, status,
            asked_at, expires_at, caller)
        select $1, environment_id, id, $3, $4, $5, 'pending', $6, $7, $8 from mcp_servers where id = $2
        returning id";
    if let Some(mut waiting) = conn.row(SAME, key(question, basis, now)).await? {
        return waiting.int();
    }
    conn.exec(FORGET, vec![(now.0 - KEPT_MICROS).into()]).await?;
    let waiting = conn.row(WAITING, vec![now.0.into()]).await?;
    if waiting.map(|mut row| row.int()).transpose()?.is_some_and(|n| n >= PENDING_MAX) {
        let error =
            Error::new(Kind::Busy, format!("{PENDING_MAX} calls of clients wait for a person already"));
        return Err(error.with_hint("decide some: `stn approvals list`"));
    }
    let values = vec![
        id.to_string().into(),
        question.server.0.into(),
        storable(&question.tool).into(),
        storable(&question.arguments).into(),
        basis.into(),
        now.0.into(),
        (now.0 + VALID_MICROS).into(),
        storable(&question.caller).into(),
    ];
    let row = conn.row(PUT, values).await?;
    conn.news().timed = true;
    row.ok_or_else(|| Error::not_found("the tool's server does not exist any more"))?.int()
}

/// What the same questions have in common.
fn key(question: &CallQuestion, basis: &str, now: Micros) -> Vec<crate::db::Value> {
    vec![
        question.server.0.into(),
        storable(&question.tool).into(),
        storable(&question.caller).into(),
        basis.into(),
        now.0.into(),
    ]
}
