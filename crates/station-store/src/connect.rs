//! How a connection to either engine is made: key and PRAGMAs first, on every one of them.

use crate::db::{Blocking, Conn};
use crate::failure::{self, Cause};
use crate::inspect::{FileState, inspect, of_another_program};
use crate::{Key, KeyRing, Location, sqlite};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use station_core::{Error, Result};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection to PostgreSQL may take; a host that drops packets would otherwise cost minutes.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepared statements kept per connection; above the number of statements in this crate, so that none is dropped.
const STATEMENTS_MAX: usize = 256;

/// Where connections go, with everything they need.
#[derive(Clone)]
pub(crate) enum Target {
    Sqlite { options: Box<sqlite::Options>, place: Arc<str>, file: FileId },
    Postgres { options: Box<PgConnectOptions>, place: Arc<str> },
}

/// Which file a path names. One that was removed stays as long as it is open, takes what is written to it, and is gone then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

impl Target {
    /// Refuses where the file that was opened is not the one that is found by its name any more.
    ///
    /// # Errors
    /// `Conflict`.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Sqlite { options, place, file } if FileId::of(&options.path) != Some(*file) => {
                Err(gone(place))
            }
            Self::Sqlite { .. } | Self::Postgres { .. } => Ok(()),
        }
    }

    /// Reads `location`; creates an SQLite file that is missing, readable for its owner alone.
    pub(crate) fn prepare(location: &Location, key: &Key) -> Result<Self> {
        match location {
            Location::Sqlite(path) => prepare_sqlite(path, key),
            Location::Postgres(url) => prepare_postgres(url.expose()),
        }
    }

    /// Where the key in use does not open the file, the first other key that does: it was rotated, perhaps this very
    /// moment, so keys that appeared in the ring's files count as well.
    pub(crate) async fn by_another_key(location: &Location, keys: &KeyRing) -> Result<Option<Self>> {
        let Location::Sqlite(path) = location else { return Ok(None) };
        for key in keys.keys().skip(1).cloned().chain(keys.read_files()) {
            if opens(sqlite::Options::new(path, &key)).await {
                return Self::prepare(location, &key).map(Some);
            }
        }
        Ok(None)
    }

    pub(crate) async fn connect(&self, blocking: Blocking) -> Result<Conn> {
        match self {
            Self::Sqlite { options, place, .. } => {
                let opened = match blocking {
                    Blocking::Here => sqlite::open(options).map_err(Cause::Sqlite),
                    Blocking::Elsewhere => open_elsewhere((**options).clone()).await,
                };
                let conn = opened.map_err(|cause| failure::of_connecting(place, cause))?;
                Ok(Conn::sqlite(conn, blocking, Arc::clone(place)))
            }
            Self::Postgres { options, place } => {
                let conn = tokio::time::timeout(CONNECT_TIMEOUT, options.connect())
                    .await
                    .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
                    .map_err(|cause| failure::of_connecting(place, Cause::Postgres(cause)))?;
                Ok(Conn::postgres(conn, Arc::clone(place)))
            }
        }
    }
}

/// Whether the file opens with this key.
async fn opens(options: sqlite::Options) -> bool {
    open_elsewhere(options).await.is_ok()
}

async fn open_elsewhere(options: sqlite::Options) -> Result<rusqlite::Connection, Cause> {
    let opening = tokio::task::spawn_blocking(move || sqlite::open(&options).map_err(Cause::Sqlite));
    opening.await.unwrap_or(Err(Cause::Lost))
}

fn prepare_sqlite(path: &Path, key: &Key) -> Result<Target> {
    match inspect(path)? {
        FileState::Plain => return Err(of_another_program(path)),
        FileState::Missing => {
            refuse_beside_wal(path)?;
            create(path)?;
        }
        FileState::Opaque => {}
    }
    let options = Box::new(sqlite::Options::new(path, key));
    let file = FileId::of(path).ok_or_else(|| gone(&path.display().to_string()))?;
    Ok(Target::Sqlite { options, place: path.display().to_string().into(), file })
}

/// Refuses to make a database where another's newest pages lie: whoever has it open would go on in a file that nobody finds.
fn refuse_beside_wal(path: &Path) -> Result<()> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let wal = Path::new(&wal);
    if path.exists() || !wal.metadata().is_ok_and(|found| found.len() > 0) {
        return Ok(());
    }
    let (path, wal) = (path.display(), wal.display());
    Err(Error::conflict(format!(
        "the database `{path}` is missing, and `{wal}` is there, which belongs to it"
    ))
    .with_hint("bring the database back; to begin with an empty one, move that file away as well"))
}

fn gone(place: &str) -> Error {
    Error::conflict(format!(
        "the database `{place}` was removed, or another put in its place, while it was in use"
    ))
    .with_hint("stop every Station that uses it, and bring it back, or a backup of it")
}

fn create(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|cause| {
        let folder = path.parent().unwrap_or(path).display();
        let error = match cause.kind() {
            std::io::ErrorKind::NotFound => Error::invalid(format!("there is no folder `{folder}`"))
                .with_hint("the database would be made there; create the folder first"),
            std::io::ErrorKind::StorageFull => Error::conflict(format!("no space is left in `{folder}`")),
            _ => Error::conflict(format!("the folder `{folder}` cannot be written"))
                .with_hint("the database would be made there; the user that runs Station must own it"),
        };
        error.with_cause(cause)
    })
}

pub(crate) fn prepare_postgres(url: &str) -> Result<Target> {
    // The driver's own error may quote the URL, and with it the password: it is dropped on purpose.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Error::invalid("the database URL cannot be read")
            .with_hint("it looks like `postgres://user:password@host:5432/database`")
    })?;
    let place: Arc<str> = place_of(&options).into();
    let options = options
        .application_name("station")
        .statement_cache_capacity(STATEMENTS_MAX)
        .options([
            ("search_path", "station"),
            // A Station that froze inside a transaction must not stop the others for ever.
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ])
        .disable_statement_logging();
    Ok(Target::Postgres { options: Box::new(options), place })
}

/// What may be shown of a PostgreSQL URL: everything but user and password.
fn place_of(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{database} at {}", socket.display()),
        None => format!("{database} at {}:{}", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::Secret;

    #[tokio::test]
    async fn pragmas_hold_on_every_connection() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("station.db"));
        let target = Target::prepare(&location, &Key::generate().unwrap()).unwrap();
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut conn = target.connect(Blocking::Elsewhere).await.unwrap();
            for (pragma, expected) in [
                ("pragma foreign_keys", "Int(Some(1))"),
                ("pragma synchronous", "Int(Some(2))"),
                ("pragma journal_mode", "Text(Some(\"wal\"))"),
                ("pragma busy_timeout", "Int(Some(10000))"),
                ("pragma temp_store", "Int(Some(2))"),
                ("pragma trusted_schema", "Int(Some(0))"),
            ] {
                let row = conn.row(pragma, Vec::new()).await.unwrap().unwrap();
                assert!(format!("{row:?}").contains(expected), "{pragma}: {row:?}");
            }
            let cipher = conn.row("pragma cipher_version", Vec::new()).await.unwrap();
            assert!(cipher.is_some(), "this SQLite cannot encrypt");
            open.push(conn);
        }
    }

    #[test]
    fn no_password_is_ever_part_of_a_sentence() {
        for url in
            ["postgres://me:hunter2@db:5432/x", "postgres://me:hunter2@db:bad/x", "postgres://me:hunter2@["]
        {
            let shown =
                match Target::prepare(&Location::Postgres(Secret::new(url)), &Key::generate().unwrap()) {
                    Ok(Target::Postgres { place, .. }) => place.to_string(),
                    Ok(Target::Sqlite { .. }) => panic!("a PostgreSQL URL became a file"),
                    Err(error) => format!("{error:?}"),
                };
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
