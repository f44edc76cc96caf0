//! PostgreSQL: prepared statements over one connection, and a limit on silence.

use crate::connect::CONNECT_TIMEOUT;
use crate::db::{Row, Value};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgListener, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Decode, Error, Postgres, Row as _, Type, TypeInfo as _, ValueRef as _};
use std::time::Duration;

/// The longest that PostgreSQL may stay silent: far beyond any of our statements. A connection whose other end is
/// gone without a word would otherwise hold its task for as long as TCP has patience.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(crate) async fn exec(
    conn: &mut PgConnection,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<u64, Error> {
    in_time(bind(sql, values).execute(conn)).await.map(|done| done.rows_affected())
}

pub(crate) async fn rows(
    conn: &mut PgConnection,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<Vec<Row>, Error> {
    in_time(bind(sql, values).fetch_all(conn)).await?.iter().map(read).collect()
}

/// Statements without values, unprepared.
pub(crate) async fn script(conn: &mut PgConnection, sql: &'static str) -> Result<(), Error> {
    in_time(sqlx::raw_sql(sql).execute(conn)).await.map(drop)
}

/// What `answer` brings; a silence that is too long counts as a broken connection, which is then given up.
async fn in_time<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(SILENCE_MAX, answer)
        .await
        .unwrap_or_else(|_| Err(Error::Io(std::io::ErrorKind::TimedOut.into())))
}

fn bind(sql: &'static str, values: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    values.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

/// How a cell is decoded; told apart before the cell is consumed.
enum Cell {
    Null,
    Int,
    SmallInt,
    Text,
    Bytes,
}

fn read(row: &PgRow) -> Result<Row, Error> {
    let cells = (0..row.len()).map(|at| {
        let raw = row.try_get_raw(at)?;
        let cell = match raw.type_info().name() {
            _ if raw.is_null() => Cell::Null,
            "INT8" => Cell::Int,
            "INT4" => Cell::SmallInt,
            "TEXT" | "VARCHAR" | "NAME" => Cell::Text,
            "BYTEA" => Cell::Bytes,
            other => return Err(Error::Decode(format!("a column of type {other}").into())),
        };
        Ok(match cell {
            Cell::Null => Value::Int(None),
            Cell::Int => decode::<i64>(raw)?.into(),
            Cell::SmallInt => i64::from(decode::<i32>(raw)?).into(),
            Cell::Text => decode::<String>(raw)?.into(),
            Cell::Bytes => decode::<Vec<u8>>(raw)?.into(),
        })
    });
    Ok(Row::new(cells.collect::<Result<Vec<Value>, Error>>()?))
}

fn decode<'r, T>(raw: <Postgres as sqlx::Database>::ValueRef<'r>) -> Result<T, Error>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    T::decode(raw).map_err(Error::Decode)
}

/// How long nothing may be heard before the connection is asked whether it still lives: firewalls forget quiet ones.
const QUIET_MAX: Duration = Duration::from_secs(60);

/// A connection that hears what others notify of.
pub(crate) struct Listener(PgListener);

impl Listener {
    /// Connects; from then on nothing is missed.
    pub(crate) async fn connect(options: &PgConnectOptions) -> Result<Self, Error> {
        // The driver wants a pool here: of one connection, which is never replaced behind our back.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(CONNECT_TIMEOUT);
        let mut listener = PgListener::connect_with(&pool.connect_with(options.clone()).await?).await?;
        listener.eager_reconnect(false);
        in_time(listener.listen("station_queue")).await?;
        Ok(Self(listener))
    }

    /// What the next notification says.
    pub(crate) async fn next(&mut self) -> Result<String, Error> {
        loop {
            match tokio::time::timeout(QUIET_MAX, self.0.try_recv()).await {
                Ok(heard) => {
                    let heard = heard?.ok_or_else(|| Error::Io(std::io::ErrorKind::BrokenPipe.into()))?;
                    return Ok(heard.payload().to_owned());
                }
                Err(_quiet) => {
                    in_time(sqlx::query("select 1").execute(&mut self.0)).await?;
                }
            }
        }
    }
}
