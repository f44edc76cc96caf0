//! Changes to files that people wrote: only the bytes that must change do.
//!
//! Comments, order, unknown keys, line ends and a byte order mark stay as they are, because nothing is written anew
//! from what was understood. To be sure of it, `set` reads its own result and refuses an edit that would change any
//! other value (an alias elsewhere, say).

mod agent;
mod append;
mod body;
mod difference;
mod flow;
mod json;
mod new;
mod page;
mod quote;
mod set;
#[cfg(test)]
mod tests;
mod unset;

pub use agent::{AgentEdit, Names, Unset, edit_agent, rename_agent};
pub use append::append_key;
pub use body::set_body;
pub use difference::difference;
pub use json::{put_server, remove_server};
pub use new::new_agent;
pub use quote::json_as_yaml;
pub use set::{Field, set_field, set_key};
pub use unset::{unset_field, unset_key};
