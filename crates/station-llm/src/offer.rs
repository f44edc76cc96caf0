//! What there is to ask: providers with their keys, names with the models they mean, and what each of them takes.
//!
//! For people who set Station up. **Invariant:** the value of a key is in nothing that is given away here.

use crate::Models;
use crate::choose::{OFFLINE, PROVIDERS, SCRIPT};
use crate::dialect::Dialect;
use crate::{anthropic, gemini, openai};
use station_core::run::window;
use station_core::{ModelRef, Result};

/// A provider that can be asked, or could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its word: `anthropic`.
    pub provider: String,
    /// The dialect it is spoken to in, for people.
    pub dialect: &'static str,
    /// Where it is, without a name or password; empty for what is in this process.
    pub address: String,
    /// Its key.
    pub key: KeyState,
    /// Whether it is the configured one, to which `STN_AI_API_KEY` and `STN_AI_BASE_URL` belong.
    pub configured: bool,
}

/// How a provider's key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is in this variable.
    Set(String),
    /// One of these variables would have to be set.
    Missing(Vec<String>),
    /// It needs none.
    NotNeeded,
}

/// Where a name was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// It is the configured model.
    Configured,
    /// It stands in `models:` of config.yaml.
    Map,
}

/// A name, and the model that it means.
#[derive(Debug)]
pub struct Named {
    /// As it is written.
    pub name: String,
    /// Where.
    pub by: NamedBy,
    /// The model; or why it is none.
    pub model: Result<ModelRef>,
}

/// What a model takes, by its provider's dialect and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supports {
    /// Calls of tools.
    pub tools: bool,
    /// Being held to a schema.
    pub schema: Held,
    /// Images in results of tools.
    pub images: bool,
    /// Thoughts that are kept and given back to it.
    pub thinking: bool,
    /// How the beginning of a conversation is kept by the provider.
    pub caching: Caching,
    /// Tokens that it reads at most; `None` where it reads everything.
    pub window: Option<u64>,
}

/// How a model is held to a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// By its provider.
    Always,
    /// By its provider where the agent has no tools, else by words in the system prompt.
    WithoutTools,
    /// By words in the system prompt.
    InWords,
    /// Not at all: an agent with an output schema passes it over.
    Never,
}

/// How a provider keeps the beginning of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// By itself.
    Automatic,
    /// Where it is marked, as Station does.
    Marked,
    /// There is nothing to keep.
    None,
}

impl Models {
    /// Every provider that a name can name, the configured one first.
    #[must_use]
    pub fn offers(&self) -> Vec<Offer> {
        let configured = self.configured_provider();
        let known = PROVIDERS.iter().map(|provider| provider.word).filter(|word| *word != SCRIPT);
        let mut words: Vec<&str> = configured.into_iter().collect();
        words.extend(known.filter(|word| configured != Some(*word)));
        words.into_iter().map(|word| self.offer(word, configured == Some(word))).collect()
    }

    fn offer(&self, word: &str, configured: bool) -> Offer {
        let (dialect, address) = match self.base(word) {
            Ok((dialect, base)) => (dialect.shown(), without_login(&base)),
            Err(_) if word == OFFLINE => ("rules", String::new()),
            Err(_) => ("", String::new()),
        };
        Offer { provider: word.to_owned(), dialect, address, key: self.key_state(word), configured }
    }

    /// How the key of the provider `word` stands.
    #[must_use]
    pub fn key_state(&self, word: &str) -> KeyState {
        match self.found_key(word) {
            Some((variable, _)) => KeyState::Set(variable.to_owned()),
            None if self.wants_key(word) => {
                KeyState::Missing(self.key_names(word).into_iter().map(str::to_owned).collect())
            }
            None => KeyState::NotNeeded,
        }
    }

    /// The configured model, if there is one, and the names of `models:` in their order.
    #[must_use]
    pub fn written(&self) -> Vec<Named> {
        let model = self.config.model.clone().or_else(|| self.config.provider.clone());
        let configured = model.map(|name| Named { name, by: NamedBy::Configured, model: self.configured() });
        let mapped = self.config.map.keys().map(|name| {
            let model = self.named(name);
            Named { name: name.clone(), by: NamedBy::Map, model }
        });
        configured.into_iter().chain(mapped).collect()
    }

    /// One model of each provider that is set up, to be asked whether it answers: the configured one, else the first that
    /// the map names, else one that every account of the provider has.
    #[must_use]
    pub fn samples(&self) -> Vec<ModelRef> {
        let mut samples: Vec<ModelRef> = Vec::new();
        let named = self.written().into_iter().filter_map(|named| named.model.ok());
        let keyed = PROVIDERS.iter().filter(|provider| self.found_key(provider.word).is_some());
        let usual = keyed.filter_map(|provider| Some(crate::choose::at(provider.word, provider.usual?)));
        for model in named.chain(usual) {
            if samples.iter().all(|known| known.provider != model.provider) {
                samples.push(model);
            }
        }
        samples
    }

    /// What `model` takes.
    #[must_use]
    pub fn supports(&self, model: &ModelRef) -> Supports {
        let window = window(model, &self.config.windows);
        let (tools, schema) = self.abilities(model);
        let name = model.model.as_str();
        let all = |schema: Held, images: bool, thinking: bool, caching: Caching| Supports {
            tools,
            schema,
            images,
            thinking,
            caching,
            window,
        };
        let held = |holds: bool| if holds { Held::Always } else { Held::Never };
        match self.base(&model.provider).map(|(dialect, _)| dialect) {
            Err(_) => all(held(schema), false, false, Caching::None),
            Ok(Dialect::Chat) => {
                all(held(schema), self.is_openai(model) && openai::sees(name), false, Caching::Automatic)
            }
            Ok(Dialect::Responses) => {
                all(held(schema), openai::sees(name), openai::reasons(name), Caching::Automatic)
            }
            Ok(Dialect::Anthropic) => {
                let schema = if anthropic::takes_schema(name) { Held::Always } else { Held::InWords };
                all(schema, true, anthropic::thinks_at_all(name), Caching::Marked)
            }
            Ok(Dialect::Gemini) => {
                let schema = match (gemini::takes_schema(name, true), gemini::takes_schema(name, false)) {
                    (true, _) => Held::Always,
                    (false, true) => Held::WithoutTools,
                    (false, false) => Held::InWords,
                };
                all(schema, true, gemini::thinks_at_all(name), Caching::Automatic)
            }
            Ok(Dialect::Ollama) => all(Held::WithoutTools, false, true, Caching::Automatic),
        }
    }
}

/// An address without the name and password that may stand in it.
fn without_login(base: &str) -> String {
    match base.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or_default();
            let slash = if path.is_empty() { "" } else { "/" };
            format!("{scheme}://{host}{slash}{path}")
        }
        None => base.to_owned(),
    }
}
