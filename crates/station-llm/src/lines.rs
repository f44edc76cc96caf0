//! A reader of lines: bytes in as they come, whole lines out. Works on bytes, because a chunk may end inside a character.

use crate::sse::{EVENT_BYTES_MAX, TooLong, text};

/// The line that has not ended.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Reads `bytes`; returns the lines that are complete now, without blank ones.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
            if piece.ends_with(b"\n") {
                lines.extend(self.finish());
            }
        }
        Ok(lines)
    }

    /// The stream is over: its last line need not end.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let line = text(std::mem::take(&mut self.line));
        let line = line.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_however_they_are_cut() {
        let stream = "{\"a\":\"Größe 🦀\"}\r\n\n{}\nlast";
        for size in [1, 2, 3, 7, stream.len()] {
            let mut reader = Lines::default();
            let chunks = stream.as_bytes().chunks(size);
            let mut lines: Vec<String> = chunks.flat_map(|chunk| reader.push(chunk).unwrap()).collect();
            lines.extend(reader.finish());
            assert_eq!(lines, ["{\"a\":\"Größe 🦀\"}", "{}", "last"], "in chunks of {size}");
        }
        let mut reader = Lines::default();
        let chunk = vec![b'x'; EVENT_BYTES_MAX / 4];
        assert_eq!((0..5).try_for_each(|_| reader.push(&chunk).map(|_| ())), Err(TooLong));
    }
}
