//! Long conversations, kept within a model's window.
//!
//! Before a request would fill the window, the oldest results are told as one line each, which names the handle by which
//! they are still read; where that is not enough, the oldest turns are summed up by rules: what the model said, what it
//! called, how each result began. No model is asked for it, so it costs nothing, cannot fail and is the same at every
//! fold. The system prompt, the task and the last turns stay. What was done is one event, [`Compaction`], which says all
//! that the next requests need: between two of them each request still begins with the bytes of the one before.
//!
//! What it is not: memory is not lost. Every result stays in the journal, or by hash, and `read_result` reads it.

mod digest;
mod plan;
#[cfg(test)]
mod tests;
mod window;

pub(super) use digest::Telling;
pub use plan::{Compaction, CompactionReason, Cut};
pub use window::window;
