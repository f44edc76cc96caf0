//! One connection, two engines, one SQL text.
//!
//! Everything above this file is plain code over [`Value`] and [`Row`]; nothing above it is generic over a driver or
//! knows which engine it talks to. The driver's own `Any` is not used, because it loses types and prepared
//! statements. **Invariant:** SQL is `&'static str`; no value ever becomes part of a statement.

use crate::failure::{self, Cause, Failure};
use crate::{postgres, sqlite};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use station_core::{Error, Result};
use std::sync::Arc;
use tracing::Instrument as _;
use tracing::field::Empty;

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
    pub(crate) fn new(cells: Vec<Value>) -> Self {
        Self(cells.into_iter())
    }

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
        self.opt_bytes()?.ok_or_else(|| unreadable("bytes are missing"))
    }

    pub(crate) fn opt_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        match self.next()? {
            Value::Bytes(value) => Ok(value),
            Value::Int(None) | Value::Text(None) => Ok(None),
            Value::Int(_) | Value::Text(_) => Err(unreadable("bytes were expected")),
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
    Sqlite(Lite),
    Postgres(Box<PgConnection>),
}

/// Where SQLite's statements may block a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// Right here: the thread is there for it.
    Here,
    /// On one of tokio's blocking threads.
    Elsewhere,
}

impl Blocking {
    /// Where connections block that only read, which takes microseconds and waits for no writer. A program of one
    /// thread reads right there: it would wait for the answer anyway, and the way to another thread and back takes
    /// longer than the statement. A thread that others share is kept free.
    pub(crate) fn of_readers() -> Self {
        match tokio::runtime::Handle::current().runtime_flavor() {
            tokio::runtime::RuntimeFlavor::CurrentThread => Self::Here,
            _ => Self::Elsewhere,
        }
    }
}

/// A connection to SQLite; `None` while it is out on another thread, and for good where it did not come back.
struct Lite {
    conn: Option<rusqlite::Connection>,
    blocking: Blocking,
}

impl Lite {
    async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Cause> {
        let conn = self.conn.take().ok_or(Cause::Lost)?;
        let (conn, done) = match self.blocking {
            Blocking::Here => {
                let done = work(&conn);
                (conn, done)
            }
            Blocking::Elsewhere => {
                let working = tokio::task::spawn_blocking(move || {
                    let done = work(&conn);
                    (conn, done)
                });
                working.await.map_err(|_| Cause::Lost)?
            }
        };
        self.conn = Some(conn);
        done.map_err(Cause::Sqlite)
    }
}

/// What a transaction did that workers wait for; told after its COMMIT.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct News {
    /// A run was put in the queue.
    pub(crate) queued: bool,
    /// A run stopped to run, so that one of the queue may have room now.
    pub(crate) freed: bool,
    /// Somebody asked for the end of a run.
    pub(crate) cancelled: bool,
    /// Something will be due at a time that was not known before.
    pub(crate) timed: bool,
}

/// A connection to either engine.
pub(crate) struct Conn {
    wire: Wire,
    place: Arc<str>,
    last_failure: Option<Failure>,
    news: News,
}

impl Conn {
    pub(crate) fn sqlite(conn: rusqlite::Connection, blocking: Blocking, place: Arc<str>) -> Self {
        let wire = Wire::Sqlite(Lite { conn: Some(conn), blocking });
        Self { wire, place, last_failure: None, news: News::default() }
    }

    pub(crate) fn postgres(conn: PgConnection, place: Arc<str>) -> Self {
        Self { wire: Wire::Postgres(Box::new(conn)), place, last_failure: None, news: News::default() }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.wire, Wire::Sqlite(_))
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Whether the connection is gone, and of no use to the next who needs one.
    pub(crate) fn is_lost(&self) -> bool {
        self.last_failure == Some(Failure::Disconnected)
            || matches!(&self.wire, Wire::Sqlite(lite) if lite.conn.is_none())
    }

    /// Whether the database asked the last transaction to give way.
    pub(crate) fn should_retry(&self) -> bool {
        self.last_failure == Some(Failure::GiveWay)
    }

    /// What the open transaction has to tell.
    pub(crate) fn news(&mut self) -> &mut News {
        &mut self.news
    }

    /// Runs a statement; returns how many rows it changed.
    pub(crate) async fn exec(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64> {
        check_text(&values)?;
        let done = measured(sql, async {
            match &mut self.wire {
                Wire::Sqlite(lite) => lite.run(move |conn| sqlite::exec(conn, sql, values)).await,
                Wire::Postgres(conn) => postgres::exec(conn, sql, values).await.map_err(Cause::Postgres),
            }
        });
        done.await.map_err(|cause| self.failed(sql, cause))
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

    /// Like [`Self::rows`], for the one caller that wants to see what the database said.
    pub(crate) async fn try_rows(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Cause> {
        let read = measured(sql, async {
            match &mut self.wire {
                Wire::Sqlite(lite) => lite.run(move |conn| sqlite::rows(conn, sql, values)).await,
                Wire::Postgres(conn) => postgres::rows(conn, sql, values).await.map_err(Cause::Postgres),
            }
        });
        read.await
    }

    /// Runs statements without values, as they stand: migrations and transaction control.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<()> {
        let done = measured(sql, async {
            match &mut self.wire {
                Wire::Sqlite(lite) => lite.run(move |conn| conn.execute_batch(sql)).await,
                Wire::Postgres(conn) => postgres::script(conn, sql).await.map_err(Cause::Postgres),
            }
        });
        done.await.map_err(|cause| self.failed(sql, cause))
    }

    /// Encrypts an SQLite file under another key; nothing on PostgreSQL, which is not encrypted whole.
    pub(crate) async fn rekey(&mut self, key: &crate::Key) -> Result<()> {
        const SQL: &str = "pragma rekey";
        let key = key.clone();
        let done = match &mut self.wire {
            Wire::Sqlite(lite) => lite.run(move |conn| sqlite::rekey(conn, &key)).await,
            Wire::Postgres(_) => Ok(()),
        };
        done.map_err(|cause| self.failed(SQL, cause))
    }

    /// Opens a transaction that will write. On SQLite it takes the write lock at once, so that it never has to be
    /// given up half-way because another process was faster.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        self.last_failure = None;
        self.news = News::default();
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
            Wire::Sqlite(Lite { conn: None, .. }) => Ok(()),
            Wire::Sqlite(Lite { conn: Some(conn), blocking: Blocking::Here }) => close_sqlite(conn),
            Wire::Sqlite(Lite { conn: Some(conn), blocking: Blocking::Elsewhere }) => {
                let closing = tokio::task::spawn_blocking(move || close_sqlite(conn));
                closing.await.unwrap_or(Err(Cause::Lost))
            }
            Wire::Postgres(conn) => conn.close().await.map_err(Cause::Postgres),
        };
        if let Err(cause) = closed {
            tracing::debug!(%cause, "a database connection did not close in order");
        }
    }

    fn failed(&mut self, sql: &'static str, cause: Cause) -> Error {
        self.last_failure = Some(Failure::of(&cause));
        failure::of_statement(&self.place, sql, cause)
    }
}

/// Runs a statement in the span by which it is measured: `store.query`, by what it does and how it failed.
async fn measured<T>(
    sql: &'static str,
    statement: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Cause> {
    let span = tracing::info_span!("store.query", operation = operation(sql), error = Empty);
    let done = statement.instrument(span.clone()).await;
    if let Err(cause) = &done {
        span.record("error", Failure::of(cause).as_str());
    }
    done
}

/// The words for what a statement does.
pub const OPERATIONS: [&str; 8] =
    ["select", "insert", "update", "delete", "begin", "commit", "rollback", "other"];

/// What a statement does, in one of [`OPERATIONS`].
fn operation(sql: &'static str) -> &'static str {
    match sql.split_ascii_whitespace().next().unwrap_or_default() {
        // Its last part says what it does with the others.
        "with" if sql.contains("update ") => "update",
        "with" => "select",
        first => OPERATIONS.into_iter().find(|word| *word == first).unwrap_or("other"),
    }
}

/// The last connection to a file moves its WAL into it.
fn close_sqlite(conn: rusqlite::Connection) -> Result<(), Cause> {
    conn.close().map_err(|(_, cause)| Cause::Sqlite(cause))
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
