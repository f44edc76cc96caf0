//! Where an agent's file is cut: front matter, body.

use crate::file::Position;
use crate::file::sheet::Fault;
use std::ops::Range;

/// The parts of an agent's file, as bytes of its text without byte order mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::file) struct Parts {
    /// Between the two `---` lines. The text up to its end is itself a YAML document, so that places need no shift.
    pub(in crate::file) front: Range<usize>,
    /// Behind the second `---` line, up to the end.
    pub(in crate::file) body: usize,
}

/// Cuts `text`. Blank lines and comments may stand before the first `---`, as dotprompt has it.
pub(in crate::file) fn split(text: &str) -> Result<Parts, Fault> {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let next = at + line.len();
        match start {
            None if is_mark(line) => start = Some(next),
            None if line.trim().is_empty() || line.starts_with('#') => {}
            None => break,
            Some(start) if is_mark(line) => return Ok(Parts { front: start..at, body: next }),
            Some(_) => {}
        }
        at = next;
    }
    Err(match start {
        None => Fault::new(Some(Position::of(text, at)), "the front matter is missing").with_hint(
            "begin the file with a line `---`, the agent's settings as YAML, and another line `---`",
        ),
        Some(start) => Fault::new(Some(Position::of(text, start)), "the front matter has no end")
            .with_hint("put a line `---` between the settings and the prompt"),
    })
}

fn is_mark(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        match (split(text), expected) {
            (Ok(parts), Ok(expected)) => {
                assert_eq!((&text[parts.front], &text[parts.body..]), expected, "{text:?}");
            }
            (Err(fault), Err(sentence)) => assert_eq!(fault.sentence, sentence, "{text:?}"),
            (found, _) => panic!("{text:?}: {found:?}"),
        }
    }

    #[test]
    fn a_file_is_cut_at_its_marks() {
        check("---\na: 1\n---\nbody\n---\n", Ok(("a: 1\n", "body\n---\n")));
        check("---\r\na: 1\r\n---\r\nbody", Ok(("a: 1\r\n", "body")));
        check("\n# licence\n--- \na: 1\n---", Ok(("a: 1\n", "")));
        check("---\n---\n", Ok(("", "")));
        check("---\na: |\n  ---\n---\nx", Ok(("a: |\n  ---\n", "x")));
        check("", Err("the front matter is missing"));
        check("You are …\n---\n---\n", Err("the front matter is missing"));
        check("----\n---\n", Err("the front matter is missing"));
        check("---\na: 1\n", Err("the front matter has no end"));
        check("---", Err("the front matter has no end"));
    }
}
