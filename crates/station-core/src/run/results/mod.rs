//! Long results: what of them stands in the conversation, and how a model reads the rest.
//!
//! A result that is longer than a run's `result_bytes_max` is kept whole, once, by hash; the model is told its beginning
//! and its end, and a handle. [`READER`], a tool of Station itself, reads on by handle or searches. Handles name a place in
//! the run (`r3.1` is the first call of turn 3), so they reach no other run, and every result has one, also a short one.
//! It is offered from a run's first request on, not when there is something to read: a list of tools that changed in the
//! middle of a run would void the provider's prompt cache.

mod handle;
mod keep;
mod read;
#[cfg(test)]
mod tests;

use handle::Handle;
pub use keep::{RESULT_BYTES_MAX, Whole};
pub use read::{READER, Reading, Source, reader};
