//! What a command can end with: exit codes, and how a failure is told.

use crate::out::Out;
use crate::problems;
use station_core::{Error, Kind};
use station_server::wire;
use std::process::ExitCode;

/// How the process ends; the table of the manual (`stn --help`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// All went well.
    Done = 0,
    /// The user or an operator must act.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A run ended failed, cancelled or timed out.
    RunFailed = 3,
    /// A sync was done in part.
    Partial = 4,
    /// A run waits for a person.
    Waiting = 5,
    /// We failed.
    Internal = 70,
    /// Full or locked for now: try again.
    Busy = 75,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command did not get to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A sentence for the user.
    Station(Error),
    /// Ctrl-C for the second time: end at once.
    Interrupted,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Station(error)
    }
}

/// What every command returns.
pub(crate) type Result<T = Code, E = Failure> = std::result::Result<T, E>;

/// Tells a failure and chooses the exit code.
pub(crate) fn tell(out: &Out, failure: &Failure) -> Code {
    let error = match failure {
        Failure::Interrupted => return Code::Interrupted,
        Failure::Station(error) => error,
    };
    let (causes, kind) = (error.causes(), error.kind());
    if kind == Kind::Internal {
        tracing::error!(kind = kind.as_str(), ?causes, "{error}");
    } else if !causes.is_empty() {
        // Its sentence is told below: once is enough for whoever does not look for more.
        tracing::debug!(kind = kind.as_str(), ?causes, "{error}");
    }
    let mut told = wire::Error::from(error);
    if error.kind() == Kind::Internal && !tracing::enabled!(tracing::Level::ERROR) {
        told.error.hints.push("run it again with STN_LOG_LEVEL=debug to see the cause".to_owned());
    }
    let excerpt = error.place().and_then(|(file, at)| problems::excerpt(file, at));
    out.error(&told, &excerpt.into_iter().flatten().collect::<Vec<_>>());
    code(error.kind())
}

fn code(kind: Kind) -> Code {
    match kind {
        Kind::Invalid
        | Kind::NotFound
        | Kind::Conflict
        | Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::Upstream => Code::Failed,
        Kind::Busy | Kind::Timeout => Code::Busy,
        Kind::Internal => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use station_core::Kind;

    /// Every kind that a message of `--json` can have stands in docs/errors.md, and no other does.
    #[test]
    fn every_kind_of_error_has_its_heading() {
        let text = include_str!("../../../docs/errors.md");
        let headings: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("## ")).filter(|it| !it.contains(' ')).collect();
        let words: Vec<&str> = Kind::ALL.into_iter().map(Kind::as_str).chain(["usage", "run"]).collect();
        assert_eq!(headings, words);
        for kind in Kind::ALL {
            let code = super::code(kind) as u8;
            let under = text.split(&format!("## {}\n\n", kind.as_str())).nth(1).unwrap_or_default();
            assert!(under.starts_with(&format!("Exit code {code}.")), "{}", kind.as_str());
        }
    }
}
