//! The formats people write, text in, `(value, problems)` out.
//!
//! Broken input is a value here, not an error: every problem of a file is reported at once, with its place, and a
//! broken file refuses itself alone. Unknown keys are kept, and named where they have no effect.

pub mod clients;
mod concurrency;
pub mod config;
pub mod edit;
pub mod exported;
mod json;
mod limits;
pub mod passed;
mod picoschema;
pub mod prompt;
pub mod render;
pub mod rules;
pub mod servers;
mod sheet;
mod template;
mod tree;
mod unclosed;
pub mod variables;
mod verify;
mod yaml;

use crate::Error;
use std::fmt;
use std::path::PathBuf;

/// Something to say about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file as shown to people; empty where only one file can be meant.
    pub path: String,
    /// Where in it, where known.
    pub at: Option<Position>,
    /// What is wrong: lower case, no full stop, no secret.
    pub sentence: String,
    /// What to try.
    pub hint: Option<String>,
}

impl Problem {
    /// That `text`, the file at `path`, is no JSON, as a parser of it said.
    #[must_use]
    pub fn of_json(path: &str, text: &str, error: &serde_json::Error) -> Self {
        Self {
            severity: Severity::Error,
            path: path.to_owned(),
            at: Some(Position::of_json(text, error)),
            sentence: format!("this is not JSON: {}", json::told(error)),
            hint: None,
        }
    }

    /// What a verb ends with that it keeps from being done, with its place in `file`.
    #[must_use]
    pub fn refusal_in(self, file: PathBuf) -> Error {
        let at = self.at;
        let error = Error::from(self);
        match at {
            Some(at) => error.with_place(file, at),
            None => error,
        }
    }
}

impl From<Problem> for Error {
    /// What a verb ends with that a problem of a file keeps from being done.
    fn from(problem: Problem) -> Self {
        let error = Self::invalid(problem.to_string());
        problem.hint.into_iter().fold(error, Self::with_hint)
    }
}

/// Whether a file can be used in spite of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Kept, but without effect here: said so that nothing is silently ignored.
    Note,
    /// It works, but probably not as meant.
    Warning,
    /// The file is refused.
    Error,
}

/// A place in a text; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Position {
    /// The place of byte `offset` in `text`; its end where the offset lies beyond.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }

    /// The place in `text` that a parser of JSON refused.
    pub(crate) fn of_json(text: &str, error: &serde_json::Error) -> Self {
        Self::of(text, json::place(text, error))
    }
}

/// `path:line:column: sentence`, without what is not known.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}:", self.path)?;
            if let Some(at) = self.at {
                write!(f, "{}:{}:", at.line, at.column)?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.sentence)
    }
}
