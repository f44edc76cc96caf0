//! What is said over the socket: the worker greets, is asked one thing, and answers.

use serde::{Deserialize, Serialize};
use serde_json::Error as Broken;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Another number is another language, and whoever speaks it is left alone.
pub(super) const VERSION: u32 = 1;

/// Longest line: a piece of text with every character escaped.
pub(super) const LINE_BYTES_MAX: usize = 128 * 1024;

/// Longest piece of a model's text in one line.
pub(super) const TEXT_BYTES_MAX: usize = 16 * 1024;

/// How long one line may take to be written: whoever does not read for so long is not followed any more.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) v: u32,
    pub(super) ask: Ask,
}

/// What a worker is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Look at the queue.
    Wake,
    /// Look for runs that somebody asked to end.
    Cancel,
    /// Tell what happens in this run and its sub-agents, as long as the connection lasts; and look at the queue, where it
    /// may be.
    Follow { run: i64 },
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(crate) enum Said {
    /// First of all.
    Hello {
        v: u32,
        worker: String,
        /// Whether it takes up what is queued; not while it is about to end.
        takes: bool,
    },
    /// What was asked is done; what follows, follows.
    Done,
    /// What was asked is not done.
    Refused { sentence: String },
    /// The run's journal goes on, up to this place.
    Entry { run: i64, depth: u32, agent: String, seq: i64 },
    /// A model's text.
    Text { run: i64, depth: u32, agent: String, text: String },
    /// A request to a model is tried again.
    Retry { run: i64, depth: u32, agent: String, attempt: u32, after_ms: u64, reason: String },
    /// Something was missed, because it came too fast.
    Missed,
    /// Nothing, but it is still there.
    Still,
}

/// A line that is read in pieces, so that a wait for it can be given up and taken up again.
#[derive(Debug, Default)]
pub(super) struct Reading(Vec<u8>);

impl Reading {
    /// The next line; `None` where the other side has ended. Safe to be dropped and called anew.
    pub(super) async fn line(
        &mut self,
        from: &mut (impl AsyncBufRead + Unpin),
        most: usize,
    ) -> io::Result<Option<Vec<u8>>> {
        let left = u64::try_from(most.saturating_sub(self.0.len())).unwrap_or(u64::MAX);
        from.take(left).read_until(b'\n', &mut self.0).await?;
        match self.0.last() {
            Some(b'\n') => Ok(Some(std::mem::take(&mut self.0))),
            Some(_) if self.0.len() >= most => Err(io::Error::other("a line is too long")),
            Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Ok(None),
        }
    }
}

/// Writes `value` as one line.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value).map_err(io::Error::other)?;
    line.push(b'\n');
    let written = tokio::time::timeout(WRITE_WITHIN, to.write_all(&line)).await;
    written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

pub(super) fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Broken> {
    serde_json::from_slice(line)
}

/// `text` in pieces that fit into a line.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(TEXT_BYTES_MAX));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_version_1_stay() {
        let request = r#"{"v":1,"ask":{"what":"follow","run":7}}"#;
        assert_eq!(
            read::<Request>(request.as_bytes()).unwrap(),
            Request { v: VERSION, ask: Ask::Follow { run: 7 } }
        );
        for (said, expected) in [
            (
                Said::Hello { v: VERSION, worker: "box:1".to_owned(), takes: true },
                r#"{"say":"hello","v":1,"worker":"box:1","takes":true}"#,
            ),
            (Said::Done, r#"{"say":"done"}"#),
            (
                Said::Entry { run: 7, depth: 0, agent: "a".to_owned(), seq: 3 },
                r#"{"say":"entry","run":7,"depth":0,"agent":"a","seq":3}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&said).unwrap(), expected);
        }
    }

    #[test]
    fn a_long_text_is_told_in_pieces_that_fit() {
        let text = "\u{1}ü".repeat(TEXT_BYTES_MAX);
        let told: Vec<&str> = pieces(&text).collect();
        assert_eq!(told.concat(), text);
        for piece in told {
            let said = Said::Text { run: 1, depth: 0, agent: "a".to_owned(), text: piece.to_owned() };
            assert!(serde_json::to_vec(&said).unwrap().len() < LINE_BYTES_MAX);
        }
    }

    #[tokio::test]
    async fn a_line_is_read_whole_or_refused() {
        let mut from: &[u8] = b"one\ntwo\nthree and no end";
        let mut reading = Reading::default();
        assert_eq!(reading.line(&mut from, 10).await.unwrap().as_deref(), Some(&b"one\n"[..]));
        assert_eq!(reading.line(&mut from, 10).await.unwrap().as_deref(), Some(&b"two\n"[..]));
        assert!(reading.line(&mut from, 10).await.is_err(), "too long");
        let mut from: &[u8] = b"cut";
        assert!(Reading::default().line(&mut from, 10).await.is_err(), "cut off");
        let mut from: &[u8] = b"";
        assert_eq!(Reading::default().line(&mut from, 10).await.unwrap(), None);
    }
}
