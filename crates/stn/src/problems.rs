//! Problems of files, shown with the line they stand in.
//!
//! **Invariant:** nothing that may be a secret is shown. A line of variables.yml or config.yaml is never printed; of a
//! server file only keys, punctuation and `{{ … }}` are, with everything else masked character for character.

use crate::out::{Out, Tone};
use station_core::file::{Position, Problem, Severity};
use std::path::Path;

/// Longest line that is shown; a longer one is data, not text that somebody typed.
const LINE_CHARS_MAX: usize = 160;

/// Tells one problem of a file below `root`, on stderr.
pub(crate) fn tell(out: &Out, root: &Path, problem: &Problem) {
    if out.is_json() {
        return;
    }
    match problem.severity {
        Severity::Error => out.note(Tone::Bad, &problem.to_string()),
        Severity::Warning => out.warning(&problem.to_string()),
        Severity::Note => out.note(Tone::Quiet, &format!("note: {problem}")),
    }
    if problem.severity != Severity::Note {
        let lines = problem.at.and_then(|at| excerpt(&root.join(&problem.path), at));
        for line in lines.into_iter().flatten() {
            out.note(Tone::Quiet, &line);
        }
    }
    if let Some(hint) = &problem.hint {
        out.hint(hint);
    }
}

/// The line that holds a place of a file, and a caret below it; `None` for a file whose lines may not be shown.
pub(crate) fn excerpt(file: &Path, at: Position) -> Option<[String; 2]> {
    let kind = Kind::of(file.to_str()?)?;
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.trim_start_matches('\u{feff}').lines().nth(at.line.checked_sub(1)?)?;
    if line.chars().count() > LINE_CHARS_MAX {
        return None;
    }
    let shown = match kind {
        Kind::Plain => line.replace('\t', " "),
        Kind::Servers => masked(line),
    };
    let number = at.line.to_string();
    let gutter = " ".repeat(number.len());
    let before = " ".repeat(at.column.saturating_sub(1));
    Some([format!("  {number} | {shown}"), format!("  {gutter} | {before}^")])
}

enum Kind {
    /// Prompts and rules hold no secrets.
    Plain,
    /// Server files may.
    Servers,
}

impl Kind {
    fn of(path: &str) -> Option<Self> {
        if path.ends_with(".prompt") || path.ends_with("environment.yml") {
            Some(Self::Plain)
        } else if path.ends_with(".json") {
            Some(Self::Servers)
        } else {
            None
        }
    }
}

/// A line of JSON without its values: keys, punctuation and templates stay, everything else becomes `*`.
fn masked(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let mut shown: Vec<char> =
        chars.iter().map(|c| if c.is_whitespace() || "{}[],:\"".contains(*c) { *c } else { '*' }).collect();
    let mut open: Option<usize> = None;
    let mut at = 0;
    while at < chars.len() {
        match (chars[at], open) {
            ('\\', Some(_)) => at += 1,
            ('"', None) => open = Some(at),
            ('"', Some(start)) => {
                let is_key = chars[at + 1..].iter().find(|c| !c.is_whitespace()) == Some(&':');
                mask(&mut shown, &chars, start + 1..at, is_key);
                open = None;
            }
            _ => {}
        }
        at += 1;
    }
    if let Some(start) = open {
        mask(&mut shown, &chars, start + 1..chars.len(), false);
    }
    unmask_templates(&mut shown, &chars);
    shown.into_iter().map(|c| if c == '\t' { ' ' } else { c }).collect()
}

fn mask(shown: &mut [char], chars: &[char], range: std::ops::Range<usize>, is_key: bool) {
    for at in range {
        shown[at] = if is_key { chars[at] } else { '*' };
    }
}

/// `{{ .NAME }}` holds a name, never a value.
fn unmask_templates(shown: &mut [char], chars: &[char]) {
    let mut start = None;
    for at in 0..chars.len().saturating_sub(1) {
        match (chars[at], chars[at + 1], start) {
            ('{', '{', None) => start = Some(at),
            ('}', '}', Some(from)) => {
                shown[from..at + 2].copy_from_slice(&chars[from..at + 2]);
                start = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_line_shows_no_value() {
        for (line, shown) in [
            (r#"  "TOKEN": "s3cret","#, r#"  "TOKEN": "******","#),
            (r#"  "TOKEN": s3cret"#, r#"  "TOKEN": ******"#),
            (r#"  "TOKEN": "s3cret"#, r#"  "TOKEN": "******"#),
            (r#"  "A": "x{{ .A }}y", "B": 5"#, r#"  "A": "*{{ .A }}*", "B": *"#),
            (r#"  "a\"b": "c\"d" }"#, r#"  "a\"b": "****" }"#),
            ("s3cret", "******"),
            (r#"["-y", "s3cret"]"#, r#"["**", "******"]"#),
        ] {
            assert_eq!(masked(line), shown);
        }
    }
}
