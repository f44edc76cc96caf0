//! Problems of files, shown with the line they stand in.
//!
//! **Invariant:** nothing that may be a secret is shown: `masked` decides what of a line is.

use crate::masked;
use crate::out::{Out, Tone, on_one_line};
use station_core::file::{Position, Problem, Severity};
use station_server::wire;
use std::path::Path;

/// Most of a line that is shown: it stands in one line of a wide terminal.
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
    let shown = match kind {
        Kind::Plain => line.replace('\t', " "),
        Kind::Servers => masked::servers(text, index),
        Kind::Variables => masked::variable(line),
        Kind::Settings => masked::setting(line),
        Kind::Assignments => masked::assignment(line),
    };
    let (shown, before) = around(&shown, at.column.saturating_sub(1));
    let number = at.line.to_string();
    let gutter = " ".repeat(number.len());
    Some([format!("  {number} | {shown}"), format!("  {gutter} | {}^", " ".repeat(before))])
}

/// What is shown of a line: all of it, or a stretch around the character `at`; and how many characters of it stand before
/// that one.
fn around(line: &str, at: usize) -> (String, usize) {
    let n_chars = line.chars().count();
    if n_chars <= LINE_CHARS_MAX {
        return (line.to_owned(), at);
    }
    let first = at.saturating_sub(LINE_CHARS_MAX / 2).min(n_chars - LINE_CHARS_MAX);
    let stretch: String = line.chars().skip(first).take(LINE_CHARS_MAX).collect();
    let [cut_before, cut_behind] =
        [first > 0, first + LINE_CHARS_MAX < n_chars].map(|is_cut| if is_cut { "…" } else { "" });
    (format!("{cut_before}{stretch}{cut_behind}"), at - first + cut_before.chars().count())
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
    /// The TOML of another program may.
    Assignments,
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
        } else if path.ends_with(".toml") {
            Some(Self::Assignments)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::around;

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let line: String = ('a'..='z').cycle().take(400).collect();
        for (line, at) in
            [(&line[..160], 159), (&line[..], 0), (&line, 79), (&line, 81), (&line, 200), (&line, 399)]
        {
            let (shown, before) = around(line, at);
            let n_marks = shown.matches('…').count();
            assert!(shown.chars().count() <= 160 + n_marks, "{at}: {shown}");
            assert_eq!(shown.chars().nth(before), line.chars().nth(at), "{at}: {shown}");
            assert_eq!(shown.starts_with('…'), at > 80 && line.len() > 160, "{at}: {shown}");
            assert_eq!(shown.ends_with('…'), at < 320 && line.len() > 160, "{at}: {shown}");
        }
        // Behind the last character, where a text ends too early.
        let (shown, before) = around(&line, 400);
        assert_eq!(before, shown.chars().count());
    }
}
