//! Connections that only read, opened when they are needed and kept for the next reader.
//!
//! Not the driver's pool: that one pings, keeps time and starts tasks, and opening a store for one listing should
//! cost one connection and nothing else.

use crate::connect::Target;
use crate::db::{Blocking, Conn};
use station_core::{Error, Result};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Readers at a time. Reads are short; more connections would only be more memory.
const READERS_MAX: usize = 8;

/// How long a reader waits for a connection before it says that the store is overloaded.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A PostgreSQL connection that rested for longer is asked whether it still lives: firewalls forget the quiet ones.
const REST_MAX: Duration = Duration::from_secs(15);

pub(crate) struct Readers {
    target: Target,
    idle: Mutex<Vec<(Conn, Instant)>>,
    permits: Semaphore,
}

impl Readers {
    pub(crate) fn new(target: Target, first: Conn) -> Self {
        Self { target, idle: Mutex::new(vec![(first, Instant::now())]), permits: Semaphore::new(READERS_MAX) }
    }

    /// A connection to read with; it goes back when it is dropped.
    pub(crate) async fn get(&self) -> Result<Reader<'_>> {
        let permit = tokio::time::timeout(WAIT_MAX, self.permits.acquire())
            .await
            .map_err(|_| Error::new(station_core::Kind::Busy, "the database is overloaded with readers"))?
            .map_err(|_| Error::conflict("the store is closed"))?;
        while let Some((mut conn, since)) = self.pop() {
            let rested = !conn.is_sqlite() && since.elapsed() > REST_MAX;
            if !rested || conn.rows("select 1", Vec::new()).await.is_ok() {
                return Ok(Reader { conn: Some(conn), readers: self, _permit: permit });
            }
        }
        let conn = self.target.connect(Blocking::of_readers()).await?;
        Ok(Reader { conn: Some(conn), readers: self, _permit: permit })
    }

    fn pop(&self) -> Option<(Conn, Instant)> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(crate) async fn close(&self) {
        self.permits.close();
        while let Some((conn, _)) = self.pop() {
            conn.close().await;
        }
    }
}

/// A borrowed connection.
pub(crate) struct Reader<'a> {
    /// `None` only while it is dropped.
    conn: Option<Conn>,
    readers: &'a Readers,
    _permit: SemaphorePermit<'a>,
}

impl Deref for Reader<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn.as_ref().expect("a reader has its connection until it is dropped")
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn.as_mut().expect("a reader has its connection until it is dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        if !conn.is_lost() && !self.readers.permits.is_closed() {
            self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push((conn, Instant::now()));
        }
    }
}
