//! Requests with a key of their sender's: who is at work at one, and what it was answered.
//!
//! The row is there before the request is done, so that a second one, at whatever instance, finds the first. Whoever is at work holds
//! it by a lease and a fence, as a run's driver does. A request that starts a run has that run written into its row by the transaction
//! that queues it ([`bound`]): one that is done again by another instance finds the run instead of starting a second. What was asked and
//! what was answered are sealed, because both may hold secrets.

use crate::db::{Conn, Row, unreadable};
use crate::lease::{self, LeaseInfo, Owner, micros_of};
use crate::seal::Place;
use crate::{Context, Store};
use station_core::once::Key;
use station_core::{Error, Fence, Micros, Result, RunId, Secret, UserId};
use std::sync::Arc;

/// Rows removed by whoever adds one: there are never more that hold no longer than were added since.
const OVER_MAX: i64 = 100;

/// A request that begins.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// Whose it is: a key is one of its sender's.
    pub user: UserId,
    /// What its sender calls it.
    pub key: Key,
    /// What tells it from others, whatever that is.
    pub print: String,
    /// Who is at work at it.
    pub owner: Owner,
    /// For how long, unless it is renewed.
    pub lease_ms: u64,
}

/// The right to do a request, and to say what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestClaim {
    /// Whose it is.
    pub user: UserId,
    /// What its sender calls it.
    pub key: Key,
    /// The number that its writes carry.
    pub fence: Fence,
}

/// What is kept of a request.
#[derive(Clone, Debug)]
pub struct KeptRequest {
    /// What told it from others.
    pub print: String,
    /// Whoever was at work at it last.
    pub lease: LeaseInfo,
    /// What was answered: a status of HTTP, and a body where it may be told again.
    pub answer: Option<(u16, Option<String>)>,
}

/// How a request begins.
#[derive(Clone, Debug)]
pub enum BegunRequest {
    /// It is the first of its key.
    New(RequestClaim),
    /// There was one before.
    Kept(Box<KeptRequest>),
}

impl Store {
    /// Begins a request, or finds the one before it. Those of before `since` hold no longer.
    ///
    /// # Errors
    /// `Conflict` where what is kept does not open under this key; where the database fails.
    pub async fn begin_request(&self, new: NewRequest, since: Micros, now: Micros) -> Result<BegunRequest> {
        let input = (self.shared_context(), new, since, now);
        self.write(input, |conn, (context, new, since, now)| {
            Box::pin(begin(conn, context, new, *since, *now))
        })
        .await
    }

    /// Takes up a request of which `seen` was at work and is gone; `None` where another was quicker.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn take_up_request(&self, new: NewRequest, seen: Fence) -> Result<Option<RequestClaim>> {
        const SQL: &str =
            "update request_keys set fence = fence + 1, lease_worker = $6, lease_host = $7, lease_pid = $8,
                lease_pid_start = $9, lease_boot = $2,
                lease_until = coalesce(cast($1 as bigint), (select now from lease_clock)) + cast($3 as bigint)
            where user_id = $4 and key = $5 and fence = $10 and status is null returning fence";
        self.write((self.shared_context(), new, seen), |conn, (context, new, seen)| {
            Box::pin(async move {
                let mut values = held(context, new)?;
                values.push(seen.0.into());
                let row = conn.row(SQL, values).await?;
                row.map(|mut row| Ok(claim(new, Fence(row.int()?)))).transpose()
            })
        })
        .await
    }

    /// Says that whoever has the claim is still at work. Whether it still has it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn renew_request(&self, claim: &RequestClaim, lease_ms: u64) -> Result<bool> {
        const SQL: &str = "update request_keys set lease_boot = $2,
                lease_until = coalesce(cast($1 as bigint), (select now from lease_clock)) + cast($3 as bigint)
            where user_id = $4 and key = $5 and fence = $6";
        self.write((self.shared_context(), claim.clone(), lease_ms), |conn, (context, claim, lease_ms)| {
            Box::pin(async move {
                let mut values = context.lease_values()?;
                values.push(micros_of(*lease_ms).into());
                values.extend([claim.user.0.into(), claim.key.as_str().into(), claim.fence.0.into()]);
                Ok(conn.exec(SQL, values).await? > 0)
            })
        })
        .await
    }

    /// Keeps what a request was answered; `None` for a body that is not to be told again.
    ///
    /// # Errors
    /// `Conflict` where another has taken the request up; where the database fails.
    pub async fn settle_request(
        &self,
        claim: &RequestClaim,
        status: u16,
        body: Option<Secret>,
    ) -> Result<()> {
        const SQL: &str =
            "update request_keys set status = $4, answer = $5 where user_id = $1 and key = $2 and fence = $3";
        let input = (self.shared_context(), claim.clone(), status, body);
        self.write(input, |conn, (context, claim, status, body)| {
            Box::pin(async move {
                let row = [&*claim.user.to_string(), claim.key.as_str()];
                let body = match body {
                    Some(body) => Some(context.sealer.seal(conn, answer_of(&row), body).await?),
                    None => None,
                };
                let mut values = of(claim);
                values.extend([i64::from(*status).into(), crate::db::Value::Bytes(body)]);
                match conn.exec(SQL, values).await? {
                    0 => Err(taken_up()),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Forgets a request that was not done: it may be sent again. One that started a run stays.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn release_request(&self, claim: &RequestClaim) -> Result<()> {
        const SQL: &str =
            "delete from request_keys where user_id = $1 and key = $2 and fence = $3 and run_id is null";
        self.write(claim.clone(), |conn, claim| {
            Box::pin(async move { conn.exec(SQL, of(claim)).await.map(drop) })
        })
        .await
    }

    /// Removes some of what is kept of requests of before `since`; how many.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn prune_requests(&self, since: Micros) -> Result<u64> {
        self.write(since, |conn, since| Box::pin(prune(conn, *since))).await
    }
}

/// The run that the request of `claim` started, where it did: what it does now was done before.
///
/// # Errors
/// `Conflict` where another has taken the request up, whose run this would be the second of.
pub(crate) async fn bound(conn: &mut Conn, claim: &RequestClaim) -> Result<Option<RunId>> {
    // An update, so that on PostgreSQL the row is held until COMMIT.
    const SQL: &str = "update request_keys set run_id = run_id where user_id = $1 and key = $2 and fence = $3
        returning run_id";
    match conn.row(SQL, of(claim)).await? {
        Some(mut row) => Ok(row.opt_int()?.map(RunId)),
        None => Err(taken_up()),
    }
}

/// Writes down which run the request of `claim` starts.
pub(crate) async fn bind(conn: &mut Conn, claim: &RequestClaim, run: RunId) -> Result<()> {
    const SQL: &str = "update request_keys set run_id = $4 where user_id = $1 and key = $2 and fence = $3";
    let mut values = of(claim);
    values.push(run.0.into());
    conn.exec(SQL, values).await.map(drop)
}

async fn begin(
    conn: &mut Conn,
    context: &Arc<Context>,
    new: &NewRequest,
    since: Micros,
    now: Micros,
) -> Result<BegunRequest> {
    const OVER: &str = "delete from request_keys where user_id = $1 and key = $2 and created_at <= $3";
    const SQL: &str =
        "insert into request_keys (user_id, key, print, fence, lease_worker, lease_host, lease_pid,
            lease_pid_start, lease_boot, lease_until, created_at)
        values ($4, $5, $10, 1, $6, $7, $8, $9, $2,
            coalesce(cast($1 as bigint), (select now from lease_clock)) + cast($3 as bigint), $11)
        on conflict (user_id, key) do nothing returning fence";
    const FIND: &str = "select print, status, answer, fence, lease_worker, lease_host, lease_pid, lease_pid_start,
            case when lease_boot <> $2
                or lease_until <= coalesce(cast($1 as bigint), (select now from lease_clock)) then 1 else 0 end
        from request_keys where user_id = $3 and key = $4";
    let (user, key) = (new.user.to_string(), new.key.as_str());
    conn.exec(OVER, vec![new.user.0.into(), key.into(), since.0.into()]).await?;
    prune(conn, since).await?;
    let print = context.sealer.seal(conn, print_of(&[&user, key]), &Secret::new(&new.print)).await?;
    let mut values = held(context, new)?;
    values.extend([print.into(), now.0.into()]);
    if let Some(mut row) = conn.row(SQL, values).await? {
        return Ok(BegunRequest::New(claim(new, Fence(row.int()?))));
    }
    let mut values = context.lease_values()?;
    values.extend([new.user.0.into(), key.into()]);
    let row = conn.row(FIND, values).await?.ok_or_else(|| unreadable("a request vanished"))?;
    read(context, row, &[&user, key]).map(|kept| BegunRequest::Kept(Box::new(kept)))
}

async fn prune(conn: &mut Conn, since: Micros) -> Result<u64> {
    // The oldest first, and few at a time: whoever begins a request waits for it.
    const SQL: &str = "delete from request_keys where (user_id, key) in
        (select user_id, key from request_keys where created_at <= $1 order by created_at limit $2)";
    conn.exec(SQL, vec![since.0.into(), OVER_MAX.into()]).await
}

fn read(context: &Context, mut row: Row, place: &[&str]) -> Result<KeptRequest> {
    let print = context.sealer.open(print_of(place), &row.bytes()?)?.expose().to_owned();
    let status = row.opt_int()?.map(u16::try_from).transpose().map_err(|_| unreadable("a status"))?;
    let body = row.opt_bytes()?;
    let body = body.map(|body| context.sealer.open(answer_of(place), &body)).transpose()?;
    let (_, lease) = lease::read(&mut row)?;
    Ok(KeptRequest {
        print,
        lease: lease.ok_or_else(|| unreadable("a request without a lease"))?,
        answer: status.map(|status| (status, body.map(|body| body.expose().to_owned()))),
    })
}

/// Where what was asked is sealed to.
pub(crate) fn print_of<'a>(row: &'a [&'a str]) -> Place<'a> {
    Place { table: "request_keys", column: "print", row }
}

/// Where an answer is sealed to.
pub(crate) fn answer_of<'a>(row: &'a [&'a str]) -> Place<'a> {
    Place { table: "request_keys", column: "answer", row }
}

/// Who holds a request from now on: the lease clock, its boot, how long, whose, its key, and the owner in four.
fn held(context: &Context, new: &NewRequest) -> Result<Vec<crate::db::Value>> {
    let mut values = context.lease_values()?;
    values.extend([
        micros_of(new.lease_ms).into(),
        new.user.0.into(),
        new.key.as_str().into(),
        new.owner.worker.as_str().into(),
        new.owner.host.as_str().into(),
        i64::from(new.owner.pid).into(),
        new.owner.pid_start.cast_signed().into(),
    ]);
    Ok(values)
}

fn claim(new: &NewRequest, fence: Fence) -> RequestClaim {
    RequestClaim { user: new.user, key: new.key.clone(), fence }
}

fn of(claim: &RequestClaim) -> Vec<crate::db::Value> {
    vec![claim.user.0.into(), claim.key.as_str().into(), claim.fence.0.into()]
}

fn taken_up() -> Error {
    Error::conflict("another instance has taken up the request with this `Idempotency-Key`")
        .with_hint("send it again with the same key")
        .with_retry_after_s(1)
}
