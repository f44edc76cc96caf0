//! OpenAI's chat dialect (`POST …/chat/completions`, streamed), which most servers and gateways speak.
//!
//! - `request` writes the body, `send` sends it and reads the stream, `answer` puts the pieces together, `failure`
//!   says what a refusal means.
//!
//! Written by hand and not behind a client library, because the library lost what the journal keeps: see
//! docs/decisions/0002-openai-dialect.md.

mod answer;
mod failure;
mod request;
mod send;

pub(crate) use send::ask;
