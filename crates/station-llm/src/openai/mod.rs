//! OpenAI's chat dialect (`POST …/chat/completions`, streamed), which most servers and gateways speak.
//!
//! - `request` writes the body, `answer` puts the pieces of the stream together.
//!
//! What the models of OpenAI take is here too, since its other dialect, `responses`, reaches the same ones.
//! Reference: <https://platform.openai.com/docs/api-reference/chat>. Why it is ours: docs/decisions/0002-openai-dialect.md.

mod answer;
mod model;
mod request;

/// The words under which compatible servers tell what a model thought. A turn of calls is sent back with it, to the model
/// that thought it: DeepSeek refuses such a turn without. An answer is sent back alone, since older ones refuse it there.
/// Sources: <https://api-docs.deepseek.com/guides/thinking_mode>, <https://openrouter.ai/docs/use-cases/reasoning-tokens>.
const THOUGHTS: [&str; 2] = ["reasoning_content", "reasoning"];

pub(crate) use answer::Reading;
pub(crate) use model::{reasons, sees};
pub(crate) use request::body;
