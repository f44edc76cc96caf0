//! Any bytes as what comes over the wire: messages and lines of clients, messages and events of servers. Nothing may panic, and no
//! line and no event is longer than its limit.
//!
//! The first byte chooses the reader, so that one corpus serves all. Run by `cargo xtask fuzz frames`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use station_core::sse::Reader;
use station_mcp::fuzz::{client_lines, client_message, server_message};

/// Small, so that what is too long is found.
const LIMIT: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Some((reader, bytes)) = data.split_first() else { return };
    match reader % 4 {
        0 => client_message(bytes),
        1 => client_lines(bytes, LIMIT),
        2 => server_message(bytes),
        _ => events(bytes),
    }
});

/// The same events, whatever pieces they come in.
fn events(bytes: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut reader = Reader::new(LIMIT);
        let mut events = Vec::new();
        for piece in pieces {
            match reader.push(piece) {
                Ok(found) => events.extend(found),
                Err(_) => return None,
            }
        }
        Some(events)
    };
    let (whole, apart) = (read(&mut std::iter::once(bytes)), read(&mut bytes.chunks(1)));
    if let (Some(whole), Some(apart)) = (whole, apart) {
        assert_eq!(whole, apart, "an event depends on the pieces that it came in");
        assert!(whole.iter().all(|event| event.data.len() <= LIMIT));
    }
}
