//! A reader of server-sent events: bytes in as they come, the `data` of whole events out.
//!
//! It works on bytes, because a chunk may end inside a character, inside a line, or between `\r` and `\n`. Only
//! `data` is kept: the dialects name no events that their data does not name as well.

/// Longest event. A whole answer is smaller; more is not an answer.
pub(crate) const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An event is longer than any answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The state between two chunks.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    after_return: bool,
}

impl Reader {
    /// Reads `bytes`; returns the data of the events that are complete now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let second_of_pair = byte == b'\n' && std::mem::take(&mut self.after_return);
            self.after_return = byte == b'\r';
            if second_of_pair {
                continue;
            }
            if matches!(byte, b'\n' | b'\r') {
                events.extend(self.end_line());
            } else {
                self.line.push(byte);
            }
            if self.line.len() + self.data.as_ref().map_or(0, Vec::len) > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    /// The stream is over: the last event counts although no empty line ended it, as some servers end theirs so.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let whole = self.end_line();
        whole.or_else(|| self.data.take().map(text))
    }

    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take().map(text);
        }
        let value = line.strip_prefix(b"data:").or_else(|| (line == b"data").then_some(&[]))?;
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => self.data = Some(value.to_vec()),
        }
        None
    }
}

pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of `stream`, the same however it is cut.
    fn check(stream: &str, expected: &[&str]) {
        for size in [1, 2, 3, 7, stream.len().max(1)] {
            let mut reader = Reader::default();
            let mut events = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                events.extend(reader.push(chunk).unwrap());
            }
            events.extend(reader.finish());
            assert_eq!(events, expected, "{stream:?} in chunks of {size}");
        }
    }

    #[test]
    fn events_however_they_are_cut() {
        check("data: a\n\ndata: b\n\n", &["a", "b"]);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]);
        check("data:a\r\rdata:b\r\r", &["a", "b"]);
        check(": ping\n\n: ping\ndata: a\n\n", &["a"]);
        check("event: x\r\nid: 7\r\ndata: a\r\ndata: b\r\n\r\n", &["a\nb"]);
        check("data: Größe 🦀\n\n", &["Größe 🦀"]);
        check("data: a\n\ndata: [DONE]", &["a", "[DONE]"]);
        check("data\n\n\n\n", &[""]);
        check("", &[]);
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = Reader::default();
        let chunk = vec![b'x'; EVENT_BYTES_MAX / 4];
        let outcome = (0..5).try_for_each(|_| reader.push(&chunk).map(|_| ()));
        assert_eq!(outcome, Err(TooLong));
    }
}
