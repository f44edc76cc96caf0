//! The languages that providers speak, behind one face: where a request goes, how it is written, and how its answer is read.
//!
//! To add one: a folder with `request` and `answer`, a variant here, a row in `choose::provider`.

use crate::choose::Endpoint;
use crate::failure::Failed;
use crate::lines::Lines;
use crate::sse::{Reader, TooLong};
use crate::{Request, anthropic, gemini, ollama, openai, responses};
use serde_json::Value;
use station_core::Answer;

/// A provider's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// OpenAI's chat, which most servers speak.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// Ollama's own.
    Ollama,
}

impl Dialect {
    /// Its name, for people.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Chat => "OpenAI chat",
            Self::Responses => "OpenAI Responses",
            Self::Anthropic => "Anthropic Messages",
            Self::Gemini => "Gemini",
            Self::Ollama => "Ollama",
        }
    }

    /// The address of a request at the provider's `base`.
    pub(crate) fn url(self, base: &str, model: &str) -> String {
        match self {
            Self::Chat => format!("{base}/chat/completions"),
            Self::Responses => format!("{base}/responses"),
            Self::Anthropic => format!("{base}/messages"),
            Self::Gemini => {
                let model = path(model.strip_prefix("models/").unwrap_or(model));
                format!("{base}/models/{model}:streamGenerateContent?alt=sse")
            }
            Self::Ollama => format!("{base}/api/chat"),
        }
    }

    /// The header that holds the key, and what stands before the key in it.
    pub(crate) fn key_header(self) -> (&'static str, &'static str) {
        match self {
            Self::Chat | Self::Responses | Self::Ollama => ("authorization", "Bearer "),
            Self::Anthropic => ("x-api-key", ""),
            Self::Gemini => ("x-goog-api-key", ""),
        }
    }

    /// Headers that each request has.
    pub(crate) fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Anthropic => &[("anthropic-version", "2023-06-01")],
            Self::Chat | Self::Responses | Self::Gemini | Self::Ollama => &[],
        }
    }

    /// The body for `request`.
    pub(crate) fn body(self, endpoint: &Endpoint, request: &Request<'_>) -> Value {
        match self {
            Self::Chat => openai::body(endpoint, request),
            Self::Responses => responses::body(endpoint, request),
            Self::Anthropic => anthropic::body(endpoint, request),
            Self::Gemini => gemini::body(endpoint, request),
            Self::Ollama => ollama::body(endpoint, request),
        }
    }

    /// How its stream is cut into events.
    pub(crate) fn frames(self) -> Frames {
        match self {
            Self::Ollama => Frames::Lines(Lines::default()),
            Self::Chat | Self::Responses | Self::Anthropic | Self::Gemini => {
                Frames::Events(Reader::default())
            }
        }
    }

    /// The reading of an answer, of which nothing came yet.
    pub(crate) fn reading(self) -> Reading {
        match self {
            Self::Chat => Reading::Chat(openai::Reading::default()),
            Self::Responses => Reading::Responses(responses::Reading::default()),
            Self::Anthropic => Reading::Anthropic(anthropic::Reading::default()),
            Self::Gemini => Reading::Gemini(gemini::Reading::default()),
            Self::Ollama => Reading::Ollama(ollama::Reading::default()),
        }
    }
}

/// `text` as a part of a path: a model's name must not end it or begin a query.
fn path(text: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte);
    text.bytes()
        .map(|byte| if fits(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A stream's bytes, cut into events.
#[derive(Debug)]
pub(crate) enum Frames {
    /// Server-sent events.
    Events(Reader),
    /// One JSON text a line.
    Lines(Lines),
}

impl Frames {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        match self {
            Self::Events(reader) => reader.push(bytes),
            Self::Lines(lines) => lines.push(bytes),
        }
    }

    pub(crate) fn finish(&mut self) -> Option<String> {
        match self {
            Self::Events(reader) => reader.finish(),
            Self::Lines(lines) => lines.finish(),
        }
    }
}

/// An answer in the making.
#[derive(Debug)]
pub(crate) enum Reading {
    Chat(openai::Reading),
    Responses(responses::Reading),
    Anthropic(anthropic::Reading),
    Gemini(gemini::Reading),
    Ollama(ollama::Reading),
}

impl Reading {
    /// Takes the data of one event; returns the text it adds.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, data: &str) -> Result<Option<String>, Failed> {
        if data.trim().is_empty() {
            return Ok(None);
        }
        match self {
            Self::Chat(reading) => reading.take(endpoint, data),
            // Some gateways end every dialect's stream as chat's ends.
            _ if data.trim() == "[DONE]" => Ok(None),
            Self::Responses(reading) => reading.take(endpoint, data),
            Self::Anthropic(reading) => reading.take(endpoint, data),
            Self::Gemini(reading) => reading.take(endpoint, data),
            Self::Ollama(reading) => reading.take(endpoint, data),
        }
    }

    /// Whether the answer is whole: nothing but usage can follow.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Chat(reading) => reading.is_whole(),
            Self::Responses(reading) => reading.is_whole(),
            Self::Anthropic(reading) => reading.is_whole(),
            Self::Gemini(reading) => reading.is_whole(),
            Self::Ollama(reading) => reading.is_whole(),
        }
    }

    /// Whether nothing follows at all. Gemini has no word for it: its stream ends.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Chat(reading) => reading.is_done(),
            Self::Responses(reading) => reading.is_whole(),
            Self::Anthropic(reading) => reading.is_done(),
            Self::Gemini(_) => false,
            Self::Ollama(reading) => reading.is_whole(),
        }
    }

    /// The answer, if what came is one.
    pub(crate) fn finish(self, endpoint: &Endpoint) -> Result<Answer, Failed> {
        match self {
            Self::Chat(reading) => reading.finish(endpoint),
            Self::Responses(reading) => reading.finish(endpoint),
            Self::Anthropic(reading) => reading.finish(endpoint),
            Self::Gemini(reading) => reading.finish(endpoint),
            Self::Ollama(reading) => reading.finish(endpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_stays_within_its_address() {
        let url = |model: &str| Dialect::Gemini.url("https://g/v1beta", model);
        assert_eq!(
            url("gemini-2.5-pro"),
            "https://g/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
        );
        assert_eq!(url("models/g"), "https://g/v1beta/models/g:streamGenerateContent?alt=sse");
        assert_eq!(
            url("g?key=1#x:y"),
            "https://g/v1beta/models/g%3Fkey%3D1%23x%3Ay:streamGenerateContent?alt=sse"
        );
    }
}
