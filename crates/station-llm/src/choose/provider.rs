//! The table of providers: their words, the dialect each speaks, where it is and how its key is called.

use crate::dialect::Dialect;
use station_core::ModelRef;

/// The provider word of the built-in planner.
pub(crate) const OFFLINE: &str = "offline";
/// The provider word of the scripted model.
pub(crate) const SCRIPT: &str = "script";
pub(super) const OPENAI: &str = "openai";
pub(super) const RESPONSES: &str = "openai-responses";

/// Where OpenAI is when nothing else is configured.
pub(super) const OPENAI_URL: &str = "https://api.openai.com/v1";
/// Where Ollama listens when `OLLAMA_HOST` does not say.
const OLLAMA_URL: &str = "http://127.0.0.1:11434";
const OLLAMA_PORT: &str = "11434";

/// A provider that a name can name.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its word in `openai/gpt-4o`.
    pub(crate) word: &'static str,
    /// Another word for it.
    alias: Option<&'static str>,
    /// The beginnings of its models' names.
    prefixes: &'static [&'static str],
    /// The variables its key is looked for in.
    pub(crate) keys: &'static [&'static str],
    /// A model that every account has, to see whether a key is good; `None` where no name is sure.
    pub(crate) usual: Option<&'static str>,
    /// Where it is and what it speaks; `None` for what is in this process.
    pub(crate) place: Option<Place>,
}

/// Where a provider is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) dialect: Dialect,
    pub(crate) base: &'static str,
}

const fn place(dialect: Dialect, base: &'static str) -> Option<Place> {
    Some(Place { dialect, base })
}

pub(crate) const PROVIDERS: &[Provider] = &[
    Provider {
        word: OPENAI,
        alias: None,
        prefixes: &["gpt-", "chatgpt", "o1", "o3", "o4"],
        keys: &["OPENAI_API_KEY"],
        usual: Some("gpt-4o-mini"),
        place: place(Dialect::Chat, OPENAI_URL),
    },
    Provider {
        word: RESPONSES,
        alias: None,
        prefixes: &[],
        keys: &["OPENAI_API_KEY"],
        // The same account as that of `openai`.
        usual: None,
        place: place(Dialect::Responses, OPENAI_URL),
    },
    Provider {
        word: "anthropic",
        alias: None,
        prefixes: &["claude"],
        keys: &["ANTHROPIC_API_KEY"],
        usual: Some("claude-haiku-4-5"),
        place: place(Dialect::Anthropic, "https://api.anthropic.com/v1"),
    },
    Provider {
        word: "gemini",
        alias: Some("google"),
        prefixes: &["gemini"],
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        usual: Some("gemini-2.5-flash"),
        place: place(Dialect::Gemini, "https://generativelanguage.googleapis.com/v1beta"),
    },
    Provider {
        word: "ollama",
        alias: None,
        prefixes: &[],
        keys: &[],
        usual: None,
        place: place(Dialect::Ollama, OLLAMA_URL),
    },
    Provider { word: OFFLINE, alias: None, prefixes: &[], keys: &[], usual: None, place: None },
    Provider { word: SCRIPT, alias: None, prefixes: &[], keys: &[], usual: None, place: None },
];

/// The model `model` of `provider`.
pub(crate) fn at(provider: &str, model: &str) -> ModelRef {
    ModelRef { provider: provider.to_owned(), model: model.to_owned() }
}

/// The provider of this word.
pub(super) fn named(word: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.word == word)
}

/// The word by which a provider goes: that of the table for another word for it, and any other as it is.
pub(super) fn known_as(word: &str) -> &str {
    let known = PROVIDERS.iter().find(|provider| provider.alias == Some(word));
    known.map_or(word, |provider| provider.word)
}

/// The provider that a model's bare name tells.
pub(super) fn told_by_prefix(model: &str) -> Option<&'static str> {
    let tells = |provider: &&Provider| provider.prefixes.iter().any(|prefix| model.starts_with(prefix));
    let teller = PROVIDERS.iter().find(tells);
    teller.map(|provider| provider.word).or_else(|| (model == OFFLINE).then_some(OFFLINE))
}

/// The words that people can write: "anthropic, gemini, …".
pub(super) fn words() -> String {
    known_words().collect::<Vec<_>>().join(", ")
}

/// The same, one by one.
pub(super) fn known_words() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().map(|provider| provider.word).filter(|word| *word != SCRIPT)
}

/// What an address that people wrote for a provider of `dialect` means: what is spoken there, and the address that
/// requests are put behind. People write it with and without the version, and copy whole addresses of requests.
pub(super) fn read_base(dialect: Dialect, written: &str) -> (Dialect, String) {
    let without = |ending: &str| written.strip_suffix(ending).unwrap_or(written).trim_end_matches('/');
    match dialect {
        Dialect::Chat => (dialect, without("/chat/completions").to_owned()),
        Dialect::Responses => (dialect, without("/responses").to_owned()),
        Dialect::Anthropic => (dialect, versioned(without("/messages"), &["v1"])),
        // The compatible addresses of both are told by their ends.
        Dialect::Gemini if without("/chat/completions").ends_with("/openai") => {
            (Dialect::Chat, without("/chat/completions").to_owned())
        }
        Dialect::Gemini => (dialect, versioned(written, &["v1beta", "v1"])),
        Dialect::Ollama if without("/chat/completions").ends_with("/v1") => {
            (Dialect::Chat, without("/chat/completions").to_owned())
        }
        Dialect::Ollama => {
            let base = without("/api/chat");
            (dialect, base.strip_suffix("/api").unwrap_or(base).to_owned())
        }
    }
}

fn versioned(base: &str, versions: &[&str]) -> String {
    let last = base.rsplit('/').next().unwrap_or_default();
    if versions.contains(&last) { base.to_owned() } else { format!("{base}/{}", versions[0]) }
}

/// `OLLAMA_HOST` is an address, a host, or a host and a port; 0.0.0.0 is where it listens, not where it is asked.
pub(super) fn ollama_base(host: Option<&str>) -> String {
    let host = host.map(str::trim).filter(|host| !host.is_empty()).unwrap_or(OLLAMA_URL);
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", host));
    let rest = rest.trim_end_matches('/').replace("0.0.0.0", "127.0.0.1");
    let port_known = scheme == "https" || rest.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let port = if port_known { String::new() } else { format!(":{OLLAMA_PORT}") };
    format!("{scheme}://{rest}{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_ollama_listens() {
        for (host, expected) in [
            (None, "http://127.0.0.1:11434"),
            (Some(""), "http://127.0.0.1:11434"),
            (Some("0.0.0.0"), "http://127.0.0.1:11434"),
            (Some("box:1234"), "http://box:1234"),
            (Some("http://box/"), "http://box:11434"),
            (Some("https://ollama.example.com"), "https://ollama.example.com"),
            (Some("[::1]"), "http://[::1]:11434"),
        ] {
            assert_eq!(ollama_base(host), expected, "{host:?}");
        }
    }

    #[test]
    fn addresses_as_people_write_them() {
        use Dialect::{Anthropic, Chat, Gemini, Ollama, Responses};
        for (dialect, written, expected) in [
            (Chat, "http://gw/v1", (Chat, "http://gw/v1")),
            (Chat, "http://gw/v1/chat/completions", (Chat, "http://gw/v1")),
            (Responses, "http://gw/v1/responses", (Responses, "http://gw/v1")),
            (Anthropic, "http://gw", (Anthropic, "http://gw/v1")),
            (Anthropic, "http://gw/v1", (Anthropic, "http://gw/v1")),
            (Anthropic, "http://gw/v1/messages", (Anthropic, "http://gw/v1")),
            (Gemini, "http://gw", (Gemini, "http://gw/v1beta")),
            (Gemini, "http://gw/v1", (Gemini, "http://gw/v1")),
            (Gemini, "http://gw/v1beta/openai", (Chat, "http://gw/v1beta/openai")),
            (Ollama, "http://box:11434", (Ollama, "http://box:11434")),
            (Ollama, "http://box:11434/api/chat", (Ollama, "http://box:11434")),
            (Ollama, "http://box:11434/api", (Ollama, "http://box:11434")),
            (Ollama, "http://box:11434/v1", (Chat, "http://box:11434/v1")),
        ] {
            let (spoken, base) = read_base(dialect, written);
            assert_eq!((spoken, base.as_str()), expected, "{dialect:?} {written}");
        }
    }
}
