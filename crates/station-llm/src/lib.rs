//! The models: one port, [`Models::ask`], behind which providers are an enum.
//!
//! A run speaks `station_core`'s messages and gets an `Answer` or one of few sorts of failure; which provider, which
//! dialect and which retry lies behind is decided here and nowhere else. What does not belong here: falling back to
//! another model (the run machine decides that, so that it is in the journal) and anything about tools but their
//! names and schemas.
//!
//! - `choose` turns what people write into models, `ask` asks one and retries, `offer` lists what there is to ask.
//! - `dialect` is the enum of languages. One folder each: `openai` (chat, which most servers speak), `responses`,
//!   `anthropic`, `gemini`, `ollama`. What they share: `send` sends and reads, `sse` and `lines` cut streams into events,
//!   `draft` gathers an answer, `history` makes a conversation fit, `strict` knows schemas, `failure` names failures.
//! - `offline` is the built-in planner without network; `script` is the provider of tests and benches.
//!
//! To add a provider: a row in `choose::provider`, and a dialect where it speaks none of these.
//!
//! **Invariant:** nothing here reads the environment, and no connection goes anywhere but to the provider named.

mod anthropic;
mod ask;
mod choose;
mod config;
mod cooling;
mod dialect;
mod draft;
mod failure;
mod gemini;
mod history;
mod lines;
mod offer;
mod offline;
mod ollama;
mod openai;
mod responses;
mod retry_after;
pub mod script;
mod send;
mod sse;
mod strict;
mod transport;

pub use ask::{AskError, Delta, Models, Patience, Repeat, Request};
pub use choose::Choices;
pub use config::Config;
pub use offer::{Caching, Held, KeyState, Named, NamedBy, Offer, Supports};
pub use script::Script;
