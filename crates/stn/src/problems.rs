//! Problems of files, shown with the line they stand in.
//!
//! **Invariant:** nothing that may be a secret is shown: `masked` decides what of a line is.

use crate::masked;
use crate::out::{Out, Tone, on_one_line};
use station_core::file::{Position, Problem, Severity};
use station_server::wire;
use std::path::Path;

/// Longest line that is shown; a longer one is data, not text that somebody typed.
const LINE_CHARS_MAX: usize = 160;

/// Tells one problem of a file below `root`, on stderr.
pub(crate) fn tell(out: &Out, root: &Path, problem: &Problem) {
    tell_with(out, problem, |at| excerpt(&root.join(&problem.path), at));
}

/// Tells one problem of a file of a server, on stderr: its lines are not here.
pub(crate) fn tell_afar(out: &Out, problem: &wire::Problem) {
    let problem = Problem {
        severity: match &*problem.severity {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            _ => Severity::Note,
        },
        path: problem.path.clone(),
        at: problem.at.map(|at| Position { line: at.line, column: at.column }),
        sentence: problem.message.clone(),
        hint: problem.hint.clone(),
    };
    tell_with(out, &problem, |_| None);
}

fn tell_with(out: &Out, problem: &Problem, excerpt: impl Fn(Position) -> Option<[String; 2]>) {
    if out.is_json() {
        return;
    }
    let problem = &Problem { path: on_one_line(&problem.path), ..problem.clone() };
    match problem.severity {
        Severity::Error => out.note(Tone::Bad, &problem.to_string()),
        Severity::Warning => out.warning(&problem.to_string()),
        Severity::Note => out.note(Tone::Quiet, &format!("note: {problem}")),
    }
    if problem.severity != Severity::Note {
        let lines = problem.at.and_then(excerpt);
        for line in lines.into_iter().flatten() {
            out.note(Tone::Quiet, &line);
        }
    }
    if let Some(hint) = &problem.hint {
        out.hint(hint);
    }
}

/// The line that holds a place of a file, and a caret below it; `None` for a file of another kind.
pub(crate) fn excerpt(file: &Path, at: Position) -> Option<[String; 2]> {
    let kind = Kind::of(file.to_str()?)?;
    let text = std::fs::read_to_string(file).ok()?;
    let text = text.trim_start_matches('\u{feff}');
    let index = at.line.checked_sub(1)?;
    let line = text.lines().nth(index)?;
    if line.chars().count() > LINE_CHARS_MAX {
        return None;
    }
    let shown = match kind {
        Kind::Plain => line.replace('\t', " "),
        Kind::Servers => masked::servers(text, index),
        Kind::Variables => masked::variable(line),
        Kind::Settings => masked::setting(line),
    };
    let number = at.line.to_string();
    let gutter = " ".repeat(number.len());
    let before = " ".repeat(at.column.saturating_sub(1));
    Some([format!("  {number} | {shown}"), format!("  {gutter} | {before}^")])
}

enum Kind {
    /// Prompts, rules and pinned definitions hold no secrets.
    Plain,
    /// Server files may.
    Servers,
    /// variables.yml holds nothing else.
    Variables,
    /// Of config.yaml some keys do.
    Settings,
}

impl Kind {
    fn of(path: &str) -> Option<Self> {
        if path.ends_with(".prompt") || path.ends_with("environment.yml") || path.ends_with("mcp.lock") {
            Some(Self::Plain)
        } else if path.ends_with(".json") {
            Some(Self::Servers)
        } else if path.ends_with("variables.yml") {
            Some(Self::Variables)
        } else if path.ends_with(".yaml") || path.ends_with(".yml") {
            Some(Self::Settings)
        } else {
            None
        }
    }
}
