//! What lies at a path before anybody opens it as a database.

use crate::sqlite;
use rusqlite::OpenFlags;
use station_core::{Error, Result};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

/// The first bytes of every unencrypted SQLite file.
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// There is nothing, or an empty file: a store can be made here.
    Missing,
    /// An unencrypted SQLite database: the Go program's, or that of some other program.
    Plain,
    /// Bytes without a header: ours, if the key opens it.
    Opaque,
}

/// Looks at the first bytes of `path`. Changes nothing.
///
/// # Errors
/// `Conflict` where the file cannot be read, or is a folder.
pub fn inspect(path: &Path) -> Result<FileState> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(FileState::Missing),
        Err(cause) => return Err(unreadable(path).with_cause(cause)),
    };
    let mut head = Vec::new();
    let limit = u64::try_from(SQLITE_HEADER.len()).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut head).map_err(|cause| unreadable(path).with_cause(cause))?;
    Ok(match head.as_slice() {
        [] => FileState::Missing,
        head if head == SQLITE_HEADER => FileState::Plain,
        _ => FileState::Opaque,
    })
}

/// Bytes of a page, the least that an encrypted database has.
const PAGE: usize = 4096;

/// Of how many values the bytes of an encrypted page are at least: of all 256, but for chance.
const VALUES_MIN: usize = 200;

/// Whether the file at `path` cannot be an encrypted database, whatever the key: it is shorter than a page, or its first page
/// does not look like noise.
pub(crate) fn is_something_else(path: &Path) -> bool {
    let mut page = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(PAGE as u64).read_to_end(&mut page));
    let values: BTreeSet<u8> = page.iter().copied().collect();
    read.is_ok() && (page.len() < PAGE || values.len() < VALUES_MIN)
}

/// Tables that every database of the Go program has.
const GO_TABLES: [&str; 4] = ["agents", "agent_runs", "environments", "mcp_servers"];

/// Whether the unencrypted SQLite database at `path` is the Go program's: by its name, `station.db`, or by its tables.
/// Changes nothing, also no file beside it.
#[must_use]
pub fn is_go_database(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "station.db") || has_tables(path).unwrap_or(false)
}

/// The refusal of a database at `path` that is neither ours nor the Go program's.
#[must_use]
pub fn of_another_program(path: &Path) -> Error {
    Error::conflict(format!("`{}` is the database of another program: unencrypted SQLite", path.display()))
        .with_hint(
            "nothing was changed; name another path in STATION_DATABASE or `database_url`, or move it aside",
        )
}

fn has_tables(path: &Path) -> rusqlite::Result<bool> {
    const SQL: &str = "select count(*) from sqlite_master where type = 'table' and name = ?1";
    // `immutable`: SQLite then makes neither a WAL nor a lock beside a file that is somebody else's.
    let shown: String =
        path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    sqlite::set_up();
    let conn = rusqlite::Connection::open_with_flags(format!("file:{shown}?immutable=1"), flags)?;
    for table in GO_TABLES {
        if conn.query_row(SQL, [table], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn unreadable(path: &Path) -> Error {
    Error::conflict(format!("the database `{}` cannot be read", path.display()))
        .with_hint("it must be a file that the user that runs Station may read and write")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_go_programs_database_is_told_by_name_or_by_tables() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, tables: &[&str], expected: bool| {
            let path = folder.path().join(name);
            let conn = rusqlite::Connection::open(&path).unwrap();
            for table in tables {
                conn.execute_batch(&format!("create table {table} (x)")).unwrap();
            }
            drop(conn);
            let before = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(is_go_database(&path), expected, "{name}");
            assert_eq!(
                std::fs::read_dir(folder.path()).unwrap().count(),
                before,
                "nothing is made beside it"
            );
        };
        check("app.sqlite", &["agents", "environments"], false);
        check("a b?c#d%.db", &GO_TABLES, true);
        check("station.db", &["notes"], true);
        std::fs::write(folder.path().join("junk"), "SQLite format 3\0junk").unwrap();
        assert!(!is_go_database(&folder.path().join("junk")));
    }
}
