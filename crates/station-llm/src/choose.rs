//! From what people write to a model at a provider, and from there to an address and a key.
//!
//! The rules are formats.md's. **Invariant:** the configured provider's key and address (`STN_AI_API_KEY`,
//! `STN_AI_BASE_URL`) are never used for another provider, and no missing provider or key ends in `offline`.

use crate::{Models, Script};
use station_core::run::{ModelChoice, window};
use station_core::{Error, ModelRef, Result, Secret};

/// The provider word of the built-in planner.
pub(crate) const OFFLINE: &str = "offline";
/// The provider word of the scripted model.
pub(crate) const SCRIPT: &str = "script";
const OPENAI: &str = "openai";
const OLLAMA: &str = "ollama";

/// Where OpenAI is when nothing else is configured.
const OPENAI_URL: &str = "https://api.openai.com/v1";
/// Where Ollama listens when `OLLAMA_HOST` does not say.
const OLLAMA_HOST: &str = "http://127.0.0.1:11434";
const OLLAMA_PORT: &str = "11434";

/// A provider word, the beginnings of its models' names, and the variables its key is looked for in.
struct Provider {
    word: &'static str,
    prefixes: &'static [&'static str],
    keys: &'static [&'static str],
}

const PROVIDERS: &[Provider] = &[
    Provider { word: OPENAI, prefixes: &["gpt-", "chatgpt", "o1", "o3", "o4"], keys: &["OPENAI_API_KEY"] },
    Provider { word: "anthropic", prefixes: &["claude"], keys: &["ANTHROPIC_API_KEY"] },
    Provider { word: "gemini", prefixes: &["gemini"], keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"] },
    Provider { word: OLLAMA, prefixes: &[], keys: &[] },
    Provider { word: OFFLINE, prefixes: &[], keys: &[] },
    Provider { word: SCRIPT, prefixes: &[], keys: &[] },
];

/// Models of OpenAI's own that cannot call tools, by the beginning of their names.
const WITHOUT_TOOLS: &[&str] = &["o1-mini", "o1-preview", "chatgpt-4o"];
/// Models of OpenAI's own that cannot be held to a schema, by the beginning of their names.
const WITHOUT_SCHEMA: &[&str] =
    &["gpt-3.5", "gpt-4-", "gpt-4o-2024-05-13", "o1-mini", "o1-preview", "chatgpt-4o"];

/// What became of an agent's list of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// The models to try, in order. Never empty.
    pub usable: Vec<ModelChoice>,
    /// What was written and cannot be used, and why.
    pub skipped: Vec<(String, String)>,
}

/// How a model is reached.
#[derive(Debug)]
pub(crate) enum Route<'a> {
    /// By OpenAI's chat dialect.
    OpenAi(Endpoint),
    /// In this process, by rules.
    Offline,
    /// In this process, by a script.
    Script(&'a Script),
}

/// Where a model is that speaks OpenAI's chat dialect.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The model as it is called there.
    pub(crate) model: ModelRef,
    /// The address of `chat/completions`.
    pub(crate) url: String,
    /// The key, where one is needed.
    pub(crate) key: Option<Secret>,
    /// The variables the key is set by, for people: "`OPENAI_API_KEY`".
    pub(crate) key_variables: String,
    /// It is OpenAI itself, whose newer parameters compatible servers often lack.
    pub(crate) native: bool,
}

impl Models {
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
        let (base, key_needed) = self.base(&model.provider)?;
        if key_needed && key.is_none() {
            return Err(missing_key(model, &key_variables));
        }
        Ok(Route::OpenAi(Endpoint {
            model: model.clone(),
            native: base == OPENAI_URL,
            url: format!("{}/chat/completions", base.trim_end_matches('/')),
            key,
            key_variables,
        }))
    }

    fn choice(&self, model: &ModelRef) -> Result<ModelChoice> {
        let native = match self.route(model)? {
            Route::OpenAi(endpoint) => endpoint.native,
            Route::Offline | Route::Script(_) => false,
        };
        let lacks = |prefixes: &[&str]| native && starts_with_any(&model.model, prefixes);
        let is_first_gpt_4 = native && model.model == "gpt-4";
        Ok(ModelChoice {
            tools: !lacks(WITHOUT_TOOLS),
            schema: !lacks(WITHOUT_SCHEMA) && !is_first_gpt_4,
            window: window(model, &self.config.windows),
            model: model.clone(),
        })
    }

    /// The configured model, by `models:` as any other.
    fn configured(&self) -> Result<ModelRef> {
        let config = &self.config;
        match (config.provider.as_deref(), config.model.as_deref()) {
            (Some(provider), Some(model)) => {
                let bare = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
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
            if Some(word) == configured || provider(word).is_some() {
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
        told_by_prefix(written).or(configured).map(|word| at(word, written)).ok_or_else(|| {
            nothing_configured(&format!("nothing says which provider has the model `{written}`"))
        })
    }

    /// The provider that owns `api_key` and `base_url`: the one named, else the configured model's; an address
    /// without any is OpenAI's dialect, so it goes by that word.
    fn configured_provider(&self) -> Option<&str> {
        let config = &self.config;
        let named = config.provider.as_deref().map(str::trim).filter(|word| !word.is_empty());
        named
            .or_else(|| {
                let model = config.model.as_deref()?;
                let word = model.split_once('/').map(|(word, _)| word);
                word.filter(|word| provider(word).is_some()).or_else(|| told_by_prefix(model))
            })
            .or_else(|| config.base_url.as_ref().map(|_| OPENAI))
    }

    /// The address of `word`, and whether it wants a key.
    fn base(&self, word: &str) -> Result<(String, bool)> {
        let own = self.config.base_url.as_deref().filter(|_| self.configured_provider() == Some(word));
        if let Some(url) = own {
            let url = url.trim().trim_end_matches('/');
            if !(url.starts_with("http://") || url.starts_with("https://")) {
                return Err(Error::invalid("the configured address of the models is no http or https URL")
                    .with_hint(
                        "set `STN_AI_BASE_URL` or `ai_base_url`, e.g. https://models.example.com/v1",
                    ));
            }
            return Ok((url.strip_suffix("/chat/completions").unwrap_or(url).to_owned(), false));
        }
        match word {
            OPENAI => Ok((OPENAI_URL.to_owned(), true)),
            OLLAMA => Ok((ollama_base(self.config.ollama_host.as_deref()), false)),
            _ if provider(word).is_some() => Err(unsupported(word)),
            _ => Err(unknown_provider(word)),
        }
    }

    fn key(&self, word: &str) -> Option<Secret> {
        let own = self.config.api_key.as_ref().filter(|_| self.configured_provider() == Some(word));
        let variables = provider(word).map_or(&[] as &[&str], |provider| provider.keys);
        own.or_else(|| variables.iter().find_map(|name| self.config.keys.get(*name)))
            .filter(|key| !key.expose().trim().is_empty())
            .cloned()
    }

    /// "`OPENAI_API_KEY` or `STN_AI_API_KEY`": only what would be used for `word`.
    fn key_variables(&self, word: &str) -> String {
        let mut names: Vec<String> = provider(word)
            .map_or(&[] as &[&str], |provider| provider.keys)
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        if names.is_empty() || self.configured_provider() == Some(word) {
            names.push(String::from("`STN_AI_API_KEY`"));
        }
        names.join(" or ")
    }
}

fn at(provider: &str, model: &str) -> ModelRef {
    ModelRef { provider: provider.to_owned(), model: model.to_owned() }
}

fn provider(word: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.word == word)
}

fn told_by_prefix(model: &str) -> Option<&'static str> {
    let teller = PROVIDERS.iter().find(|provider| starts_with_any(model, provider.prefixes));
    teller.map(|provider| provider.word).or_else(|| (model == OFFLINE).then_some(OFFLINE))
}

fn starts_with_any(text: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| text.starts_with(prefix))
}

/// `OLLAMA_HOST` is an address, a host, or a host and a port; 0.0.0.0 is where it listens, not where it is asked.
fn ollama_base(host: Option<&str>) -> String {
    let host = host.map(str::trim).filter(|host| !host.is_empty()).unwrap_or(OLLAMA_HOST);
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", host));
    let rest = rest.trim_end_matches('/').replace("0.0.0.0", "127.0.0.1");
    let port_known = scheme == "https" || rest.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let port = if port_known { String::new() } else { format!(":{OLLAMA_PORT}") };
    format!("{scheme}://{rest}{port}/v1")
}

fn nothing_configured(sentence: &str) -> Error {
    Error::invalid(sentence)
        .with_hint("set `STN_AI_PROVIDER` and `STN_AI_MODEL`, or `model:` in the agent's file, e.g. openai/gpt-4o-mini")
        .with_hint("for first steps without a provider: `--model offline`, Station's built-in rules")
}

fn missing_key(model: &ModelRef, variables: &str) -> Error {
    Error::invalid(format!("model `{model}` needs a key: {variables} is not set"))
        .with_hint(format!("set {variables}"))
        .with_hint(format!(
            "or map the name to a model you have, in config.yaml: `models: {{{}: <provider>/<model>}}`",
            model.model
        ))
}

fn unsupported(word: &str) -> Error {
    Error::invalid(format!("provider `{word}` is not supported yet without an OpenAI-compatible address"))
        .with_hint(format!(
            "set `STN_AI_PROVIDER={word}` and `STN_AI_BASE_URL` to its OpenAI-compatible address"
        ))
        .with_hint("or map the name to a model you have, in config.yaml: `models: {<name>: openai/<model>}`")
}

fn unknown_provider(word: &str) -> Error {
    Error::invalid(format!("provider `{word}` is not known"))
        .with_hint("known are openai, ollama and offline; others by `STN_AI_PROVIDER` and `STN_AI_BASE_URL`")
        .with_hint("or map the name in config.yaml: `models: {<name>: <provider>/<model>}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_ollama_listens() {
        for (host, expected) in [
            (None, "http://127.0.0.1:11434/v1"),
            (Some(""), "http://127.0.0.1:11434/v1"),
            (Some("0.0.0.0"), "http://127.0.0.1:11434/v1"),
            (Some("box:1234"), "http://box:1234/v1"),
            (Some("http://box/"), "http://box:11434/v1"),
            (Some("https://ollama.example.com"), "https://ollama.example.com/v1"),
            (Some("[::1]"), "http://[::1]:11434/v1"),
        ] {
            assert_eq!(ollama_base(host), expected, "{host:?}");
        }
    }
}
