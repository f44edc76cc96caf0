//! Anthropic's Messages dialect (`POST …/v1/messages`, streamed).
//!
//! What is particular: all results of one turn stand in one user message, thoughts are signed and go back first, and
//! caching is asked for by marks. Reference: <https://docs.claude.com/en/api/messages> and `…/messages-streaming`; caching
//! and thinking: `…/build-with-claude/prompt-caching`, `…/extended-thinking`, `…/adaptive-thinking`.

mod answer;
mod model;
mod request;

pub(crate) use answer::Reading;
pub(crate) use model::{takes_schema, thinks_at_all};
pub(crate) use request::body;
