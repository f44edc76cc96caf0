//! The readers of what comes over the wire, opened for the fuzz target `frames` and for nobody else: they are private, and a target
//! is another package. What they make of it is for the tests beside them; here nothing may panic.

use crate::client::read_any;
use crate::serve::{frame, lines};
use station_core::Era;
use tokio::runtime::Builder;

/// What a client may send: as one message, answered where it is wrong.
pub fn client_message(bytes: &[u8]) {
    if let frame::Frame::Broken { id, fault } = frame::read(bytes) {
        for era in [Era::Legacy, Era::Modern] {
            let answer = frame::reply(id.as_ref(), Err(fault.clone()), era);
            assert!(answer["error"]["code"].is_i64(), "{answer}");
        }
    }
}

/// What a client may send over a pipe: lines within `limit`, whatever pieces they come in.
pub fn client_lines(bytes: &[u8], limit: usize) {
    let runtime =
        Builder::new_current_thread().build().expect("a runtime without IO needs nothing of the system");
    let longest = runtime.block_on(lines::longest(bytes, limit));
    assert!(longest <= limit, "{longest} > {limit}");
}

/// What a server may send: a line of its stdout, an event, a body.
pub fn server_message(bytes: &[u8]) {
    read_any(bytes);
}
