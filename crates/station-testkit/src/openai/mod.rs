//! A stand-in for a provider that speaks OpenAI's chat dialect, on loopback. In the other dialects it judges requests by
//! what their providers document, and answers with streams that the test wrote ([`raw`]).
//!
//! It is true to the protocol where clients go wrong: streams are chunked, calls come in fragments, usage comes after
//! the finish reason and only if asked for, and a conversation that OpenAI refuses is refused here. What it says is
//! scripted. It runs on threads of its own, so a test without a runtime can start it and hand its address to the
//! real `stn` as `STN_AI_BASE_URL`. Dropping it closes every connection.
//!
//! - `turn` is what can be scripted, `serve` the HTTP, `judge` what the real one would refuse.

mod judge;
mod serve;
mod turn;

pub use serve::{OpenAi, Seen};
pub use turn::{
    Turn, bad_key, calls, empty, error_in_stream, not_found, overflow, rate_limited, raw, refused, reply,
    status,
};
