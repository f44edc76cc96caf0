//! The lines of a pipe, each within a limit: one that is longer is passed over to its end, and said so.

use std::io;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Bytes of one message. Who has more to say than this has a file, not an argument.
pub(crate) const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// A pipe read line by line.
pub(super) struct Lines<R> {
    pipe: BufReader<R>,
    limit: usize,
    /// What is read of the line. Here and not in `next`, so that dropping that future loses nothing.
    line: Vec<u8>,
    skipping: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(pipe: R, limit: usize) -> Self {
        Self { pipe: BufReader::new(pipe), limit, line: Vec::new(), skipping: false }
    }

    /// The next line; `None` at the end. Safe to drop and call anew.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let piece = self.pipe.fill_buf().await?;
            if piece.is_empty() {
                // A last message without its newline is a message all the same, also one that is too long.
                let rest = std::mem::take(&mut self.line);
                if std::mem::take(&mut self.skipping) {
                    return Ok(Some(Line::TooLong));
                }
                return Ok((!rest.is_empty()).then_some(Line::Whole(rest)));
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let text = &piece[..end.unwrap_or(piece.len())];
            if !self.skipping && self.line.len() + text.len() > self.limit {
                self.skipping = true;
                self.line = Vec::new();
            }
            if !self.skipping {
                self.line.extend_from_slice(text);
            }
            let taken = end.map_or(piece.len(), |end| end + 1);
            self.pipe.consume(taken);
            if end.is_some() {
                let was_skipped = std::mem::take(&mut self.skipping);
                let line = std::mem::take(&mut self.line);
                return Ok(Some(if was_skipped { Line::TooLong } else { Line::Whole(line) }));
            }
        }
    }
}

/// Bytes of the longest line that is given whole, for whoever tries any bytes.
pub(crate) async fn longest(bytes: &[u8], limit: usize) -> usize {
    let mut lines = Lines::new(bytes, limit);
    let mut longest = 0;
    while let Ok(Some(line)) = lines.next().await {
        if let Line::Whole(line) = line {
            longest = longest.max(line.len());
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &str) -> Vec<Line> {
        let mut lines = Lines::new(text.as_bytes(), 5);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await.expect("memory can be read") {
            seen.push(line);
        }
        seen
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_takes_no_other_with_it() {
        let expected = [whole("ab"), Line::TooLong, whole(""), whole("last")];
        assert_eq!(lines("ab\n0123456789\n\nlast").await, expected);
    }

    #[tokio::test]
    async fn a_last_line_that_is_too_long_is_told_though_it_never_ends() {
        assert_eq!(lines("ab\n0123456789").await, [whole("ab"), Line::TooLong]);
    }
}
