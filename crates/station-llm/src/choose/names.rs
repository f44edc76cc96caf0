//! From names as people write them to models at providers.

use super::Choices;
use super::provider::{self, OFFLINE, OPENAI, OPENAI_URL, RESPONSES, SCRIPT, at, told_by_prefix};
use super::sentences::{nothing_configured, unknown_provider};
use crate::Models;
use station_core::run::{ModelChoice, window};
use station_core::{Error, ModelRef, Result};

/// Models of OpenAI's own that cannot call tools, by the beginning of their names.
const WITHOUT_TOOLS: &[&str] = &["o1-mini", "o1-preview", "chatgpt-4o"];
/// Models of OpenAI's own that cannot be held to a schema, by the beginning of their names.
const WITHOUT_SCHEMA: &[&str] =
    &["gpt-3.5", "gpt-4-", "gpt-4o-2024-05-13", "o1-mini", "o1-preview", "chatgpt-4o"];

impl Models {
    /// Whether `word` names a provider that is built in: by its own name, or by the other one that people write.
    #[must_use]
    pub fn is_provider(word: &str) -> bool {
        let word = super::provider::known_as(word);
        word != super::SCRIPT && super::provider::named(word).is_some()
    }

    /// The providers that are built in, for people: `openai, …, offline`.
    #[must_use]
    pub fn providers() -> String {
        super::provider::words()
    }

    /// The models that an agent's list means, or the configured one where the list is empty. An entry of several
    /// that cannot be used is skipped, with its reason, as long as another can.
    ///
    /// # Errors
    /// Nothing is configured, or nothing of the list can be used; the sentence names the variable to set.
    pub fn choices(&self, written: &[String]) -> Result<Choices> {
        if self.is_replay {
            let model = self.choice(&at(SCRIPT, written.first().map_or(SCRIPT, String::as_str)))?;
            return Ok(Choices { usable: vec![model], skipped: Vec::new() });
        }
        if written.is_empty() {
            return Ok(Choices { usable: vec![self.choice(&self.configured()?)?], skipped: Vec::new() });
        }
        let (mut usable, mut skipped, mut first) = (Vec::new(), Vec::new(), None);
        for name in written {
            match self.resolve(name).and_then(|model| self.choice(&model)) {
                Ok(choice) => usable.push(choice),
                Err(error) => {
                    skipped.push((name.clone(), error.sentence().to_owned()));
                    first = first.or(Some(error));
                }
            }
        }
        match first {
            Some(error) if usable.is_empty() => Err(error),
            _ => Ok(Choices { usable, skipped }),
        }
    }

    /// The model that `written` means, as an agent's file would say it.
    ///
    /// # Errors
    /// Where nothing says whose model it is.
    pub fn named(&self, written: &str) -> Result<ModelRef> {
        self.resolve(written)
    }

    fn choice(&self, model: &ModelRef) -> Result<ModelChoice> {
        self.route(model)?;
        let (tools, schema) = self.abilities(model);
        Ok(ModelChoice { tools, schema, window: window(model, &self.config.windows), model: model.clone() })
    }

    /// Whether `model` is at OpenAI itself.
    pub(crate) fn is_openai(&self, model: &ModelRef) -> bool {
        self.base(&model.provider).is_ok_and(|(_, base)| base == OPENAI_URL)
    }

    /// Whether `model` can call tools, and whether it can be held to a schema in some way.
    pub(crate) fn abilities(&self, model: &ModelRef) -> (bool, bool) {
        let native = self.is_openai(model);
        let lacks = |prefixes: &[&str]| native && starts_with_any(&model.model, prefixes);
        let is_first_gpt_4 = native && model.model == "gpt-4";
        (!lacks(WITHOUT_TOOLS), !lacks(WITHOUT_SCHEMA) && !is_first_gpt_4)
    }

    /// The configured model, by `models:` as any other.
    pub(crate) fn configured(&self) -> Result<ModelRef> {
        let config = &self.config;
        match (config.provider.as_deref(), config.model.as_deref()) {
            (Some(written), Some(model)) => {
                let provider = provider::known_as(written);
                let of = |word: &str| model.strip_prefix(word).and_then(|rest| rest.strip_prefix('/'));
                let bare = of(written).or_else(|| of(provider));
                let written = format!("{provider}/{}", bare.unwrap_or(model));
                match self.mapped(model).or_else(|| self.mapped(&written)) {
                    Some(target) => self.unmapped(target),
                    None => Ok(at(provider, bare.unwrap_or(model))),
                }
            }
            (None, Some(model)) => self.resolve(model),
            (Some(OFFLINE), None) => Ok(at(OFFLINE, OFFLINE)),
            (Some(provider), None) => Err(Error::invalid(format!(
                "provider `{provider}` is configured, but no model"
            ))
            .with_hint("set `STN_AI_MODEL`, `ai_model` in config.yaml, or `model:` in the agent's file")),
            (None, None) => Err(nothing_configured("no model is configured")),
        }
    }

    /// What `written` means: `models:` first, then the provider it names, then the rules for bare names.
    fn resolve(&self, written: &str) -> Result<ModelRef> {
        let written = written.trim();
        if let Some(target) = self.mapped(written) {
            return self.unmapped(target);
        }
        let model = self.unmapped(written)?;
        // `gpt-4o-mini` and `openai/gpt-4o-mini` are one name: either may stand in the map.
        let other = if told_by_prefix(&model.model) == Some(model.provider.as_str()) {
            model.model.as_str()
        } else {
            ""
        };
        match self.mapped(&model.to_string()).or_else(|| self.mapped(other)) {
            Some(target) => self.unmapped(target),
            None => Ok(model),
        }
    }

    fn mapped(&self, written: &str) -> Option<&str> {
        self.config.map.get(written).map(|target| target.trim())
    }

    fn unmapped(&self, written: &str) -> Result<ModelRef> {
        if written.is_empty() {
            return Err(nothing_configured("a model's name is empty"));
        }
        if written == OFFLINE || (written == SCRIPT && self.script.is_some()) {
            return Ok(at(written, written));
        }
        let configured = self.configured_provider();
        if let Some((word, model)) = written.split_once('/') {
            if model.is_empty() {
                return Err(nothing_configured(&format!("`{written}` names a provider, but no model")));
            }
            let word = provider::known_as(word);
            if Some(word) == configured || provider::named(word).is_some() {
                return Ok(at(word, model));
            }
            // At a gateway a model's own name has slashes: `meta-llama/llama-3`.
            return match configured.filter(|_| self.config.base_url.is_some()) {
                Some(configured) => Ok(at(configured, written)),
                None => Err(unknown_provider(word)),
            };
        }
        let reaches_all = self.config.base_url.is_some() || self.script.is_some();
        if let Some(configured) = configured.filter(|_| reaches_all) {
            return Ok(at(configured, written));
        }
        // Who configured OpenAI's other dialect means it for all of OpenAI's models.
        let of_openai = |word| if word == OPENAI && configured == Some(RESPONSES) { RESPONSES } else { word };
        told_by_prefix(written).map(of_openai).or(configured).map(|word| at(word, written)).ok_or_else(|| {
            nothing_configured(&format!("nothing says which provider has the model `{written}`"))
        })
    }

    /// The provider that owns `api_key` and `base_url`: the one named, else the configured model's; an address
    /// without any is OpenAI's dialect, so it goes by that word.
    pub(crate) fn configured_provider(&self) -> Option<&str> {
        let config = &self.config;
        let named = config.provider.as_deref().map(str::trim).filter(|word| !word.is_empty());
        named
            .map(provider::known_as)
            .or_else(|| {
                let model = config.model.as_deref()?;
                let word = model.split_once('/').map(|(word, _)| provider::known_as(word));
                word.filter(|word| provider::named(word).is_some()).or_else(|| told_by_prefix(model))
            })
            .or_else(|| config.base_url.as_ref().map(|_| OPENAI))
    }
}

fn starts_with_any(text: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| text.starts_with(prefix))
}
