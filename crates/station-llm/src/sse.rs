//! A model's server-sent events: bytes in as they come, the `data` of whole events out.
//!
//! Only `data` is kept: the dialects name no events that their data does not name as well.

use station_core::sse;
pub(crate) use station_core::sse::TooLong;

/// Longest event. A whole answer is smaller; more is not an answer.
pub(crate) const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The state between two chunks.
#[derive(Debug)]
pub(crate) struct Reader(sse::Reader);

impl Default for Reader {
    fn default() -> Self {
        Self(sse::Reader::new(EVENT_BYTES_MAX))
    }
}

impl Reader {
    /// Reads `bytes`; returns the data of the events that are complete now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        Ok(self.0.push(bytes)?.into_iter().map(|event| text(event.data)).collect())
    }

    /// The stream is over: the last event counts although no empty line ended it, as some servers end theirs so.
    pub(crate) fn finish(&mut self) -> Option<String> {
        self.0.finish().map(|event| text(event.data))
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
