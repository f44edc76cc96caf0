//! Workers that are there: each says so by a row that it renews.
//!
//! For PostgreSQL, whose workers may be anywhere; nobody else needs to know them by name, so that a row is only a sign
//! of life: whoever queues a run learns from it that somebody will take it up. Measured by the lease clock, as leases.

use crate::db::Conn;
use crate::lease::{Owner, micros_of};
use crate::{Context, Store};
use station_core::{Micros, Result};
use std::sync::Arc;

/// Rows of workers that did not say goodbye are kept for so long, and no longer.
const FORGOTTEN_AFTER_MS: u64 = 60 * 60 * 1_000;

/// More workers of one store than this are not told.
const INSTANCES_MAX: i64 = 1_000;

/// A worker that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its own, made when it starts.
    pub id: String,
    /// Its process; of number 0 where an older Station said that it is there.
    pub owner: Owner,
    /// When it started.
    pub started_at: Micros,
}

impl Store {
    /// Says that a worker is there.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn renew_instance(&self, instance: &Instance) -> Result<()> {
        self.write((self.shared_context(), instance.clone()), |conn, (context, instance)| {
            Box::pin(renew(conn, context, instance))
        })
        .await
    }

    /// Says that a worker takes nothing up any more.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn remove_instance(&self, id: &str) -> Result<()> {
        const SQL: &str = "delete from instances where id = $1";
        self.write(id.to_owned(), |conn, id| {
            Box::pin(async move { conn.exec(SQL, vec![id.as_str().into()]).await.map(drop) })
        })
        .await
    }

    /// Workers that said they are there within the last `within_ms`, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn instances(&self, within_ms: u64) -> Result<Vec<Instance>> {
        const SQL: &str = "select id, worker, host, coalesce(pid, 0), coalesce(pid_start, 0), started_at
            from instances where seen_boot = $2
                and seen_at > coalesce(cast($1 as bigint), (select now from lease_clock)) - cast($3 as bigint)
            order by started_at, id limit $4";
        let mut values = self.context().lease_values()?;
        values.extend([micros_of(within_ms).into(), INSTANCES_MAX.into()]);
        let rows = self.read().await?.rows(SQL, values).await?;
        rows.into_iter()
            .map(|mut row| {
                let (id, worker, host) = (row.text()?, row.text()?, row.text()?);
                let owner = Owner { worker, host, pid: row.count()?, pid_start: row.count()? };
                Ok(Instance { id, owner, started_at: Micros(row.int()?) })
            })
            .collect()
    }

    /// The workers that said they are there within the last `within_ms`, and did not say that they have the key of this
    /// id; oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn workers_without_key(&self, id: &str, within_ms: u64) -> Result<Vec<String>> {
        const SQL: &str = "select worker, coalesce(keys, '') from instances where seen_boot = $2
                and seen_at > coalesce(cast($1 as bigint), (select now from lease_clock)) - cast($3 as bigint)
            order by started_at, id limit $4";
        let mut values = self.context().lease_values()?;
        values.extend([micros_of(within_ms).into(), INSTANCES_MAX.into()]);
        let rows = self.read().await?.rows(SQL, values).await?;
        let mut without = Vec::new();
        for mut row in rows {
            let (worker, keys) = (row.text()?, row.text()?);
            if keys.split(' ').all(|key| key != id) {
                without.push(worker);
            }
        }
        Ok(without)
    }
}

async fn renew(conn: &mut Conn, context: &Arc<Context>, instance: &Instance) -> Result<()> {
    const SEEN: &str =
        "insert into instances (id, worker, host, started_at, pid, pid_start, seen_at, seen_boot, keys)
        values ($3, $4, $5, $6, $7, $8, coalesce(cast($1 as bigint), (select now from lease_clock)), $2, $9)
        on conflict (id) do update set seen_at = excluded.seen_at, seen_boot = excluded.seen_boot,
            keys = excluded.keys";
    const FORGET: &str = "delete from instances where seen_boot <> $2
        or seen_at <= coalesce(cast($1 as bigint), (select now from lease_clock)) - cast($3 as bigint)";
    let mut values = context.lease_values()?;
    values.extend([
        instance.id.as_str().into(),
        instance.owner.worker.as_str().into(),
        instance.owner.host.as_str().into(),
        instance.started_at.0.into(),
        i64::from(instance.owner.pid).into(),
        i64::try_from(instance.owner.pid_start).unwrap_or(0).into(),
        context.sealer.ids().into(),
    ]);
    conn.exec(SEEN, values).await?;
    let mut values = context.lease_values()?;
    values.push(micros_of(FORGOTTEN_AFTER_MS).into());
    conn.exec(FORGET, values).await.map(drop)
}
