//! A reader of server-sent events (WHATWG HTML, section 9.2): bytes in as they come, whole events out.
//!
//! It works on bytes, because a chunk may end inside a character, inside a line, or between `\r` and `\n`. It does no IO:
//! models and tool servers both answer in such streams, and each reads its own with this.

use std::time::Duration;

/// Longest wait before a cut stream is taken up again that a server can ask for.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What may stand before the first line of a stream, and is none of it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name; empty where it has none.
    pub name: String,
    /// What it says: its `data` lines, joined by line feeds.
    pub data: Vec<u8>,
}

/// An event, or its id, is longer than the reader was told to take.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

/// The state between two chunks.
#[derive(Debug)]
pub struct Reader {
    bytes_max: usize,
    line: Vec<u8>,
    open: Event,
    has_data: bool,
    after_return: bool,
    /// Whether no line of this stream has ended yet.
    at_start: bool,
    /// The last id that was told: from where a cut stream goes on.
    pub last_id: Option<String>,
    /// How long the server wants to be left alone before its stream is taken up again.
    pub retry: Option<Duration>,
}

impl Reader {
    /// A reader of events of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            line: Vec::new(),
            open: Event::default(),
            has_data: false,
            after_return: false,
            at_start: true,
            last_id: None,
            retry: None,
        }
    }

    /// Reads `bytes`; returns the events that are complete now.
    ///
    /// # Errors
    /// Where an event, or one of its lines, has become too long.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
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
            if self.line.len() + self.open.data.len() > self.bytes_max {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    /// The stream is over: the last event counts although no empty line ended it, as some servers end theirs so.
    pub fn finish(&mut self) -> Option<Event> {
        let whole = self.end_line();
        whole.or_else(|| std::mem::take(&mut self.has_data).then(|| std::mem::take(&mut self.open)))
    }

    /// The stream was cut: what was begun will be sent again from `last_id` on.
    pub fn cut(&mut self) {
        self.line.clear();
        self.open = Event::default();
        self.has_data = false;
        self.after_return = false;
        self.at_start = true;
    }

    fn end_line(&mut self) -> Option<Event> {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.at_start) && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.open);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || String::from_utf8_lossy(value).into_owned();
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.open.data.push(b'\n');
                }
                self.open.data.extend_from_slice(value);
            }
            b"event" => self.open.name = text(),
            b"id" if !value.contains(&0) => self.last_id = Some(text()),
            b"retry" => {
                let ms = text().parse().ok().map(Duration::from_millis);
                self.retry = ms.map(|wait| wait.min(RETRY_MAX)).or(self.retry);
            }
            // A comment, or a field that nobody knows.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 4096;

    /// The events of `stream` as `name=data`, the same however it is cut, and the last id.
    fn check(stream: &str, expected: &[&str], last_id: Option<&str>) {
        for size in [1, 2, 3, 7, stream.len().max(1)] {
            let mut reader = Reader::new(BYTES_MAX);
            let mut events = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                events.extend(reader.push(chunk).unwrap());
            }
            let events: Vec<String> = events
                .into_iter()
                .map(|event| format!("{}={}", event.name, String::from_utf8(event.data).unwrap()))
                .collect();
            assert_eq!(events, expected, "{stream:?} in chunks of {size}");
            assert_eq!(reader.last_id.as_deref(), last_id, "{stream:?}");
        }
    }

    #[test]
    fn events_however_they_are_cut() {
        check("data: a\n\ndata: b\n\n", &["=a", "=b"], None);
        check("event: endpoint\r\ndata: /x?y=1\r\n\r\n", &["endpoint=/x?y=1"], None);
        check("id: 1\r\rdata: a\rid:2\rdata:b\r\r", &["=a\nb"], Some("2"));
        check(": ping\n\nid: 7\ndata:\n\ndata: a", &["="], Some("7"));
        check("data: Größe 🦀\n\nevent: x\n\n", &["=Größe 🦀"], None);
        check("id: a\n\nid: b\0c\n\nodd\n\n", &[], Some("a"));
        check("", &[], None);
    }

    #[test]
    fn a_byte_order_mark_before_the_first_event_hides_nothing() {
        check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["=a"], None);
        check("\u{feff}\u{feff}data: a\n\n", &[], None);
        check("\u{feff}\ndata: a\n\n", &["=a"], None);
        let mut reader = Reader::new(BYTES_MAX);
        assert_eq!(reader.push(b"data: begun\n").unwrap(), []);
        reader.cut();
        assert_eq!(reader.push("\u{feff}data: anew\n\n".as_bytes()).unwrap()[0].data, b"anew");
    }

    #[test]
    fn what_was_begun_when_the_stream_was_cut_is_forgotten() {
        let mut reader = Reader::new(BYTES_MAX);
        assert_eq!(reader.push(b"id: 4\ndata: {\"half").unwrap(), []);
        reader.cut();
        let events = reader.push(b"retry: 250\ndata: whole\n\n").unwrap();
        assert_eq!(events[0].data, b"whole");
        assert_eq!((reader.last_id.as_deref(), reader.retry), (Some("4"), Some(Duration::from_millis(250))));
        reader.push(b"retry: 99999999\nretry: soon\n").unwrap();
        assert_eq!(reader.retry, Some(RETRY_MAX));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = Reader::new(BYTES_MAX);
        let chunk = vec![b'x'; BYTES_MAX / 4];
        let outcome = (0..5).try_for_each(|_| reader.push(&chunk).map(|_| ()));
        assert_eq!(outcome, Err(TooLong));
    }
}
