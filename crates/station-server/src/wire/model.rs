//! Models: providers with the state of their keys, names with what they mean, and tests of whether they answer.

use super::{Error, ErrorBody, Price};
use serde::Serialize;
use station_core::run::AskFailure;
use station_engine::{Caching, Held, KeyState, Known, KnownModel, ModelTest, NamedBy, Offer, Supports};

/// A provider that can be asked, or could.
#[derive(Clone, Debug, Serialize)]
pub struct Provider {
    /// Its word: `anthropic`.
    pub provider: String,
    /// The dialect it is spoken to in.
    pub dialect: &'static str,
    /// Where it is; empty for what is in this process.
    pub address: String,
    /// Whether it is the configured one.
    pub configured: bool,
    /// How its key stands.
    pub key: ModelKey,
}

/// How a provider's key stands; its value has no field.
#[derive(Clone, Debug, Serialize)]
pub struct ModelKey {
    /// `set`, `missing` or `not_needed`.
    pub state: &'static str,
    /// The variable it is in, or those it is looked for in.
    pub variables: Vec<String>,
}

/// A name, and the model that it means.
#[derive(Clone, Debug, Serialize)]
pub struct Model {
    /// As it is written.
    pub name: String,
    /// `configured` or `map`.
    pub named_by: &'static str,
    /// The model; `null` where the name means none.
    pub model: Option<String>,
    /// How the key of its provider stands.
    pub key: Option<ModelKey>,
    /// What it takes.
    pub supports: Option<ModelSupports>,
    /// What it costs, by the table of config.yaml.
    pub price: Option<Price>,
    /// Why the name means no model.
    pub error: Option<ErrorBody>,
}

/// What a model takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ModelSupports {
    /// Calls of tools.
    pub tools: bool,
    /// `always`, `without_tools`, `in_words` or `never`.
    pub schema: &'static str,
    /// Images in results of tools.
    pub images: bool,
    /// Thoughts that are kept and given back to it.
    pub thinking: bool,
    /// `automatic`, `marked` or `none`.
    pub caching: &'static str,
    /// Tokens that it reads at most.
    pub window: Option<u64>,
}

/// What came of asking a model once.
#[derive(Clone, Debug, Serialize)]
pub struct TestedModel {
    /// As it was named.
    pub name: String,
    /// The model; `null` where the name means none.
    pub model: Option<String>,
    /// Whether it answered.
    pub ok: bool,
    /// How long it took.
    pub took_ms: u64,
    /// The model as the provider called it.
    pub answered_by: Option<String>,
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
    /// The sort of failure, e.g. `bad_key`.
    pub failure: Option<&'static str>,
    /// Why it did not answer.
    pub message: Option<String>,
    /// What to try.
    pub hint: Option<String>,
    /// What it takes.
    pub supports: Option<ModelSupports>,
}

impl From<&Offer> for Provider {
    fn from(offer: &Offer) -> Self {
        Self {
            provider: offer.provider.clone(),
            dialect: offer.dialect,
            address: offer.address.clone(),
            configured: offer.configured,
            key: ModelKey::from(&offer.key),
        }
    }
}

impl From<&KeyState> for ModelKey {
    fn from(key: &KeyState) -> Self {
        let (state, variables) = match key {
            KeyState::Set(variable) => ("set", vec![variable.clone()]),
            KeyState::Missing(variables) => ("missing", variables.clone()),
            KeyState::NotNeeded => ("not_needed", Vec::new()),
        };
        Self { state, variables }
    }
}

impl From<&Supports> for ModelSupports {
    fn from(supports: &Supports) -> Self {
        Self {
            tools: supports.tools,
            schema: match supports.schema {
                Held::Always => "always",
                Held::WithoutTools => "without_tools",
                Held::InWords => "in_words",
                Held::Never => "never",
            },
            images: supports.images,
            thinking: supports.thinking,
            caching: match supports.caching {
                Caching::Automatic => "automatic",
                Caching::Marked => "marked",
                Caching::None => "none",
            },
            window: supports.window,
        }
    }
}

impl From<&KnownModel> for Model {
    fn from(known: &KnownModel) -> Self {
        let model = known.model.as_ref().ok();
        Self {
            name: known.name.clone(),
            named_by: match known.by {
                NamedBy::Configured => "configured",
                NamedBy::Map => "map",
            },
            model: model.map(|it| it.model.to_string()),
            key: model.map(|it| ModelKey::from(&it.key)),
            supports: model.map(|it| ModelSupports::from(&it.supports)),
            price: model.and_then(price),
            error: known.model.as_ref().err().map(|error| Error::from(error).error),
        }
    }
}

fn price(known: &Known) -> Option<Price> {
    known.price.as_ref().map(|price| Price::new(&known.model.to_string(), price))
}

/// The word by which journals call a failure too.
fn word(failure: AskFailure) -> &'static str {
    match failure {
        AskFailure::RateLimited => "rate_limited",
        AskFailure::Unavailable => "unavailable",
        AskFailure::TimedOut => "timed_out",
        AskFailure::Truncated => "truncated",
        AskFailure::ContextOverflow => "context_overflow",
        AskFailure::Unreachable => "unreachable",
        AskFailure::BadKey => "bad_key",
        AskFailure::Rejected => "rejected",
        AskFailure::Garbled => "garbled",
    }
}

impl From<&ModelTest> for TestedModel {
    fn from(test: &ModelTest) -> Self {
        let known = test.model.as_ref().ok();
        let answered = test.outcome.as_ref().and_then(|outcome| outcome.as_ref().ok());
        let failed = test.outcome.as_ref().and_then(|outcome| outcome.as_ref().err());
        let unknown = test.model.as_ref().err();
        let message =
            failed.map(|it| it.sentence.clone()).or_else(|| unknown.map(|it| it.sentence().to_owned()));
        let hint = failed.and_then(|it| it.hint.clone());
        Self {
            name: test.name.clone(),
            model: known.map(|it| it.model.to_string()),
            ok: answered.is_some(),
            took_ms: u64::try_from(test.took.as_millis()).unwrap_or(u64::MAX),
            answered_by: answered.map(|it| it.by.clone()),
            input_tokens: answered.map(|it| it.usage.input),
            output_tokens: answered.map(|it| it.usage.output),
            failure: failed.map(|it| word(it.failure)),
            message,
            hint: hint.or_else(|| unknown.and_then(|it| it.hints().first().cloned())),
            supports: known.map(|it| ModelSupports::from(&it.supports)),
        }
    }
}
