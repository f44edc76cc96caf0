//! From what people write to a model at a provider, and from there to an address and a key.
//!
//! The rules are formats.md's. **Invariant:** the configured provider's key and address (`STN_AI_API_KEY`,
//! `STN_AI_BASE_URL`) are never used for another provider, and no missing provider or key ends in `offline`.
//!
//! - `provider` is the table of providers, `names` says which model a name means, `route` how it is reached.

mod names;
mod provider;
mod route;
mod sentences;

pub(crate) use provider::{OFFLINE, PROVIDERS, SCRIPT, at};
pub(crate) use route::{Endpoint, Route};

use station_core::run::ModelChoice;

/// What became of an agent's list of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// The models to try, in order. Never empty.
    pub usable: Vec<ModelChoice>,
    /// What was written and cannot be used, and why.
    pub skipped: Vec<(String, String)>,
}
