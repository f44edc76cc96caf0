//! A remote server: streamable HTTP in both eras, and the old HTTP+SSE transport where nothing newer is spoken.
//!
//! Ours, for the reason for which the wire to a child process is: rmcp's own transport opens a new session and posts
//! the interrupted request once more, and does not tell whether a request was written. Here a tool call is one POST,
//! its body can be given out once, and whether it was given out is known ([`super::traffic`]). **Invariants:** no
//! redirect is followed with a call, and none to another origin with anything: the headers of an entry, which hold
//! secrets, go where the entry says and nowhere else; no proxy of the environment is asked; no message names a URL or
//! the value of a header.

mod answer;
mod direct;
mod events;
mod exchange;
mod link;
mod old;
mod outgoing;
mod target;
mod wire;

use super::messages::BYTES_MAX;
use station_core::sse::Reader;

pub(super) use link::Link;
pub(super) use target::Target;
pub(super) use wire::Wire;

/// Reads a server's event stream; an event is one message.
fn reader() -> Reader {
    Reader::new(BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::sse::TooLong;

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = reader();
        let chunk = vec![b'x'; BYTES_MAX / 4];
        let outcome = (0..5).try_for_each(|_| reader.push(&chunk).map(|_| ()));
        assert_eq!(outcome, Err(TooLong));
    }
}
