//! Migrations: forward only, the same numbers on both engines, never edited once released.
//!
//! In the normal case the check is one cheap query. Two processes that migrate at once are safe: the second waits
//! for the lock and then finds the work done. To add one: a file of the next number in both folders, one row below.

use crate::audit;
use crate::connect::Target;
use crate::db::{Blocking, Conn};
use crate::failure::Failure;
use crate::sealer::Sealer;
use station_core::{Error, Result};

struct Migration {
    sqlite: &'static str,
    postgres: &'static str,
}

const MIGRATIONS: [Migration; 23] = [
    Migration {
        sqlite: include_str!("../migrations/sqlite/0001_initial.sql"),
        postgres: include_str!("../migrations/postgres/0001_initial.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0002_queue.sql"),
        postgres: include_str!("../migrations/postgres/0002_queue.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0003_generation.sql"),
        postgres: include_str!("../migrations/postgres/0003_generation.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0004_approvals.sql"),
        postgres: include_str!("../migrations/postgres/0004_approvals.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0005_workers.sql"),
        postgres: include_str!("../migrations/postgres/0005_workers.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0006_forks.sql"),
        postgres: include_str!("../migrations/postgres/0006_forks.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0007_budgets.sql"),
        postgres: include_str!("../migrations/postgres/0007_budgets.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0008_retention.sql"),
        postgres: include_str!("../migrations/postgres/0008_retention.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0009_audit_head.sql"),
        postgres: include_str!("../migrations/postgres/0009_audit_head.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0010_instance_process.sql"),
        postgres: include_str!("../migrations/postgres/0010_instance_process.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0011_down_since.sql"),
        postgres: include_str!("../migrations/postgres/0011_down_since.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0012_wait_kind.sql"),
        postgres: include_str!("../migrations/postgres/0012_wait_kind.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0013_tool_pins.sql"),
        postgres: include_str!("../migrations/postgres/0013_tool_pins.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0014_logins.sql"),
        postgres: include_str!("../migrations/postgres/0014_logins.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0015_call_approvals.sql"),
        postgres: include_str!("../migrations/postgres/0015_call_approvals.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0016_offer_more.sql"),
        postgres: include_str!("../migrations/postgres/0016_offer_more.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0017_tool_more.sql"),
        postgres: include_str!("../migrations/postgres/0017_tool_more.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0018_lock_source.sql"),
        postgres: include_str!("../migrations/postgres/0018_lock_source.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0019_users.sql"),
        postgres: include_str!("../migrations/postgres/0019_users.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0020_request_keys.sql"),
        postgres: include_str!("../migrations/postgres/0020_request_keys.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0021_key_rotation.sql"),
        postgres: include_str!("../migrations/postgres/0021_key_rotation.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0022_asked_from.sql"),
        postgres: include_str!("../migrations/postgres/0022_asked_from.sql"),
    },
    Migration {
        sqlite: include_str!("../migrations/sqlite/0023_invitations.sql"),
        postgres: include_str!("../migrations/postgres/0023_invitations.sql"),
    },
];

/// The schema this version knows.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// The migration that keeps the head of the audit. What was there before is taken as it is found, this once.
const AUDIT_HEAD: usize = 9;

/// Any number, as long as no other program's advisory lock in the same database has it: "station" in ASCII.
const LOCK: i64 = 0x0073_7461_7469_6f6e;

/// How often an SQLite file may be locked while it is opened: turning on WAL takes a lock that `busy_timeout` does
/// not wait for.
const OPEN_ATTEMPTS: u32 = 20;

/// What is waited between them.
const OPEN_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Connects, and brings the schema up to date; what is sealed from then on is under the key that the store names.
pub(crate) async fn open(target: &Target, sealer: &Sealer) -> Result<Conn> {
    let mut conn = connect_patiently(target).await?;
    let found = read_version(&mut conn).await?;
    if is_current(&conn, found.as_ref(), sealer)? {
        return Ok(conn);
    }
    conn.begin().await?;
    match migrate(&mut conn, sealer).await {
        Ok(()) => conn.commit().await?,
        Err(error) => {
            conn.rollback().await;
            return Err(error);
        }
    }
    Ok(conn)
}

/// Whether a store is there, whatever its key. Asks and makes nothing.
pub(crate) async fn is_there(target: &Target) -> Result<bool> {
    const SQL: &str = "select 1 from pg_tables where schemaname = 'station' and tablename = 'store'";
    let mut conn = connect_patiently(target).await?;
    Ok(conn.row(SQL, Vec::new()).await?.is_some())
}

async fn connect_patiently(target: &Target) -> Result<Conn> {
    for _ in 1..OPEN_ATTEMPTS {
        match target.connect(Blocking::of_readers()).await {
            Err(error) if error.kind() == station_core::Kind::Busy => tokio::time::sleep(OPEN_PAUSE).await,
            done => return done,
        }
    }
    target.connect(Blocking::of_readers()).await
}

/// What a store says of itself.
struct Found {
    version: i64,
    key_id: String,
}

/// `None` where nothing was made yet.
async fn read_version(conn: &mut Conn) -> Result<Option<Found>> {
    const SQL: &str = "select version, key_id from store where id = 1";
    match conn.try_rows(SQL, Vec::new()).await {
        Ok(rows) => {
            let row = rows.into_iter().next();
            row.map(|mut row| Ok(Found { version: row.int()?, key_id: row.text()? })).transpose()
        }
        Err(cause) if Failure::of(&cause) == Failure::NoTable => Ok(None),
        Err(cause) => Err(crate::failure::of_statement(conn.place(), SQL, cause)),
    }
}

/// How the store stands to this Station, asked again after it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Every migration that this version knows was made; a newer version may have made more.
    pub is_migrated: bool,
    /// It is sealed with the key that this Station has.
    pub fits_key: bool,
}

pub(crate) async fn standing(conn: &mut Conn, sealer: &Sealer) -> Result<Standing> {
    let found = read_version(conn).await?;
    Ok(Standing {
        is_migrated: found.as_ref().is_some_and(|found| found.version >= VERSION),
        fits_key: found.is_some_and(|found| sealer.knows(&found.key_id)),
    })
}

fn is_current(conn: &Conn, found: Option<&Found>, sealer: &Sealer) -> Result<bool> {
    let Some(found) = found else { return Ok(false) };
    if found.version > VERSION {
        return Err(Error::conflict(format!(
            "the database `{}` was made by a newer Station: its schema is {}, this one knows {VERSION}",
            conn.place(),
            found.version
        ))
        .with_hint("nothing was changed; update this Station"));
    }
    if !sealer.knows(&found.key_id) {
        return Err(Error::invalid(format!(
            "wrong key: the database `{}` has key `{}`, this is `{}`",
            conn.place(),
            found.key_id,
            sealer.ring().current().id()
        ))
        .with_hint("nothing was changed; `stn key status` shows which key is used"));
    }
    sealer.use_key(&found.key_id)?;
    Ok(found.version == VERSION)
}

/// Runs inside a transaction; looks again under the lock, because another process may have been here meanwhile.
async fn migrate(conn: &mut Conn, sealer: &Sealer) -> Result<()> {
    if !conn.is_sqlite() {
        conn.rows("select 1 from pg_advisory_xact_lock($1)", vec![LOCK.into()]).await?;
        let schema = "select 1 from pg_namespace where nspname = 'station'";
        if conn.row(schema, Vec::new()).await?.is_none() {
            conn.script("create schema station").await?;
        }
    }
    let table = if conn.is_sqlite() {
        "select 1 from sqlite_schema where type = 'table' and name = 'store'"
    } else {
        "select 1 from pg_tables where schemaname = 'station' and tablename = 'store'"
    };
    let found = match conn.row(table, Vec::new()).await? {
        Some(_) => read_version(conn).await?,
        None => None,
    };
    if is_current(conn, found.as_ref(), sealer)? {
        return Ok(());
    }
    let done = usize::try_from(found.map_or(0, |found| found.version)).unwrap_or(0);
    for migration in &MIGRATIONS[done..] {
        conn.script(if conn.is_sqlite() { migration.sqlite } else { migration.postgres }).await?;
    }
    if done < AUDIT_HEAD {
        audit::begin(conn, sealer).await?;
    }
    const RECORD: &str = "insert into store (id, version, key_id) values (1, $1, $2)
        on conflict (id) do update set version = excluded.version";
    conn.exec(RECORD, vec![VERSION.into(), sealer.ring().current().id().into()]).await?;
    Ok(())
}
