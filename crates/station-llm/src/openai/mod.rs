//! OpenAI's chat dialect (`POST …/chat/completions`, streamed), which most servers and gateways speak.
//!
//! - `request` writes the body, `answer` puts the pieces of the stream together.
//!
//! What the models of OpenAI take is here too, since its other dialect, `responses`, reaches the same ones.
//! Reference: <https://platform.openai.com/docs/api-reference/chat>. Why it is ours: docs/decisions/0002-openai-dialect.md.

mod answer;
mod model;
mod request;

pub(crate) use answer::Reading;
pub(crate) use model::{reasons, sees};
pub(crate) use request::body;
