//! SQLite with SQLCipher, spoken to directly and in one thread.
//!
//! A commit of ours is four or five statements of a few microseconds each around one disk flush, so what must not
//! happen is that every statement wakes another thread and waits to be woken by it: measured, that cost more than the
//! flush. The writer therefore owns a thread and runs its statements there; readers read where they are in a program of
//! one thread, and otherwise go to tokio's blocking threads, once per statement.

use crate::Key;
use crate::db::{Row, Value};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, OpenFlags, Statement};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long SQLite waits for another process's lock: longer than any of our transactions, shorter than a person's
/// patience.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepared statements kept per connection; above the number of statements in this crate, so that none is dropped.
const STATEMENTS_MAX: usize = 256;

/// How a file is opened.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) path: PathBuf,
    pub(crate) busy_timeout: Duration,
    /// PRAGMAs for every connection, the key first; wiped because of it.
    pub(crate) setup: Zeroizing<String>,
}

impl Options {
    pub(crate) fn new(path: &Path, key: &Key) -> Self {
        // Sorting must not spill plain text into a file. WAL comes last, because it is the first to read the file.
        let setup = format!(
            "pragma key = {}; pragma foreign_keys = on; pragma synchronous = full;
            pragma temp_store = memory; pragma trusted_schema = off; pragma journal_mode = wal;",
            *raw_key(key)
        );
        Self { path: path.to_owned(), busy_timeout: BUSY_TIMEOUT, setup: Zeroizing::new(setup) }
    }

    /// For a connection that nobody else may be beside: it refuses at once where somebody is, and keeps everybody out as
    /// long as it is there (sqlite.org/pragma.html, `locking_mode`).
    pub(crate) fn exclusive(path: &Path, key: &Key) -> Self {
        let Self { path, setup, .. } = Self::new(path, key);
        let setup = setup.replacen("; ", "; pragma locking_mode = exclusive; ", 1);
        Self { path, busy_timeout: Duration::ZERO, setup: Zeroizing::new(setup) }
    }
}

/// A raw key: 64 hex digits in SQLCipher's own quoting skip its 256,000 rounds of PBKDF2.
fn raw_key(key: &Key) -> Zeroizing<String> {
    let hex = Zeroizing::new(hex::encode(key.derive(b"station/db").as_ref()));
    Zeroizing::new(format!("\"x'{}'\"", *hex))
}

/// Encrypts every page anew, in one transaction. Nothing else may be open: not here, and not in another process.
pub(crate) fn rekey(conn: &Connection, key: &Key) -> Result<(), Error> {
    conn.execute_batch(&Zeroizing::new(format!("pragma rekey = {};", *raw_key(key))))
}

/// Sets SQLCipher up, before the first connection of the process.
///
/// Left to itself the first connection does that, but SQLite takes others from the moment before: they are told that their key is none.
pub(crate) fn set_up() {
    static DONE: Once = Once::new();
    // Whatever is wrong with it is told by the connection that follows.
    DONE.call_once(|| drop(Connection::open_in_memory()));
}

pub(crate) fn open(options: &Options) -> Result<Connection, Error> {
    set_up();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&options.path, flags)?;
    conn.busy_timeout(options.busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Otherwise SQLite plans every statement with a bound `limit` anew each time it is run, in the hope of a better
    // plan for this value: measured, that was half of what reading cost.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.execute_batch(&options.setup)?;
    Ok(conn)
}

pub(crate) fn exec(conn: &Connection, sql: &'static str, values: Vec<Value>) -> Result<u64, Error> {
    let mut statement = conn.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    Ok(u64::try_from(statement.raw_execute()?).unwrap_or(u64::MAX))
}

pub(crate) fn rows(conn: &Connection, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
    let mut statement = conn.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    let columns = statement.column_count();
    let mut found = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let cells = (0..columns).map(|at| read(at, row.get_ref(at)?));
        rows.push(Row::new(cells.collect::<Result<Vec<Value>, Error>>()?));
    }
    Ok(rows)
}

/// To SQLite `$2` is a name that has nothing to do with the second place: it is counted where it first occurs. So
/// each is bound by the number in its name, as PostgreSQL reads it.
fn bind(statement: &mut Statement<'_>, mut values: Vec<Value>) -> Result<(), Error> {
    for at in 1..=statement.parameter_count() {
        let name = statement.parameter_name(at).unwrap_or_default();
        let number: usize = name.trim_start_matches('$').parse().unwrap_or(at);
        let value = number.checked_sub(1).and_then(|index| values.get_mut(index));
        let value = value.ok_or_else(|| Error::InvalidParameterName(name.to_owned()))?;
        match std::mem::replace(value, Value::Int(None)) {
            Value::Int(int) => statement.raw_bind_parameter(at, int)?,
            Value::Text(text) => statement.raw_bind_parameter(at, text)?,
            Value::Bytes(bytes) => statement.raw_bind_parameter(at, bytes)?,
        }
    }
    Ok(())
}

fn read(at: usize, cell: ValueRef<'_>) -> Result<Value, Error> {
    match cell {
        ValueRef::Null => Ok(Value::Int(None)),
        ValueRef::Integer(int) => Ok(int.into()),
        ValueRef::Text(text) => {
            Ok(std::str::from_utf8(text).map_err(|cause| Error::Utf8Error(at, cause))?.into())
        }
        ValueRef::Blob(bytes) => Ok(bytes.to_vec().into()),
        ValueRef::Real(_) => Err(Error::InvalidColumnType(at, String::new(), cell.data_type())),
    }
}
