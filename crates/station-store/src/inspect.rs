//! What lies at a path before anybody opens it as a database.

use station_core::{Error, Result};
use std::io::Read as _;
use std::path::Path;

/// The first bytes of every unencrypted SQLite file.
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// There is nothing, or an empty file: a store can be made here.
    Missing,
    /// An unencrypted SQLite database: the Go program's.
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

fn unreadable(path: &Path) -> Error {
    Error::conflict(format!("the database `{}` cannot be read", path.display()))
        .with_hint("it must be a file that the user that runs Station may read and write")
}
