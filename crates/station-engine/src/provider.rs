//! Providers that config.yaml may name: those that are built in, and any that has an address.

use station_core::file::config::keys::{self, Written};
use station_core::{Error, Result, near};
use station_llm::Models;

/// Refuses a provider that no run could use; `has_address` says whether `ai_base_url` stands beside it.
///
/// # Errors
/// `Invalid`, with those that there are.
pub fn check_provider(word: &str, has_address: bool) -> Result<()> {
    if has_address || Models::is_provider(word.trim()) {
        return Ok(());
    }
    let known = Models::providers();
    let error = Error::invalid(format!("there is no provider `{word}`"));
    let error = near::hint(word, known.split(", ")).into_iter().fold(error, Error::with_hint);
    Err(error.with_hint(format!("it is one of {known}")))
}

/// `text`, a config.yaml, with the setting `name` as `value` says, or without it: as [`keys::set`] and [`keys::unset`], where providers
/// are known.
///
/// # Errors
/// As there, and for a provider that there is not.
pub fn set_in(text: &str, name: &str, value: Option<&str>) -> Result<String> {
    let Some(value) = value else { return keys::unset(text, name) };
    if name == "ai_provider" && !value.trim().is_empty() {
        let has_address = Written::read(text).has("ai_base_url")?;
        check_provider(value, has_address).map_err(|error| {
            error.with_hint("one that speaks like OpenAI has an address: set `ai_base_url` before it")
        })?;
    }
    keys::set(text, name, value)
}
