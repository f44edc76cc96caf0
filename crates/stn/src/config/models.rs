//! Which models can be asked, and with whose key.

use super::Settings;
use station_core::Secret;
use station_core::file::config::expand;
use station_engine::ModelConfig;

/// The providers' own keys.
pub(super) const KEYS: [&str; 4] =
    ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"];

/// The key of config.yaml with its `${NAME}` replaced, or the names that are not set.
pub(super) type Expanded = Result<Secret, Vec<String>>;

impl Settings {
    /// Models, keys and addresses.
    pub(crate) fn models(&self) -> ModelConfig {
        let environment = &self.environment;
        let own = |name: &str| environment.get(name).map(str::to_owned);
        let keys =
            KEYS.iter().filter_map(|name| Some(((*name).to_owned(), Secret::new(environment.get(name)?))));
        let file = if self.file_is_of_another_provider() { &Default::default() } else { &self.config };
        ModelConfig {
            provider: own("STN_AI_PROVIDER").or_else(|| self.config.ai_provider.clone()),
            model: own("STN_AI_MODEL").or_else(|| file.ai_model.clone()),
            api_key: own("STN_AI_API_KEY")
                .map(Secret::new)
                .or_else(|| file.ai_api_key.as_ref().and_then(|written| self.expanded(written).ok())),
            base_url: own("STN_AI_BASE_URL").or_else(|| file.ai_base_url.clone()),
            keys: keys.collect(),
            ollama_host: own("OLLAMA_HOST"),
            map: self.config.models.clone(),
            windows: self.config.context.windows.clone(),
            ..ModelConfig::default()
        }
    }

    /// Whether `STN_AI_PROVIDER` names another provider than config.yaml: then the file's model, key and address are
    /// that other provider's and must not be used.
    pub(super) fn file_is_of_another_provider(&self) -> bool {
        match (self.environment.get("STN_AI_PROVIDER"), &self.config.ai_provider) {
            (Some(named), Some(written)) => named != written.trim(),
            (None, _) | (_, None) => false,
        }
    }

    pub(super) fn expanded(&self, written: &Secret) -> Expanded {
        let lookup = |name: &str| self.environment.get(name).map(str::to_owned);
        expand(written.expose(), &lookup).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::super::load::FolderFrom;
    use super::*;
    use station_core::file::config;

    fn models(yaml: &str, variables: &[(&str, &str)]) -> ModelConfig {
        let settings = Settings {
            folder: "/c".into(),
            folder_from: FolderFrom::Flag,
            file: "/c/config.yaml".into(),
            config: config::read(yaml, "config.yaml").0.unwrap(),
            problems: Vec::new(),
            environment: Environment::of(variables),
        };
        settings.models()
    }

    #[test]
    fn the_environment_wins_and_a_key_stays_with_its_provider() {
        let yaml = "ai_provider: gemini\nai_model: g\nai_api_key: ${KEY}\nai_base_url: http://g/v1\n";
        let plain = models(yaml, &[("KEY", "secret-of-gemini")]);
        assert_eq!(plain.model.as_deref(), Some("g"));
        assert_eq!(plain.api_key.as_ref().map(Secret::expose), Some("secret-of-gemini"));
        let other = models(yaml, &[("KEY", "secret-of-gemini"), ("STN_AI_PROVIDER", "openai")]);
        assert_eq!((other.model, other.api_key, other.base_url), (None, None, None));
        let same =
            models(yaml, &[("STN_AI_PROVIDER", "gemini"), ("STN_AI_MODEL", "h"), ("STN_AI_API_KEY", "k")]);
        assert_eq!(same.model.as_deref(), Some("h"));
        assert_eq!(same.api_key.as_ref().map(Secret::expose), Some("k"));
        assert_eq!(models(yaml, &[]).api_key, None, "`${{KEY}}` is not set");
        let own = models("", &[("OPENAI_API_KEY", "o"), ("OLLAMA_HOST", "box:1")]);
        assert_eq!(own.keys["OPENAI_API_KEY"].expose(), "o");
        assert_eq!(own.ollama_host.as_deref(), Some("box:1"));
    }
}
