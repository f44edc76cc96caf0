//! OpenAI's Responses dialect (`POST …/responses`, streamed): chosen by the provider word `openai-responses`.
//!
//! It has what chat lacks: thoughts of thinking models go back to them, sealed, and results of tools hold their images.
//! Nothing is stored at the provider (`store: false`); each request holds the whole conversation, as with every dialect.
//! Reference: <https://platform.openai.com/docs/api-reference/responses> and `…/responses-streaming`.

mod answer;
mod request;

pub(crate) use answer::Reading;
pub(crate) use request::body;
