//! Every sealed value of a store, sealed anew under another key.
//!
//! The columns that hold sealed values are a table below, and nothing else of a store hangs on its key: API keys,
//! passwords and cookies are kept as hashes that need none, bodies of runs are named by plain ones. On SQLite all of it
//! is one transaction ([`crate::Exclusive`]); on PostgreSQL the name of the key is changed first, and values follow in
//! small transactions while everybody works on. A value is replaced only as it was read: who was quicker has sealed it
//! under the new key already. **Invariant:** a column that is sealed and not in the table makes a test fail.

use crate::audit::{append, reseal_head};
use crate::db::{Conn, unreadable};
use crate::key::KeyId;
use crate::seal::{Place, Seal};
use crate::sealer::Sealer;
use crate::turns::Reach;
use crate::{Context, Deed, Key, Store, configs, environments, logins, once, runs};
use station_core::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values of one transaction on PostgreSQL: a few milliseconds of work, so that nobody waits long for their rows.
const BATCH: i64 = 200;

/// The keys that a store names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyNames {
    /// What is sealed now is sealed under this one.
    pub key: String,
    /// While values may be left under another one: that.
    pub old: Option<String>,
}

/// What became of the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// How many are sealed anew.
    pub values: u64,
    /// How many no key here opens, by table: they are as they were.
    pub unopened: BTreeMap<&'static str, u64>,
}

/// A column of sealed values. Its rows are told apart by a number and a text; where the number says it, the text is empty.
struct Column {
    table: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares the table with the schema"))]
    column: &'static str,
    /// The rows after ($2, $3), in order, that are not sealed under the key of id $1; at most $4.
    select: &'static str,
    /// Puts $3 in the place of $4 in the row of $1 and $2.
    update: &'static str,
    place: for<'a> fn(&'a [&'a str]) -> Place<'a>,
    /// How many parts name a row in its place.
    parts: usize,
}

/// A statement of a table's column, by the two columns that name its rows.
macro_rules! column {
    ($table:literal . $column:literal ($id:literal, $name:literal), $place:expr, $parts:literal) => {
        Column {
            table: $table,
            column: $column,
            select: concat!(
                "select ",
                $id,
                ", ",
                $name,
                ", ",
                $column,
                " from ",
                $table,
                " where substr(",
                $column,
                ", 2, 4) <> $1 and (",
                $id,
                " > $2 or (",
                $id,
                " = $2 and ",
                $name,
                " > $3)) order by ",
                $id,
                ", ",
                $name,
                " limit $4"
            ),
            update: concat!(
                "update ",
                $table,
                " set ",
                $column,
                " = $3 where ",
                $id,
                " = $1 and ",
                $name,
                " = $2 and ",
                $column,
                " = $4"
            ),
            place: $place,
            parts: $parts,
        }
    };
}

/// All of them but the end of the audit, which goes with the name of the key.
const COLUMNS: [Column; 7] = [
    column!("variables"."value"("environment_id", "name"), environments::place, 2),
    column!("mcp_configs"."source"("environment_id", "name"), configs::place, 2),
    column!("run_variables"."value"("run_id", "name"), runs::place, 2),
    column!("mcp_logins"."login"("server_id", "cast('' as text)"), logins::place_of_login, 1),
    column!("mcp_clients"."client"("server_id", "issuer"), logins::place_of_client, 2),
    column!("request_keys"."print"("user_id", "key"), once::print_of, 2),
    column!("request_keys"."answer"("user_id", "key"), once::answer_of, 2),
];

/// The table as `table.column`.
#[cfg(test)]
pub(crate) fn sealed_columns() -> impl Iterator<Item = String> {
    COLUMNS.iter().map(|it| format!("{}.{}", it.table, it.column))
}

/// The keys that the store names.
pub(crate) async fn key_names(conn: &mut Conn) -> Result<KeyNames> {
    const SQL: &str = "select key_id, old_key_id from store where id = 1";
    let row = conn.row(SQL, Vec::new()).await?;
    let mut row = row.ok_or_else(|| unreadable("a store that names no key"))?;
    Ok(KeyNames { key: row.text()?, old: row.opt_text()? })
}

/// The whole of it, as a part of one transaction.
pub(crate) async fn all(conn: &mut Conn, sealer: &Sealer, to: &Key, deed: &Deed) -> Result<Resealed> {
    change_name(conn, sealer, &to.id(), deed).await?;
    let mut done = Resealed::default();
    let to = sealer.use_key(&to.id())?;
    for column in &COLUMNS {
        let mut after = Some(Row::default());
        while let Some(row) = after {
            after = some(conn, sealer, (column, &to), &row, &mut done).await?;
        }
    }
    end(conn, to.key_id()).await.map(|()| done)
}

/// Names another key, seals the end of the audit under it and tells of it; nothing where that was done before.
async fn change_name(conn: &mut Conn, sealer: &Sealer, to: &str, deed: &Deed) -> Result<()> {
    const SQL: &str = "update store set old_key_id = key_id, key_id = $1 where id = 1 and key_id <> $1 and old_key_id is null";
    if conn.exec(SQL, vec![to.into()]).await? == 0 {
        let names = key_names(conn).await?;
        if names.key == to {
            return Ok(());
        }
        return Err(Error::conflict(format!(
            "the key is being rotated to `{}`, which is another one",
            names.key
        ))
        .with_hint("that comes first: `stn key rotate` with that key ends it"));
    }
    sealer.use_key(to)?;
    reseal_head(conn, sealer).await?;
    append(conn, sealer, deed).await
}

/// Forgets the old key: nothing is sealed under it any more.
async fn end(conn: &mut Conn, to: KeyId) -> Result<()> {
    const SQL: &str = "update store set old_key_id = null where id = 1 and key_id = $1";
    conn.exec(SQL, vec![hex::encode(to).into()]).await.map(drop)
}

/// What names a row; before all of them as it is made.
#[derive(Clone, Debug)]
struct Row {
    id: i64,
    name: String,
}

impl Default for Row {
    fn default() -> Self {
        Self { id: i64::MIN, name: String::new() }
    }
}

/// The next values of a column after `after`; the last row that was looked at, where there may be more.
async fn some(
    conn: &mut Conn,
    sealer: &Sealer,
    (column, to): (&Column, &Seal),
    after: &Row,
    done: &mut Resealed,
) -> Result<Option<Row>> {
    let under = to.key_id().to_vec();
    let values = vec![under.into(), after.id.into(), after.name.as_str().into(), BATCH.into()];
    let rows = conn.rows(column.select, values).await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|n| n == BATCH);
    let mut last = None;
    for mut row in rows {
        let (it, sealed) = (Row { id: row.int()?, name: row.text()? }, row.bytes()?);
        let id = it.id.to_string();
        let parts = [id.as_str(), &it.name];
        let place = (column.place)(&parts[..column.parts]);
        match sealer.open(place, &sealed) {
            Ok(secret) => {
                let anew = to.seal(place, &secret)?;
                let values = vec![it.id.into(), it.name.as_str().into(), anew.into(), sealed.into()];
                done.values += conn.exec(column.update, values).await?;
            }
            Err(error) => {
                tracing::warn!(table = column.table, %error, "a sealed value is left as it is");
                *done.unopened.entry(column.table).or_default() += 1;
            }
        }
        last = Some(it);
    }
    Ok(last.filter(|_| is_full))
}

impl Store {
    /// The keys that the store names.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn key_names(&self) -> Result<KeyNames> {
        key_names(&mut *self.read().await?).await
    }

    /// On PostgreSQL: has everybody seal under the key of id `to` from now on, which must be in the ring, and tells the
    /// audit. Nothing where that was done before.
    ///
    /// # Errors
    /// `Conflict` where the key is being rotated to another one.
    pub async fn begin_rotation(&self, to: &str, deed: Deed) -> Result<()> {
        let input = (self.shared_context(), to.to_owned(), deed);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, to, deed)| {
            Box::pin(change_name(conn, &context.sealer, to, deed))
        })
        .await
    }

    /// Seals every value that is left under another key, a few at a time, beside whoever works on the store; then the old
    /// key is forgotten. To be called after [`Store::begin_rotation`]; what was left undone is gone on with.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn end_rotation(&self) -> Result<Resealed> {
        let mut done = Resealed::default();
        for at in 0..COLUMNS.len() {
            let mut after = Some(Row::default());
            while let Some(row) = after {
                let input = (self.shared_context(), at, row, done);
                (after, done) = self.write(input, |conn, it| Box::pin(batch(conn, it))).await?;
            }
        }
        self.write(self.shared_context(), |conn, context| {
            Box::pin(async move {
                let names = key_names(conn).await?;
                end(conn, context.sealer.use_key(&names.key)?.key_id()).await
            })
        })
        .await?;
        Ok(done)
    }
}

async fn batch(
    conn: &mut Conn,
    (context, at, after, so_far): &(Arc<Context>, usize, Row, Resealed),
) -> Result<(Option<Row>, Resealed)> {
    let names = key_names(conn).await?;
    let to = context.sealer.use_key(&names.key)?;
    let mut done = so_far.clone();
    let next = some(conn, &context.sealer, (&COLUMNS[*at], &to), after, &mut done).await?;
    Ok((next, done))
}
