//! Changes to files that people wrote: only the bytes that must change do.
//!
//! Comments, order, unknown keys, line ends and a byte order mark stay as they are, because nothing is written anew
//! from what was understood. To be sure of it, `set` reads its own result and refuses an edit that would change any
//! other value (an alias elsewhere, say).

mod append;
mod new;
mod quote;
mod set;

pub use append::append_key;
pub use new::new_agent;
pub use set::{Field, set_field};
