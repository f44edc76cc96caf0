//! An SQLite store that nobody else has open, for what cannot be done beside others: encrypting it under another key.
//!
//! SQLCipher encrypts every page anew in one transaction of the WAL: until its COMMIT is on the disk the file opens with
//! the old key, from then on with the new one, and there is nothing in between. What was begun and not committed, SQLite
//! drops by itself. **Invariant:** the values are sealed anew, and the new key's name is kept, before the pages are
//! encrypted anew; so whoever has both keys can open the store at any moment, whatever it was that ended the rotation.

use crate::connect::Target;
use crate::db::{Blocking, Conn};
use crate::failure::{self, Cause, Failure};
use crate::reseal::{self, KeyNames, Resealed};
use crate::sealer::Sealer;
use crate::{Deed, Key, KeyRing, Location, sqlite};
use station_core::{Error, Kind, Result};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

/// A store that nobody else has open.
pub struct Exclusive {
    conn: Conn,
    sealer: Sealer,
    /// The key that opens the file.
    key: Key,
}

impl Exclusive {
    /// Opens the store at `path`, whose schema is this version's, with whichever of `keys` opens it.
    ///
    /// # Errors
    /// `Busy` where another process has it open, which is named where that can be seen; `Invalid` where no key opens it.
    pub async fn open(path: &Path, keys: &KeyRing) -> Result<Self> {
        let place: Arc<str> = path.display().to_string().into();
        let mut refused = None;
        for key in keys.keys() {
            // Looks at the file: what is no store of ours is refused, and none is made here.
            Target::prepare(&Location::Sqlite(path.to_owned()), key)?;
            match open(path, key).await {
                Ok(conn) => {
                    let conn = Conn::sqlite(conn, Blocking::Elsewhere, Arc::clone(&place));
                    let mut it = Self { conn, sealer: Sealer::new(keys.clone()), key: key.clone() };
                    let names = it.key_names().await?;
                    it.sealer.use_key(&names.key)?;
                    return Ok(it);
                }
                Err(cause) if Failure::of(&cause) == Failure::Locked => return Err(held(path)),
                Err(cause) => {
                    refused.get_or_insert(failure::of_connecting(&place, cause));
                }
            }
        }
        Err(refused.unwrap_or_else(|| Error::internal("opening the database", "a ring without a key")))
    }

    /// The id of the key that opens the file.
    #[must_use]
    pub fn file_key(&self) -> String {
        self.key.id()
    }

    /// Which key the store names.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn key_names(&mut self) -> Result<KeyNames> {
        reseal::key_names(&mut self.conn).await
    }

    /// Seals every value under `to`, names it, and tells the audit, all in one transaction.
    ///
    /// # Errors
    /// Where the database fails: then nothing is changed.
    pub async fn reseal(&mut self, to: &Key, deed: &Deed) -> Result<Resealed> {
        self.conn.begin().await?;
        match reseal::all(&mut self.conn, &self.sealer, to, deed).await {
            Ok(done) => self.conn.commit().await.map(|()| done),
            Err(error) => {
                self.conn.rollback().await;
                Err(error)
            }
        }
    }

    /// Encrypts the file under `to`, and leaves no page under the old key: neither in the file nor in its WAL.
    ///
    /// # Errors
    /// Where the database fails: then the file opens with the key that it opened with.
    pub async fn rekey(&mut self, to: &Key) -> Result<()> {
        self.conn.rekey(to).await?;
        self.key = to.clone();
        self.conn.rows("pragma wal_checkpoint(truncate)", Vec::new()).await.map(drop)
    }

    /// Its connection, for tests that cut a step in two.
    #[cfg(test)]
    pub(crate) fn conn_for_tests(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Lets others in again.
    pub async fn close(self) {
        self.conn.close().await;
    }
}

async fn open(path: &Path, key: &Key) -> std::result::Result<rusqlite::Connection, Cause> {
    let options = sqlite::Options::exclusive(path, key);
    let opening = tokio::task::spawn_blocking(move || {
        let conn = sqlite::open(&options)?;
        // The first look takes the lock, and keeps it.
        conn.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
        Ok::<_, rusqlite::Error>(conn)
    });
    opening.await.map_err(|_| Cause::Lost)?.map_err(Cause::Sqlite)
}

fn held(path: &Path) -> Error {
    let shown = holders(path);
    let who = if shown.is_empty() { "another process".to_owned() } else { shown.join(", ") };
    Error::new(Kind::Busy, format!("the database `{}` is open in {who}", path.display()))
        .with_hint("the key of an SQLite store is rotated while nobody else has it open: stop that first")
}

/// Processes, but this one, that have the file at `path` open: as far as /proc shows it to this user.
fn holders(path: &Path) -> Vec<String> {
    let Ok(file) = std::fs::metadata(path) else { return Vec::new() };
    let is_it =
        |fd: &Path| std::fs::metadata(fd).is_ok_and(|it| (it.dev(), it.ino()) == (file.dev(), file.ino()));
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let others = pids.filter(|pid| *pid != std::process::id());
    let mut found: Vec<u32> = others
        .filter(|pid| {
            let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            fds.map(|fd| fd.path()).any(|fd| is_it(&fd))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|pid| format!("process {pid} ({})", name_of(pid))).collect()
}

/// Words of a command line that are shown: the program and what it was told to do.
const WORDS_SHOWN: usize = 3;

fn name_of(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).take(WORDS_SHOWN);
    words.map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
}
