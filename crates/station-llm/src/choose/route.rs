//! How a model is reached: its address, its dialect and its key.

use super::provider::{self, OFFLINE, OPENAI_URL, SCRIPT, ollama_base, read_base};
use super::sentences::{missing_key, no_address, unknown_provider};
use crate::dialect::Dialect;
use crate::{Models, Script};
use station_core::run::window;
use station_core::{ModelRef, Result, Secret};

/// The variable that holds the configured provider's key, whichever that is.
const OWN_KEY: &str = "STN_AI_API_KEY";

/// How a model is reached.
#[derive(Debug)]
pub(crate) enum Route<'a> {
    /// Over HTTP.
    Remote(Endpoint),
    /// In this process, by rules.
    Offline,
    /// In this process, by a script.
    Script(&'a Script),
}

/// Where a model is that is asked over HTTP.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The model as it is called there.
    pub(crate) model: ModelRef,
    /// What is spoken there.
    pub(crate) dialect: Dialect,
    /// The address of a request.
    pub(crate) url: String,
    /// The key, where one is needed.
    pub(crate) key: Option<Secret>,
    /// The variables the key is set by, for people: "`OPENAI_API_KEY`".
    pub(crate) key_variables: String,
    /// It is OpenAI itself, whose newer parameters compatible servers often lack.
    pub(crate) native: bool,
    /// Tokens that the model reads at most.
    pub(crate) window: Option<u64>,
    /// Whether an Ollama said that the model sees images; other dialects go by its name.
    pub(crate) sees_images: bool,
}

impl Models {
    /// How `model` is reached now.
    pub(crate) fn route(&self, model: &ModelRef) -> Result<Route<'_>> {
        match model.provider.as_str() {
            OFFLINE => return Ok(Route::Offline),
            SCRIPT => {
                let script = self.script.as_ref();
                return script.map(Route::Script).ok_or_else(|| unknown_provider(SCRIPT));
            }
            _ => {}
        }
        let key_variables = self.key_variables(&model.provider);
        let key = self.key(&model.provider);
        let (dialect, base) = self.base(&model.provider)?;
        if key.is_none() && self.wants_key(&model.provider) {
            return Err(missing_key(model, &key_variables));
        }
        Ok(Route::Remote(Endpoint {
            model: model.clone(),
            dialect,
            native: base == OPENAI_URL,
            url: dialect.url(&base, &model.model),
            key,
            key_variables,
            window: window(model, &self.config.windows),
            sees_images: false,
        }))
    }

    /// The address that was configured for `word`, as it was written.
    pub(crate) fn own_base(&self, word: &str) -> Option<&str> {
        self.config.base_url.as_deref().filter(|_| self.configured_provider() == Some(word))
    }

    /// What `word` speaks, and the address that its requests are put behind.
    pub(crate) fn base(&self, word: &str) -> Result<(Dialect, String)> {
        let place = provider::named(word).and_then(|provider| provider.place);
        if let Some(url) = self.own_base(word) {
            let url = url.trim().trim_end_matches('/');
            if !(url.starts_with("http://") || url.starts_with("https://")) {
                return Err(no_address());
            }
            return Ok(read_base(place.map_or(Dialect::Chat, |place| place.dialect), url));
        }
        let place = place.ok_or_else(|| unknown_provider(word))?;
        let base = match place.dialect {
            Dialect::Ollama => ollama_base(self.config.ollama_host.as_deref()),
            Dialect::Chat | Dialect::Responses | Dialect::Anthropic | Dialect::Gemini => {
                place.base.to_owned()
            }
        };
        Ok((place.dialect, base))
    }

    /// Whether `word` refuses who has no key. An address of one's own may do without.
    pub(crate) fn wants_key(&self, word: &str) -> bool {
        self.own_base(word).is_none()
            && provider::named(word).is_some_and(|provider| !provider.keys.is_empty())
    }

    /// The variable that the key of `word` is in, if it is set, and the key.
    pub(crate) fn found_key(&self, word: &str) -> Option<(&str, &Secret)> {
        let own = self.config.api_key.as_ref().filter(|_| self.configured_provider() == Some(word));
        let variables = provider::named(word).map_or(&[] as &[&str], |provider| provider.keys);
        let found = variables.iter().find_map(|name| Some((*name, self.config.keys.get(*name)?)));
        let found = own.map(|key| (OWN_KEY, key)).or(found);
        found.filter(|(_, key)| !key.expose().trim().is_empty())
    }

    fn key(&self, word: &str) -> Option<Secret> {
        self.found_key(word).map(|(_, key)| key.clone())
    }

    /// The variables that the key of `word` is looked for in: only those that would be used for it.
    pub(crate) fn key_names(&self, word: &str) -> Vec<&'static str> {
        let mut names = provider::named(word).map_or_else(Vec::new, |provider| provider.keys.to_vec());
        if names.is_empty() || self.configured_provider() == Some(word) {
            names.push(OWN_KEY);
        }
        names
    }

    /// The same for people: "`OPENAI_API_KEY` or `STN_AI_API_KEY`".
    fn key_variables(&self, word: &str) -> String {
        let names: Vec<String> = self.key_names(word).iter().map(|name| format!("`{name}`")).collect();
        names.join(" or ")
    }
}
