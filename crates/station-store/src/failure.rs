//! What the database says, turned into sentences for people: the only place that reads its codes.

use crate::inspect;
use station_core::{Error, Kind};
use std::fmt;
use std::path::Path;

/// What a driver said.
#[derive(Debug)]
pub(crate) enum Cause {
    Sqlite(rusqlite::Error),
    Postgres(sqlx::Error),
    /// The thread that worked with the connection did not bring it back.
    Lost,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(cause) => cause.fmt(f),
            Self::Postgres(cause) => cause.fmt(f),
            Self::Lost => f.write_str("the connection was lost with the thread that used it"),
        }
    }
}

impl std::error::Error for Cause {}

/// The sort of a failure: what decides about trying again, and about the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The key does not open the file, or the file is something else.
    NotOurs,
    /// The file is ours, and a part of it is broken or missing.
    Damaged,
    /// The disk, or the quota, is full.
    Full,
    /// Another process holds the lock for longer than we wait.
    Locked,
    /// The disk refuses to read or write: it is faulty, or a limit on file sizes was reached.
    Disk,
    /// The file or its folder cannot be written.
    ReadOnly,
    /// The database chose us to give way; the same transaction may work when tried again.
    GiveWay,
    /// The connection is gone.
    Disconnected,
    /// The user or password is refused.
    Refused,
    /// The database named does not exist.
    NoDatabase,
    /// The user may not do this.
    Forbidden,
    /// A table is missing: nothing was migrated here yet.
    NoTable,
    /// Anything else.
    Other,
}

/// The words that failed statements are counted under.
#[must_use]
pub fn failure_words() -> [&'static str; 13] {
    Failure::ALL.map(Failure::as_str)
}

impl Failure {
    const ALL: [Self; 13] = [
        Self::NotOurs,
        Self::Damaged,
        Self::Full,
        Self::Locked,
        Self::Disk,
        Self::ReadOnly,
        Self::GiveWay,
        Self::Disconnected,
        Self::Refused,
        Self::NoDatabase,
        Self::Forbidden,
        Self::NoTable,
        Self::Other,
    ];

    /// In one word: what a failed statement is counted under.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::Damaged => "damaged",
            Self::Full => "full",
            Self::Locked => "locked",
            Self::Disk => "disk",
            Self::ReadOnly => "read_only",
            Self::GiveWay => "give_way",
            Self::Disconnected => "disconnected",
            Self::Refused => "refused",
            Self::NoDatabase => "no_database",
            Self::Forbidden => "forbidden",
            Self::NoTable => "no_table",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(cause: &Cause) -> Self {
        match cause {
            Cause::Sqlite(rusqlite::Error::SqliteFailure(refusal, message)) => {
                Self::of_sqlite(refusal.extended_code, message.as_deref().unwrap_or_default())
            }
            Cause::Sqlite(rusqlite::Error::SqlInputError { error, msg, .. }) => {
                Self::of_sqlite(error.extended_code, msg)
            }
            Cause::Postgres(sqlx::Error::Database(refusal)) => {
                Self::of_postgres(&refusal.code().unwrap_or_default())
            }
            Cause::Postgres(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_))
            | Cause::Lost => Self::Disconnected,
            Cause::Sqlite(_) | Cause::Postgres(_) => Self::Other,
        }
    }

    /// SQLite's primary result codes; the extended ones carry more in their upper bytes.
    fn of_sqlite(code: i32, message: &str) -> Self {
        match code & 0xff {
            // It could not make the file of its shared memory longer.
            10 if code >> 8 == 19 => Self::Full,
            // A page that should be there is not: the file was cut.
            10 if code >> 8 == 2 => Self::Damaged,
            11 => Self::Damaged,
            10 => Self::Disk,
            5 | 6 => Self::Locked,
            3 | 8 | 14 => Self::ReadOnly,
            13 => Self::Full,
            26 => Self::NotOurs,
            1 if message.starts_with("no such table") => Self::NoTable,
            _ => Self::Other,
        }
    }

    /// PostgreSQL's SQLSTATEs.
    fn of_postgres(code: &str) -> Self {
        match code {
            "40001" | "40P01" => Self::GiveWay,
            "55P03" => Self::Locked,
            "53100" => Self::Full,
            "25006" => Self::ReadOnly,
            "28000" | "28P01" => Self::Refused,
            "3D000" => Self::NoDatabase,
            "42501" => Self::Forbidden,
            "42P01" | "3F000" => Self::NoTable,
            "57P01" | "57P02" | "57P03" => Self::Disconnected,
            _ => Self::Other,
        }
    }
}

/// The cause that goes to the log: the statement, which holds no value, and what the database said of it.
#[derive(Debug)]
struct Statement {
    sql: &'static str,
    source: Cause,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement failed: {}", self.sql.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl std::error::Error for Statement {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The sentence for a statement that failed at `place`: a path, or a PostgreSQL database without its password.
pub(crate) fn of_statement(place: &str, sql: &'static str, cause: Cause) -> Error {
    let failure = Failure::of(&cause);
    match sentence(place, failure) {
        Some(error) => error.with_cause(Statement { sql, source: cause }),
        None => Error::internal("using the database", Statement { sql, source: cause }),
    }
}

/// The sentence for a connection to `place` that could not be made.
pub(crate) fn of_connecting(place: &str, cause: Cause) -> Error {
    match sentence(place, Failure::of(&cause)) {
        Some(error) => error.with_cause(cause),
        None => Error::internal("opening the database", cause),
    }
}

fn sentence(place: &str, failure: Failure) -> Option<Error> {
    let error = match failure {
        Failure::NotOurs if inspect::is_something_else(Path::new(place)) => {
            Error::invalid(format!("`{place}` is no database, but something else"))
                .with_hint("nothing was changed; move it away, or name another place for the database")
        }
        Failure::NotOurs => {
            Error::invalid(format!("`{place}` cannot be opened: wrong key, or not a Station database"))
                .with_hint("nothing was changed; `stn key status` shows which key is used")
        }
        Failure::Damaged => Error::conflict(format!("the database `{place}` is damaged: a part of it is missing or broken"))
            .with_hint("copy it and its -wal file away first, then bring back a backup; nothing more was changed")
            .with_hint("definitions come from your files: an empty place and `stn sync` make a new one, without the runs"),
        Failure::Full => Error::new(Kind::Busy, format!("no space is left for the database `{place}`"))
            .with_hint("nothing was damaged; free some space and try again"),
        Failure::Locked => {
            Error::new(Kind::Busy, format!("the database `{place}` is locked by another process"))
                .with_hint("try again; if it stays so, look for a Station or a backup that hangs")
        }
        Failure::Disk => {
            Error::new(Kind::Busy, format!("the disk refuses to read or write the database `{place}`"))
                .with_hint(
                    "look for a full disk, a quota, a limit on file sizes or a failing device, and try again",
                )
        }
        Failure::ReadOnly => Error::conflict(format!("the database `{place}` cannot be written"))
            .with_hint("its folder and its files must be writable for the user that runs Station"),
        Failure::Disconnected => Error::upstream(format!("the database `{place}` cannot be reached"))
            .with_hint("check that it runs, and that it is named rightly"),
        Failure::Refused => Error::invalid(format!("the database `{place}` refuses this user or password"))
            .with_hint("check the user and the password in its address"),
        Failure::NoDatabase => Error::invalid(format!("there is no database `{place}`"))
            .with_hint("create it first: Station makes its tables, not the database"),
        Failure::Forbidden => Error::invalid(format!("the user may not use the database `{place}`"))
            .with_hint("it needs a schema `station` that it owns, or the right to create one"),
        Failure::GiveWay | Failure::NoTable | Failure::Other => return None,
    };
    Some(error)
}

/// The same failure once more, for the others that waited for the same commit.
pub(crate) fn again(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.sentence());
    let copy = error.hints().iter().fold(copy, |copy, hint| copy.with_hint(hint.clone()));
    match error.causes() {
        causes if causes.is_empty() => copy,
        causes => copy.with_cause(causes.join(": ")),
    }
}
