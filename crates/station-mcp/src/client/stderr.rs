//! The last words of a server: a bounded ring of what it wrote to stderr.
//!
//! rmcp's errors do not carry a child's stderr, yet that is where the reason of a failure stands. Lines are kept
//! readable and harmless for a terminal, and the values of declared variables are shown by their names, because
//! servers like to print the key they were refused with.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

/// Lines kept: enough for a stack trace of npm, little enough to show.
const LINES_MAX: usize = 40;

/// Bytes of one line that are kept; the rest of it is dropped.
const LINE_BYTES_MAX: usize = 2_000;

/// Shorter values of variables are words like `true` or `8080`, and hiding them would hide the message.
const HIDDEN_CHARS_MIN: usize = 8;

/// The last lines of a child's stderr.
#[derive(Debug)]
pub(super) struct Stderr {
    /// Declared values and the names they are shown by, longest first, so that a value that contains another is
    /// replaced whole.
    hidden: Vec<(String, String)>,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    lines: VecDeque<String>,
    /// The line being written.
    open: Vec<u8>,
}

impl Stderr {
    pub(super) fn new(declared: &BTreeMap<String, String>) -> Self {
        let mut hidden: Vec<(String, String)> = declared
            .iter()
            .filter(|(_, value)| value.chars().count() >= HIDDEN_CHARS_MIN)
            .map(|(name, value)| (value.clone(), format!("${name}")))
            .collect();
        hidden.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { hidden, heard: Mutex::default() }
    }

    /// Takes in what was read.
    pub(super) fn hear(&self, bytes: &[u8]) {
        let mut heard = self.lock();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(heard.open.len());
            heard.open.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line(&mut heard);
            }
        }
    }

    /// Takes an unfinished last line as finished: the stream has ended.
    pub(super) fn end(&self) {
        let mut heard = self.lock();
        self.end_line(&mut heard);
    }

    /// The last lines, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    fn end_line(&self, heard: &mut Heard) {
        let mut line = plain(&String::from_utf8_lossy(&heard.open));
        heard.open.clear();
        for (value, name) in &self.hidden {
            line = line.replace(value.as_str(), name);
        }
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        heard.lines.push_back(line.to_owned());
        if heard.lines.len() > LINES_MAX {
            heard.lines.pop_front();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().expect("nobody panics while holding the lines")
    }
}

/// `line` without colours and other control characters, which could rewrite a terminal.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            // A CSI sequence ends with its first byte from `@` to `~`.
            while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else if c == '\t' || !c.is_control() {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&[u8]], expected: &[&str]) {
        let declared = BTreeMap::from([
            ("TOKEN".to_owned(), "sk-very-secret".to_owned()),
            ("LONGER".to_owned(), "sk-very-secret-too".to_owned()),
            ("PORT".to_owned(), "8080".to_owned()),
        ]);
        let stderr = Stderr::new(&declared);
        for piece in pieces {
            stderr.hear(piece);
        }
        stderr.end();
        assert_eq!(stderr.lines(), expected);
    }

    #[test]
    fn lines_are_put_together_and_made_harmless() {
        check(&[b"one\ntw", b"o\n\nthree"], &["one", "two", "three"]);
        check(&[b"\x1b[31mred\x1b[0m\r\n\x07bell"], &["red", "bell"]);
        check(&[b"bad \xff byte"], &["bad \u{fffd} byte"]);
        check(&[b"401 for sk-very-secret on 8080"], &["401 for $TOKEN on 8080"]);
        check(&[b"401 for sk-very-secret-too"], &["401 for $LONGER"]);
    }

    #[test]
    fn lines_and_their_number_are_bounded() {
        let stderr = Stderr::new(&BTreeMap::new());
        stderr.hear(&vec![b'x'; 3 * LINE_BYTES_MAX]);
        stderr.hear(b"\n");
        assert_eq!(stderr.lines()[0].len(), LINE_BYTES_MAX);
        for n in 0..3 * LINES_MAX {
            stderr.hear(format!("line {n}\n").as_bytes());
        }
        let lines = stderr.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (LINES_MAX, "line 80"));
    }
}
