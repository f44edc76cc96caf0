//! The models: one port, [`Models::ask`], behind which providers are an enum.
//!
//! A run speaks `station_core`'s messages and gets an `Answer` or one of few sorts of failure; which provider, which
//! dialect and which retry lies behind is decided here and nowhere else. What does not belong here: falling back to
//! another model (the run machine decides that, so that it is in the journal) and anything about tools but their
//! names and schemas.
//!
//! - `choose` turns what people write into models, `ask` asks one and retries.
//! - `openai` is OpenAI's chat dialect, which most servers speak; `sse` reads its stream.
//! - `offline` is the built-in planner without network; `script` is the provider of tests and benches.
//!
//! To add a provider: a file for its dialect, a variant of `choose::Route`, a row in `choose::PROVIDERS`.
//!
//! **Invariant:** nothing here reads the environment, and no connection goes anywhere but to the provider named.

mod ask;
mod choose;
mod config;
mod cooling;
mod offline;
mod openai;
mod retry_after;
pub mod script;
mod sse;
mod transport;

pub use ask::{AskError, Delta, Models, Patience, Repeat, Request};
pub use choose::Choices;
pub use config::Config;
pub use script::Script;
