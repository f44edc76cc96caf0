//! Models: providers with the state of their keys, names with what they mean, and tests of whether they answer.

use super::{Error, ErrorBody, Price, Word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use station_core::run::AskFailure;
use station_engine::{Caching, Held, KeyState, Known, KnownModel, ModelTest, NamedBy, Offer, Supports};

/// What there is to ask.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ModelList {
    /// The configured model, and the names that config.yaml maps.
    pub models: Vec<Model>,
    /// How many there are.
    pub count: usize,
    /// Every provider, the configured one first.
    pub providers: Vec<Provider>,
    /// Of a page of them that a server told: the cursor of the next.
    #[serde(default, skip_serializing)]
    pub next: Option<String>,
}

/// What came of asking models.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct TestedModels {
    /// Each, in the order in which they were named.
    pub models: Vec<TestedModel>,
    /// How many there are.
    pub count: usize,
}

/// A provider that can be asked, or could.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Provider {
    /// Its word: `anthropic`.
    pub provider: String,
    /// The dialect it is spoken to in.
    pub dialect: Word,
    /// Where it is; empty for what is in this process.
    pub address: String,
    /// Whether it is the configured one.
    pub configured: bool,
    /// How its key stands.
    pub key: ModelKey,
}

/// How a provider's key stands; its value has no field.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ModelKey {
    /// `set`, `missing` or `not_needed`.
    pub state: Word,
    /// The variable it is in, or those it is looked for in.
    pub variables: Vec<String>,
}

/// A name, and the model that it means.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Model {
    /// As it is written.
    pub name: String,
    /// `configured` or `map`.
    pub named_by: Word,
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
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ModelSupports {
    /// Calls of tools.
    pub tools: bool,
    /// `always`, `without_tools`, `in_words` or `never`.
    pub schema: Word,
    /// Images in results of tools.
    pub images: bool,
    /// Thoughts that are kept and given back to it.
    pub thinking: bool,
    /// `automatic`, `marked` or `none`.
    pub caching: Word,
    /// Tokens that it reads at most.
    pub window: Option<u64>,
}

/// What came of asking a model once.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
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
    pub failure: Option<Word>,
    /// Why it did not answer.
    pub message: Option<String>,
    /// What to try.
    pub hint: Option<String>,
    /// What it takes.
    pub supports: Option<ModelSupports>,
}

impl From<&station_engine::ModelList> for ModelList {
    fn from(list: &station_engine::ModelList) -> Self {
        Self {
            models: list.models.iter().map(Model::from).collect(),
            count: list.models.len(),
            providers: list.providers.iter().map(Provider::from).collect(),
            next: None,
        }
    }
}

impl From<&[ModelTest]> for TestedModels {
    fn from(tests: &[ModelTest]) -> Self {
        Self { models: tests.iter().map(TestedModel::from).collect(), count: tests.len() }
    }
}

impl From<&Offer> for Provider {
    fn from(offer: &Offer) -> Self {
        Self {
            provider: offer.provider.clone(),
            dialect: offer.dialect.into(),
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
        Self { state: state.into(), variables }
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
            }
            .into(),
            images: supports.images,
            thinking: supports.thinking,
            caching: match supports.caching {
                Caching::Automatic => "automatic",
                Caching::Marked => "marked",
                Caching::None => "none",
            }
            .into(),
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
            }
            .into(),
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
            failure: failed.map(|it| word(it.failure).into()),
            message,
            hint: hint.or_else(|| unknown.and_then(|it| it.hints().first().cloned())),
            supports: known.map(|it| ModelSupports::from(&it.supports)),
        }
    }
}
