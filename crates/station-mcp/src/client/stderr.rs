//! The last words of a server: a bounded ring of what it wrote to stderr.
//!
//! rmcp's errors do not carry a child's stderr, yet that is where the reason of a failure stands. Lines are kept
//! readable and harmless for a terminal, and without the values of variables, because servers like to print the key
//! they were refused with.

use station_core::Redaction;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Lines kept: enough for a stack trace of npm, little enough to show.
const LINES_MAX: usize = 40;

/// Bytes of one line that are kept; the rest of it is dropped.
const LINE_BYTES_MAX: usize = 2_000;

/// The last lines of a child's stderr.
#[derive(Debug)]
pub(super) struct Stderr {
    redaction: Redaction,
    /// Bytes of a longer line that are read beyond the limit and never shown: they may be the beginning of a value.
    margin: usize,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    lines: VecDeque<String>,
    /// The line being written.
    open: Vec<u8>,
    /// Whether some of it was dropped.
    is_cut: bool,
}

impl Stderr {
    pub(super) fn new(redaction: Redaction) -> Self {
        // A character that is cut in two is read as one that may be longer.
        let margin = redaction.bytes_max() + char::REPLACEMENT_CHARACTER.len_utf8();
        Self { redaction, margin, heard: Mutex::default() }
    }

    /// Takes in what was read.
    pub(super) fn hear(&self, bytes: &[u8]) {
        let mut heard = self.lock();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = (LINE_BYTES_MAX + self.margin).saturating_sub(heard.open.len());
            heard.is_cut |= piece.len() > room;
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
        let mut line = self.redaction.apply(&plain(&String::from_utf8_lossy(&heard.open)));
        heard.open.clear();
        let margin = if std::mem::take(&mut heard.is_cut) { self.margin } else { 0 };
        let kept = line.len().saturating_sub(margin).min(LINE_BYTES_MAX);
        line.truncate(line.floor_char_boundary(kept));
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

    fn redaction() -> Redaction {
        Redaction::of(["sk-very-secret", "8080", "-- BEGIN --\nMIIEvQIBADANBg\n"])
    }

    fn check(pieces: &[&[u8]], expected: &[&str]) {
        let stderr = Stderr::new(redaction());
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
    }

    #[test]
    fn values_are_hidden_wherever_a_line_or_a_read_ends() {
        check(&[b"401 for sk-very-secret on 8080"], &["401 for [secret] on 8080"]);
        check(&[b"401 for sk-very", b"-secret"], &["401 for [secret]"]);
        check(&[b"sk-\x1b[31mvery\x1b[0m-secret"], &["[secret]"]);
        check(&[b"cannot read -- BEGIN --\r\nMIIEvQIBADANBg\r\n"], &["cannot read [secret]", "[secret]"]);
    }

    #[test]
    fn no_part_of_a_value_is_left_where_a_line_is_cut() {
        // Colours take room in what is read and none in what is shown.
        for colours in [0, 3, 100] {
            for before in LINE_BYTES_MAX - 40..LINE_BYTES_MAX + 40 {
                let stderr = Stderr::new(redaction());
                stderr.hear("\x1b[31m".repeat(colours).as_bytes());
                stderr.hear("x".repeat(before).as_bytes());
                stderr.hear(b"sk-very-secret and more of it\n");
                let line = stderr.lines().remove(0);
                assert!(line.len() <= LINE_BYTES_MAX && !line.contains("sk"), "{before}: {line}");
            }
        }
    }

    #[test]
    fn lines_and_their_number_are_bounded() {
        let stderr = Stderr::new(Redaction::default());
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
