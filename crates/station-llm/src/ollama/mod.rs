//! Ollama's own dialect (`POST …/api/chat`, streamed as one JSON object per line).
//!
//! Taken rather than its OpenAI-compatible address, because only here a request says how much the model reads
//! (`num_ctx`): there Ollama keeps its small default and drops the beginning of what is longer, without a word.
//! Reference: <https://docs.ollama.com/api/chat>.

mod answer;
mod request;
mod server;

pub(crate) use answer::Reading;
pub(crate) use request::body;
pub(crate) use server::Seeing;
