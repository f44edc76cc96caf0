//! Changes to files that people wrote: only the bytes that must change do.
//!
//! Comments, order, unknown keys, line ends and a byte order mark stay as they are, because nothing is written anew
//! from what was understood. To be sure of it, `set` reads its own result and refuses an edit that would change any
//! other value (an alias elsewhere, say).

mod agent;
mod append;
mod body;
mod flow;
mod json;
mod new;
mod page;
mod quote;
mod set;
/// The lines in which `after` is another text than `before`, each behind `-` or `+`, with two lines around them.
#[must_use]
pub fn difference(before: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after).unified_diff().context_radius(2).to_string()
}

#[cfg(test)]
mod tests;
mod unset;

pub use agent::{AgentEdit, Names, Unset, edit_agent, rename_agent};
pub use append::append_key;
pub use body::set_body;
pub use json::{put_server, remove_server};
pub use new::new_agent;
pub use set::{Field, set_field, set_key};
pub use unset::{unset_field, unset_key};
