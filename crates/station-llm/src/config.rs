//! What the door was told about models.

use station_core::Secret;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest time for one answer, from the request to its end: a long answer of a slow model takes minutes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest silence: reasoning models say nothing for a minute and more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Times a failed request is sent again: enough for a hiccup, not for an outage, for which there are fallbacks.
const RETRIES: u32 = 3;
/// The first wait before a request is sent again; it doubles.
const BACKOFF: Duration = Duration::from_millis(500);

/// Where models are and how patiently they are asked. Values come from the door; nothing here reads the environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// The configured provider: `STN_AI_PROVIDER`, `ai_provider`.
    pub provider: Option<String>,
    /// The configured model: `STN_AI_MODEL`, `ai_model`.
    pub model: Option<String>,
    /// The key of the configured provider, and of no other: `STN_AI_API_KEY`, `ai_api_key`.
    pub api_key: Option<Secret>,
    /// The address of the configured provider, and of no other: `STN_AI_BASE_URL`, `ai_base_url`.
    pub base_url: Option<String>,
    /// The providers' own keys by the name of their variable, e.g. `OPENAI_API_KEY`.
    pub keys: BTreeMap<String, Secret>,
    /// Where Ollama listens: `OLLAMA_HOST`.
    pub ollama_host: Option<String>,
    /// `models:` of config.yaml: a name as agents write it → the model that is meant.
    pub map: BTreeMap<String, String>,
    /// `context.windows` of config.yaml: names of models, also as globs → tokens that they read at most.
    pub windows: BTreeMap<String, u64>,
    /// Longest time for one answer, from the request to its end.
    pub request_timeout: Duration,
    /// Longest silence, before the first byte and between two.
    pub idle_timeout: Duration,
    /// Times a failed request is sent again.
    pub retries: u32,
    /// The first wait before a request is sent again; it doubles.
    pub backoff: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            provider: None,
            model: None,
            api_key: None,
            base_url: None,
            keys: BTreeMap::new(),
            ollama_host: None,
            map: BTreeMap::new(),
            windows: BTreeMap::new(),
            request_timeout: REQUEST_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            retries: RETRIES,
            backoff: BACKOFF,
        }
    }
}
