//! The ledger of budgets: what an append reserves, spends and settles, in the transaction of its events.
//!
//! Room is made by one conditional update per account, all or none, so that runs that ask at once, here and elsewhere,
//! cannot pass a limit together. On PostgreSQL whoever touches the ledger takes turns by an advisory lock that is held
//! until COMMIT (see `turns`); on SQLite there is one writer anyway. A refusal takes back what its append did and nothing
//! else. Runs without a limit do nothing here.

use crate::db::{Conn, Value};
use crate::queue::requeue;
use station_core::budget::{Account, Amounts, Caps, Measure, Room, Standing, room};
use station_core::{Micros, Result, RunId};

/// Runs that one settlement wakes: more would only find the account full again.
const WOKEN_MAX: i64 = 8;

/// What an append does to budgets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What is counted where.
    pub charges: Vec<Charge>,
    /// Whether the run waits for room.
    pub wait: Wait,
}

/// What is counted in one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Where.
    pub account: Account,
    /// What must hold for it; without any it is counted whatever the account says.
    pub caps: Caps,
    /// Reserved, or given back where negative.
    pub reserve: Amounts,
    /// Spent.
    pub spend: Amounts,
    /// What somebody adds to the limits.
    pub add: Amounts,
}

/// Whether a run waits for room in an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// As before.
    #[default]
    Keep,
    /// Not any more.
    Leave,
    /// From now on: it was refused so, and is queued at once where there is room by now.
    Park {
        /// What was refused.
        charge: Box<Charge>,
        /// Whether a settlement may make room.
        crowded: bool,
        /// When it looks again by itself.
        wakes_at: Option<Micros>,
    },
    /// Until then, for no account: for its turn at something that may not be asked so often.
    Until(Micros),
}

/// Why an append was refused: nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked for.
    pub charge: Charge,
    /// How its account stands.
    pub standing: Standing,
    /// What there is no room for.
    pub room: Room,
}

impl Ledger {
    /// Whether it does anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.charges.is_empty() && self.wait == Wait::Keep
    }
}

/// Counts `charges`, or says which one there is no room for; then some of them may have been counted.
pub(crate) async fn charge(conn: &mut Conn, charges: &[Charge], at: Micros) -> Result<Result<(), Refusal>> {
    for charge in charges {
        if !count(conn, charge).await? {
            let standing = standing(conn, charge.account).await?;
            let room = room(&charge.caps, &standing, &charge.reserve, &charge.spend);
            return Ok(Err(Refusal { charge: *charge, standing, room }));
        }
    }
    for charge in charges.iter().filter(|charge| gives_room(charge)) {
        wake(conn, charge.account, Woken::ByRoom, at).await?;
    }
    for charge in charges.iter().filter(|charge| !charge.add.is_zero()) {
        wake(conn, charge.account, Woken::ByPerson, at).await?;
    }
    Ok(Ok(()))
}

fn gives_room(charge: &Charge) -> bool {
    Measure::ALL.into_iter().any(|measure| charge.reserve.get(measure) < 0)
}

/// One conditional update; `false` where there is no room.
async fn count(conn: &mut Conn, charge: &Charge) -> Result<bool> {
    const OPEN: &str = "insert into budget_accounts (scope, scope_id, day) values ($1, $2, $3)
        on conflict (scope, scope_id, day) do nothing";
    // The condition is `station_core::budget::room`; a test compares the two.
    const COUNT: &str = "update budget_accounts set
            tokens = tokens + $4, micro_usd = micro_usd + $5, calls = calls + $6, time_ms = time_ms + $7,
            tokens_reserved = tokens_reserved + $8, micro_usd_reserved = micro_usd_reserved + $9,
            tokens_added = tokens_added + $14, micro_usd_added = micro_usd_added + $15,
            calls_added = calls_added + $16, time_ms_added = time_ms_added + $17,
            tokens_limit = coalesce($18, tokens_limit), micro_usd_limit = coalesce($19, micro_usd_limit),
            calls_limit = coalesce($20, calls_limit), time_ms_limit = coalesce($21, time_ms_limit)
        where scope = $1 and scope_id = $2 and day = $3
            and (cast($10 as bigint) is null or tokens + tokens_reserved < $10 + tokens_added)
            and (cast($11 as bigint) is null or micro_usd + micro_usd_reserved < $11 + micro_usd_added)
            and (cast($12 as bigint) is null or calls + $6 <= $12 + calls_added)
            and (cast($13 as bigint) is null or time_ms + $7 < $13 + time_ms_added)";
    conn.exec(OPEN, key(charge.account).to_vec()).await?;
    let Charge { account, caps, reserve, spend, add } = charge;
    // A measure of which nothing is wanted does not matter, but time is always spent.
    let held = [
        caps.tokens.filter(|_| reserve.tokens > 0),
        caps.micro_usd.filter(|_| reserve.micro_usd > 0),
        caps.calls.filter(|_| spend.calls > 0),
        caps.time_ms,
    ];
    let mut values = key(*account).to_vec();
    values.extend(Measure::ALL.map(|measure| spend.get(measure).into()));
    values.extend([reserve.tokens.into(), reserve.micro_usd.into()]);
    values.extend(held.map(Value::from));
    values.extend(Measure::ALL.map(|measure| add.get(measure).into()));
    values.extend(Measure::ALL.map(|measure| caps.get(measure).into()));
    Ok(conn.exec(COUNT, values).await? == 1)
}

async fn standing(conn: &mut Conn, account: Account) -> Result<Standing> {
    const SQL: &str = "select tokens, micro_usd, calls, time_ms, tokens_reserved, micro_usd_reserved,
            tokens_added, micro_usd_added, calls_added, time_ms_added
        from budget_accounts where scope = $1 and scope_id = $2 and day = $3";
    let Some(mut row) = conn.row(SQL, key(account).to_vec()).await? else { return Ok(Standing::default()) };
    crate::budgets::read_standing(&mut row)
}

/// Says on the run's behalf that it waits, or does not any more. After its row was brought up to date.
pub(crate) async fn settle_wait(conn: &mut Conn, run: RunId, wait: &Wait, at: Micros) -> Result<()> {
    const LEAVE: &str = "delete from budget_waits where run_id = $1";
    const PARK: &str = "insert into budget_waits (run_id, scope, scope_id, day, crowded, wakes_at)
        values ($4, $1, $2, $3, $5, $6)
        on conflict (run_id) do update set scope = excluded.scope, scope_id = excluded.scope_id,
            day = excluded.day, crowded = excluded.crowded, wakes_at = excluded.wakes_at";
    match wait {
        Wait::Keep => Ok(()),
        Wait::Leave => conn.exec(LEAVE, vec![run.0.into()]).await.map(drop),
        Wait::Until(wakes_at) => {
            let mut values = vec![TURN.into(), 0.into(), NO_DAY.into()];
            values.extend([run.0.into(), 0.into(), wakes_at.0.into()]);
            conn.news().timed = true;
            conn.exec(PARK, values).await.map(drop)
        }
        Wait::Park { charge, crowded, wakes_at } => {
            let mut values = key(charge.account).to_vec();
            values.extend([run.0.into(), i64::from(*crowded).into(), wakes_at.map(|at| at.0).into()]);
            conn.exec(PARK, values).await?;
            conn.news().timed |= wakes_at.is_some();
            // Since it was refused, others may have settled, or somebody may have raised the limit.
            let standing = standing(conn, charge.account).await?;
            if room(&charge.caps, &standing, &charge.reserve, &charge.spend) == Room::Free {
                free(conn, run, at).await?;
            }
            Ok(())
        }
    }
}

/// What woke runs that wait for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// A request came back: some of those for whom the account was full.
    ByRoom,
    /// A limit was raised: all.
    ByPerson,
}

async fn wake(conn: &mut Conn, account: Account, woken: Woken, at: Micros) -> Result<()> {
    // Where the account is full again already, whoever is woken would only lie down again.
    const BY_ROOM: &str = "select w.run_id from budget_waits w
        join budget_accounts a on a.scope = w.scope and a.scope_id = w.scope_id and a.day = w.day
        where w.scope = $1 and w.scope_id = $2 and w.day = $3 and w.crowded = 1
            and (a.tokens_limit is null or a.tokens + a.tokens_reserved < a.tokens_limit + a.tokens_added)
            and (a.micro_usd_limit is null
                or a.micro_usd + a.micro_usd_reserved < a.micro_usd_limit + a.micro_usd_added)
        order by w.run_id limit $4";
    const BY_PERSON: &str = "select run_id from budget_waits
        where scope = $1 and scope_id = $2 and day = $3 order by run_id limit $4";
    let (sql, max) = match woken {
        Woken::ByRoom => (BY_ROOM, WOKEN_MAX),
        Woken::ByPerson => (BY_PERSON, crate::ROWS_MAX),
    };
    let mut values = key(account).to_vec();
    values.push(max.into());
    for mut row in conn.rows(sql, values).await? {
        free(conn, RunId(row.int()?), at).await?;
    }
    Ok(())
}

/// Puts a parked run back in the queue. One that somebody drives meanwhile stays with them.
pub(crate) async fn free(conn: &mut Conn, run: RunId, at: Micros) -> Result<()> {
    const LEAVE: &str = "delete from budget_waits where run_id = $1";
    conn.exec(LEAVE, vec![run.0.into()]).await?;
    requeue(conn, run, at).await
}

/// The columns that name an account: scope, row, day.
pub(crate) fn key(account: Account) -> [Value; 3] {
    [account.scope.as_str().into(), account.scope.id().into(), account.day.unwrap_or(NO_DAY).into()]
}

/// In place of an account's scope: its run waits for its turn.
const TURN: &str = "turn";

/// The day of an account that is not by day.
pub(crate) const NO_DAY: i64 = -1;
