//! One connection, two engines, one SQL text.
//!
//! Everything above this file is plain code over [`Value`] and [`Row`]; nothing above it is generic over a driver or
//! knows which engine it talks to. The driver's own `Any` is not used, because it loses types and prepared
//! statements. **Invariant:** SQL is `&'static str`; no value ever becomes part of a statement.

use crate::failure::{self, Failure};
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Connection as _, Decode, Postgres, Row as _, Sqlite, Type, TypeInfo as _, ValueRef as _};
use station_core::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

/// The longest that PostgreSQL may stay silent: far beyond any of our statements. A connection whose other end is
/// gone without a word would otherwise hold its task for as long as TCP has patience.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A value on its way into or out of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}

/// A row, read from left to right in the order of its `select`.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn int(&mut self) -> Result<i64> {
        self.opt_int()?.ok_or_else(|| unreadable("a number is missing"))
    }

    pub(crate) fn opt_int(&mut self) -> Result<Option<i64>> {
        match self.next()? {
            Value::Int(value) => Ok(value),
            Value::Text(None) | Value::Bytes(None) => Ok(None),
            Value::Text(_) | Value::Bytes(_) => Err(unreadable("a number was expected")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        self.opt_text()?.ok_or_else(|| unreadable("a text is missing"))
    }

    pub(crate) fn opt_text(&mut self) -> Result<Option<String>> {
        match self.next()? {
            Value::Text(value) => Ok(value),
            Value::Int(None) | Value::Bytes(None) => Ok(None),
            Value::Int(_) | Value::Bytes(_) => Err(unreadable("a text was expected")),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        match self.next()? {
            Value::Bytes(Some(value)) => Ok(value),
            _ => Err(unreadable("bytes were expected")),
        }
    }

    /// A number that was stored from an unsigned one.
    pub(crate) fn count<T: TryFrom<i64>>(&mut self) -> Result<T> {
        T::try_from(self.int()?).map_err(|_| unreadable("a number is out of range"))
    }

    fn next(&mut self) -> Result<Value> {
        self.0.next().ok_or_else(|| unreadable("a column is missing"))
    }
}

/// A row that this version cannot read: a mistake of ours, or a hand in the database.
pub(crate) fn unreadable(why: &'static str) -> Error {
    Error::internal("reading a row of the database", why)
}

enum Wire {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

/// A connection to either engine.
pub(crate) struct Conn {
    wire: Wire,
    place: Arc<str>,
    last_failure: Option<Failure>,
}

impl Conn {
    pub(crate) fn sqlite(conn: SqliteConnection, place: Arc<str>) -> Self {
        Self { wire: Wire::Sqlite(Box::new(conn)), place, last_failure: None }
    }

    pub(crate) fn postgres(conn: PgConnection, place: Arc<str>) -> Self {
        Self { wire: Wire::Postgres(Box::new(conn)), place, last_failure: None }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.wire, Wire::Sqlite(_))
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The sort of the last failure on this connection, if it had one.
    pub(crate) fn last_failure(&self) -> Option<Failure> {
        self.last_failure
    }

    /// Runs a statement; returns how many rows it changed.
    pub(crate) async fn exec(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64> {
        check_text(&values)?;
        let done = match &mut self.wire {
            Wire::Sqlite(conn) => {
                bind_sqlite(sql, values).execute(&mut **conn).await.map(|done| done.rows_affected())
            }
            Wire::Postgres(conn) => {
                let done = bind_postgres(sql, values).execute(&mut **conn);
                in_time(done).await.map(|done| done.rows_affected())
            }
        };
        done.map_err(|cause| self.failed(sql, cause))
    }

    /// Runs a query; returns its rows.
    pub(crate) async fn rows(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        check_text(&values)?;
        self.try_rows(sql, values).await.map_err(|cause| self.failed(sql, cause))
    }

    /// Runs a query of which at most one row is wanted.
    pub(crate) async fn row(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Like [`Self::rows`], for the one caller that wants to see the driver's error.
    pub(crate) async fn try_rows(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        match &mut self.wire {
            Wire::Sqlite(conn) => {
                let rows = bind_sqlite(sql, values).fetch_all(&mut **conn).await?;
                rows.iter().map(read_sqlite).collect()
            }
            Wire::Postgres(conn) => {
                let rows = in_time(bind_postgres(sql, values).fetch_all(&mut **conn)).await?;
                rows.iter().map(read_postgres).collect()
            }
        }
    }

    /// Runs statements without values, as they stand: migrations and transaction control.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<()> {
        let done = match &mut self.wire {
            Wire::Sqlite(conn) => sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop),
            Wire::Postgres(conn) => in_time(sqlx::raw_sql(sql).execute(&mut **conn)).await.map(drop),
        };
        done.map_err(|cause| self.failed(sql, cause))
    }

    /// Opens a transaction that will write. On SQLite it takes the write lock at once, so that it never has to be
    /// given up half-way because another process was faster.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        self.last_failure = None;
        match self.wire {
            Wire::Sqlite(_) => self.exec("begin immediate", Vec::new()).await.map(drop),
            Wire::Postgres(_) => self.script("begin").await,
        }
    }

    pub(crate) async fn commit(&mut self) -> Result<()> {
        match self.wire {
            Wire::Sqlite(_) => self.exec("commit", Vec::new()).await.map(drop),
            Wire::Postgres(_) => self.script("commit").await,
        }
    }

    /// Gives a transaction up. What cannot be rolled back was rolled back by the failure itself.
    pub(crate) async fn rollback(&mut self) {
        let last_failure = self.last_failure;
        if let Err(error) = self.script("rollback").await {
            tracing::debug!(causes = ?error.causes(), "nothing to roll back");
        }
        self.last_failure = last_failure;
    }

    pub(crate) async fn close(self) {
        let closed = match self.wire {
            Wire::Sqlite(conn) => conn.close().await,
            Wire::Postgres(conn) => conn.close().await,
        };
        if let Err(cause) = closed {
            tracing::debug!(%cause, "a database connection did not close in order");
        }
    }

    fn failed(&mut self, sql: &'static str, cause: sqlx::Error) -> Error {
        self.last_failure = Some(Failure::of(&cause));
        failure::of_statement(&self.place, sql, cause)
    }
}

/// What `answer` brings; a silence that is too long counts as a broken connection, which is then given up.
async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(SILENCE_MAX, answer)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// PostgreSQL's text cannot hold U+0000, so neither engine's may.
fn check_text(values: &[Value]) -> Result<()> {
    let has_nul = |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
    if values.iter().any(has_nul) {
        return Err(Error::invalid("a text with a NUL character (U+0000) cannot be stored"));
    }
    Ok(())
}

/// `text` as it can be stored where it came from a model or a server and must not fail the row: U+0000 becomes the
/// replacement character. What was really said is in the journal, whose JSON escapes it.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn bind_sqlite(sql: &'static str, values: Vec<Value>) -> Query<'static, Sqlite, SqliteArguments> {
    values.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

fn bind_postgres(sql: &'static str, values: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    values.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

/// How a cell is decoded. Told apart before the cell is consumed, and without copying the name of its type: a
/// listing has thousands of cells.
enum Cell {
    Null,
    Int,
    SmallInt,
    Text,
    Bytes,
}

fn cell_of(is_null: bool, type_name: &str) -> Result<Cell, sqlx::Error> {
    // Asked first: for a null, SQLite's driver gives the declared type of the column.
    if is_null {
        return Ok(Cell::Null);
    }
    match type_name {
        "INTEGER" | "BOOLEAN" | "INT8" => Ok(Cell::Int),
        "INT4" => Ok(Cell::SmallInt),
        "TEXT" | "VARCHAR" | "NAME" => Ok(Cell::Text),
        "BLOB" | "BYTEA" => Ok(Cell::Bytes),
        other => Err(sqlx::Error::Decode(format!("a column of type {other}").into())),
    }
}

fn read_sqlite(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    let values = (0..row.len())
        .map(|at| {
            let raw = row.try_get_raw(at)?;
            let cell = cell_of(raw.is_null(), raw.type_info().name())?;
            Ok(match cell {
                Cell::Null => Value::Int(None),
                Cell::Int | Cell::SmallInt => decode::<Sqlite, i64>(raw)?.into(),
                Cell::Text => decode::<Sqlite, String>(raw)?.into(),
                Cell::Bytes => decode::<Sqlite, Vec<u8>>(raw)?.into(),
            })
        })
        .collect::<Result<Vec<Value>, sqlx::Error>>()?;
    Ok(Row(values.into_iter()))
}

fn read_postgres(row: &PgRow) -> Result<Row, sqlx::Error> {
    let values = (0..row.len())
        .map(|at| {
            let raw = row.try_get_raw(at)?;
            let cell = cell_of(raw.is_null(), raw.type_info().name())?;
            Ok(match cell {
                Cell::Null => Value::Int(None),
                Cell::Int => decode::<Postgres, i64>(raw)?.into(),
                Cell::SmallInt => i64::from(decode::<Postgres, i32>(raw)?).into(),
                Cell::Text => decode::<Postgres, String>(raw)?.into(),
                Cell::Bytes => decode::<Postgres, Vec<u8>>(raw)?.into(),
            })
        })
        .collect::<Result<Vec<Value>, sqlx::Error>>()?;
    Ok(Row(values.into_iter()))
}

fn decode<'r, DB, T>(raw: <DB as sqlx::Database>::ValueRef<'r>) -> Result<T, sqlx::Error>
where
    DB: sqlx::Database,
    T: Decode<'r, DB> + Type<DB>,
{
    T::decode(raw).map_err(sqlx::Error::Decode)
}
