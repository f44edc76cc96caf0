//! Budgets as people see them: limits set by hand, accounts, and parked runs whose time has come.

use crate::db::{Conn, Row, storable, unreadable};
use crate::ledger::{NO_DAY, free, key};
use crate::sealer::Sealer;
use crate::turns::{Reach, joined};
use crate::{ROWS_MAX, Store, audit};
use serde_json::{Value as Json, json};
use station_core::budget::{Account, Amounts, Caps, Limit, Period, Scope, Standing};
use station_core::{Actor, Micros, Result, RunId};

/// Runs that are freed in one transaction.
const FREED_MAX: i64 = 200;

/// What a limit set by hand says its source is.
const BY_HAND: &str = "set by hand";

/// An account as it stands, with the limits that held last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Whose, and of which day.
    pub account: Account,
    /// How it stands.
    pub standing: Standing,
    /// The strictest limits when it was last charged, without what was added.
    pub caps: Caps,
}

/// A limit set by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLimit {
    /// The limit.
    pub limit: Limit,
    /// Who set it, for people.
    pub by: Actor,
    /// When.
    pub at: Micros,
}

/// Every statement that reads accounts ends this list with its own conditions.
macro_rules! select_accounts {
    ($rest:literal) => {
        concat!(
            "select scope, scope_id, day, tokens_limit, micro_usd_limit, calls_limit, time_ms_limit,
                tokens, micro_usd, calls, time_ms, tokens_reserved, micro_usd_reserved,
                tokens_added, micro_usd_added, calls_added, time_ms_added
            from budget_accounts ",
            $rest
        )
    };
}

impl Store {
    /// Limits set by hand, the widest scope first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_limits(&self) -> Result<Vec<SetLimit>> {
        const SQL: &str = "select b.scope, b.scope_id, b.period, b.tokens, b.micro_usd, b.calls, b.time_ms, b.set_by,
                b.set_at, coalesce(e.name, a.name, '')
            from budgets b
            left join environments e on b.scope = 'environment' and e.id = b.scope_id
            left join agents a on b.scope = 'agent' and a.id = b.scope_id
            order by case b.scope when 'installation' then 0 when 'environment' then 1 when 'agent' then 2 else 3 end,
                b.scope_id, b.period desc limit $1";
        let rows = self.read().await?.rows(SQL, vec![ROWS_MAX.into()]).await?;
        rows.into_iter().map(read_limit).collect()
    }

    /// Sets a limit by hand, in place of the one of this scope and period. Parked runs look again.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_limit(&self, set: &SetLimit) -> Result<()> {
        const SQL: &str =
            "insert into budgets (scope, scope_id, period, tokens, micro_usd, calls, time_ms, set_by, set_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            on conflict (scope, scope_id, period) do update set tokens = excluded.tokens,
                micro_usd = excluded.micro_usd, calls = excluded.calls, time_ms = excluded.time_ms,
                set_by = excluded.set_by, set_at = excluded.set_at";
        let input = (self.shared_context(), set.clone());
        self.write_reaching(Reach::Limit, input, |conn, (context, set)| {
            Box::pin(async move {
                let Limit { scope, period, caps, .. } = &set.limit;
                let values = vec![
                    scope.as_str().into(),
                    scope.id().into(),
                    period.as_str().into(),
                    caps.tokens.into(),
                    caps.micro_usd.into(),
                    caps.calls.into(),
                    caps.time_ms.into(),
                    storable(&set.by.name).into(),
                    set.at.0.into(),
                ];
                conn.exec(SQL, values).await?;
                let detail = json!({
                    "period": period.as_str(), "tokens": caps.tokens, "micro_usd": caps.micro_usd, "calls": caps.calls,
                    "time_ms": caps.time_ms,
                });
                note(conn, &context.sealer, "set_budget", *scope, detail, (&set.by, set.at)).await
            })
        })
        .await?;
        self.free_all(set.at).await
    }

    /// Takes away what was set by hand; how many limits that were. Parked runs look again.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn unset_limits(
        &self,
        scope: Scope,
        period: Option<Period>,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<u64> {
        const SQL: &str = "delete from budgets where scope = $1 and scope_id = $2
            and (cast($3 as text) is null or period = $3)";
        let input = (self.shared_context(), (scope, period), actor.into(), now);
        let gone = self
            .write_reaching(Reach::Limit, input, |conn, (context, (scope, period), actor, now)| {
                Box::pin(async move {
                    let period = period.map(Period::as_str);
                    let values = vec![scope.as_str().into(), scope.id().into(), period.into()];
                    let gone = conn.exec(SQL, values).await?;
                    if gone > 0 {
                        let detail = json!({ "period": period });
                        note(conn, &context.sealer, "unset_budget", *scope, detail, (actor, *now)).await?;
                    }
                    Ok(gone)
                })
            })
            .await?;
        self.free_all(now).await?;
        Ok(gone)
    }

    /// The accounts of these runs.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn run_accounts(&self, runs: &[RunId]) -> Result<Vec<AccountRow>> {
        const SQLITE: &str = select_accounts!(
            "where scope = 'run' and day = $1 and scope_id in (select value from json_each('[' || $2 || ']'))
            order by scope_id limit $3"
        );
        const POSTGRES: &str = select_accounts!(
            "where scope = 'run' and day = $1
                and scope_id in (select cast(id as bigint) from unnest(string_to_array($2, ',')) as wanted (id))
            order by scope_id limit $3"
        );
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let values = vec![NO_DAY.into(), joined(runs.iter().copied()).into(), ROWS_MAX.into()];
        let mut conn = self.read().await?;
        let sql = if conn.is_sqlite() { SQLITE } else { POSTGRES };
        conn.rows(sql, values).await?.into_iter().map(read_account).collect()
    }

    /// The account as it stands, where anything was ever counted in it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn account(&self, account: Account) -> Result<Option<AccountRow>> {
        const SQL: &str = select_accounts!("where scope = $1 and scope_id = $2 and day = $3");
        let row = self.read().await?.row(SQL, key(account).to_vec()).await?;
        row.map(read_account).transpose()
    }

    /// Puts parked runs back in the queue that wanted to look again at `now`. Costs one look at an index where there are
    /// none.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn free_due(&self, now: Micros) -> Result<()> {
        const DUE: &str =
            "select run_id from budget_waits where wakes_at <= $1 order by wakes_at, run_id limit $2";
        // Whoever lies down again wants to look later than now.
        while !self.free(DUE, now.0, now).await?.is_empty() {}
        Ok(())
    }

    /// Puts one parked run back in the queue.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn free_run(&self, run: RunId, now: Micros) -> Result<()> {
        self.write_reaching(Reach::Ledger, (run, now), |conn, (run, now)| Box::pin(free(conn, *run, *now)))
            .await
    }

    /// Puts every parked run that waits for a budget back in the queue, each once: limits have changed. A worker may have
    /// taken one up, and let it lie down again, before the next is looked for.
    async fn free_all(&self, now: Micros) -> Result<()> {
        const ALL: &str = "select run_id from budget_waits where run_id > $1 order by run_id limit $2";
        let mut after = 0;
        while let Some(last) = self.free(ALL, after, now).await?.last() {
            after = last.0;
        }
        Ok(())
    }

    /// Puts some of the parked runs that `sql` finds from `from` on back in the queue; which.
    async fn free(&self, sql: &'static str, from: i64, now: Micros) -> Result<Vec<RunId>> {
        let rows = self.read().await?.rows(sql, vec![from.into(), FREED_MAX.into()]).await?;
        let runs: Vec<RunId> = rows.into_iter().map(|mut row| row.int().map(RunId)).collect::<Result<_>>()?;
        if !runs.is_empty() {
            self.write_reaching(Reach::Ledger, (runs.clone(), now), |conn, (runs, now)| {
                Box::pin(async move {
                    for run in runs {
                        free(conn, *run, *now).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        }
        Ok(runs)
    }
}

/// Puts what was done to the limits of `scope` into the audit.
async fn note(
    conn: &mut Conn,
    sealer: &Sealer,
    action: &'static str,
    scope: Scope,
    detail: Json,
    by: (&Actor, Micros),
) -> Result<()> {
    let subject = match scope {
        Scope::Installation => "the installation".to_owned(),
        _ => format!("{} {}", scope.as_str(), scope.id()),
    };
    audit::note(conn, sealer, by, action, subject, detail).await
}

fn read_limit(mut row: Row) -> Result<SetLimit> {
    let (word, id, period) = (row.text()?, row.int()?, row.text()?);
    let scope = Scope::from_parts(&word, id).ok_or_else(|| unreadable("a scope"))?;
    let period = Period::from_word(&period).ok_or_else(|| unreadable("a period"))?;
    let caps = read_caps(&mut row)?;
    let (by, at, name) = (Actor::from(row.text()?), Micros(row.int()?), row.text()?);
    Ok(SetLimit { limit: Limit { scope, period, caps, name, source: BY_HAND.to_owned() }, by, at })
}

fn read_account(mut row: Row) -> Result<AccountRow> {
    let (word, id, day) = (row.text()?, row.int()?, row.int()?);
    let scope = Scope::from_parts(&word, id).ok_or_else(|| unreadable("a scope"))?;
    let account = Account { scope, day: (day != NO_DAY).then_some(day) };
    let caps = read_caps(&mut row)?;
    Ok(AccountRow { account, standing: read_standing(&mut row)?, caps })
}

fn read_caps(row: &mut Row) -> Result<Caps> {
    Ok(Caps {
        tokens: row.opt_int()?,
        micro_usd: row.opt_int()?,
        calls: row.opt_int()?,
        time_ms: row.opt_int()?,
    })
}

/// Spent, reserved, added: in this order.
pub(crate) fn read_standing(row: &mut Row) -> Result<Standing> {
    let spent = read_amounts(row)?;
    let reserved = Amounts { tokens: row.int()?, micro_usd: row.int()?, ..Amounts::default() };
    Ok(Standing { spent, reserved, added: read_amounts(row)? })
}

fn read_amounts(row: &mut Row) -> Result<Amounts> {
    Ok(Amounts { tokens: row.int()?, micro_usd: row.int()?, calls: row.int()?, time_ms: row.int()? })
}
