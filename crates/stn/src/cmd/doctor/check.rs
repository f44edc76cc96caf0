//! One line of what was looked at.

use crate::error::Result;
use crate::out::{Out, Tone};
use serde::Serialize;
use station_server::wire;

/// What was looked at, how it is, and what to do.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// What: one word or two.
    name: &'static str,
    pub(super) state: State,
    /// How it is.
    message: String,
    /// What to do; `null` where nothing need be done.
    hint: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Ok,
    /// Station works, with less.
    Note,
    /// Station does not work, or not as it is set up.
    Bad,
}

impl Check {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, state: State::Ok, message: message.into(), hint: None }
    }

    pub(super) fn note(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, state: State::Note, message: message.into(), hint: Some(hint.into()) }
    }

    pub(super) fn bad(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, state: State::Bad, message: message.into(), hint: Some(hint.into()) }
    }

    /// What an error says, with its first hint, or `otherwise`.
    pub(super) fn failed(name: &'static str, error: &station_core::Error, otherwise: &str) -> Self {
        let hint = error.hints().first().map_or(otherwise, String::as_str);
        Self::bad(name, error.sentence(), hint)
    }
}

pub(super) fn show(out: &Out, checks: &[Check]) -> Result<()> {
    if out.is_json() {
        return out.json(&wire::list("checks", checks));
    }
    let mut lines = Vec::new();
    for check in checks {
        let (word, tone) = match check.state {
            State::Ok => ("ok", Tone::Good),
            State::Note => ("note", Tone::Plain),
            State::Bad => ("bad", Tone::Bad),
        };
        lines.push((tone, format!("{word:<5} {:<13} {}", check.name, crate::out::shown(&check.message))));
        if let Some(hint) = &check.hint {
            lines.push((Tone::Quiet, format!("{:<20}-> {hint}", "")));
        }
    }
    out.lines(&lines)
}
