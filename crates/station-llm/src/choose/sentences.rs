//! What is told where a name means no model that can be asked.

use super::provider::{known_words, words};
use station_core::{Error, ModelRef, near};

pub(super) fn nothing_configured(sentence: &str) -> Error {
    Error::invalid(sentence)
        .with_hint("set `STN_AI_PROVIDER` and `STN_AI_MODEL`, or `model:` in the agent's file, e.g. openai/gpt-4o-mini")
        .with_hint("for first steps without a provider: `--model offline`, Station's built-in rules")
}

pub(super) fn missing_key(model: &ModelRef, variables: &str) -> Error {
    Error::invalid(format!("model `{model}` needs a key: {variables} is not set"))
        .with_hint(format!("set {variables}"))
        .with_hint(format!(
            "or map the name to a model you have, in config.yaml: `models: {{{}: <provider>/<model>}}`",
            model.model
        ))
}

pub(super) fn unknown_provider(word: &str) -> Error {
    let error = Error::invalid(format!("provider `{word}` is not known"));
    let error = match near::hint(word, known_words()) {
        Some(hint) => error.with_hint(hint),
        None => error,
    };
    error
        .with_hint(format!("known are {}; others by `STN_AI_PROVIDER` and `STN_AI_BASE_URL`", words()))
        .with_hint("or map the name in config.yaml: `models: {<name>: <provider>/<model>}`")
}

pub(super) fn no_address() -> Error {
    Error::invalid("the configured address of the models is no http or https URL")
        .with_hint("set `STN_AI_BASE_URL` or `ai_base_url`, e.g. https://models.example.com/v1")
}
