//! How much a model reads, and how much a conversation is.
//!
//! Nobody but a provider counts tokens as the provider does. Four ASCII characters are taken as one token, and any other
//! character as one: right within a fifth for prose, too few for dense JSON and hashes. What the provider said the last
//! request had corrects it upwards, and a refusal for its length is answered by a harder compaction.

use crate::run::Prepared;
use crate::{Image, Message, ModelRef, Thinking, tool};
use std::collections::BTreeMap;

/// Tokens of families of models, by the beginning of their names: of several that fit, the longest holds.
const FAMILIES: &[(&str, u64)] = &[
    ("gpt-5", 400_000),
    ("gpt-4.1", 1_047_576),
    ("gpt-4o", 128_000),
    ("gpt-4-turbo", 128_000),
    ("gpt-4", 8_192),
    ("gpt-3.5", 16_385),
    ("chatgpt-4o", 128_000),
    ("o1", 200_000),
    ("o1-mini", 128_000),
    ("o1-preview", 128_000),
    ("o3", 200_000),
    ("o4", 200_000),
    ("claude", 200_000),
    ("gemini", 1_048_576),
    ("mistral-large", 128_000),
    ("deepseek", 64_000),
    ("llama-3.1", 128_000),
    ("llama-3.3", 128_000),
    ("qwen2.5", 32_768),
];

/// Of a model that nobody knows: what almost all of them have by now.
const UNKNOWN: u64 = 32_000;

/// Of a model that Ollama serves: it is started with a small window and drops the beginning of what is longer, without a
/// word.
const OLLAMA: u64 = 8_192;

/// What a message takes beside its words.
const PER_MESSAGE: u64 = 4;

/// Characters of ASCII to a token.
const CHARS_PER_TOKEN: u64 = 4;

/// Tokens that `model` reads at most. `configured` maps names as people write them (`gpt-4o`, `ollama/llama3`, or a glob)
/// to tokens. `None` for Station's own models, which read everything.
#[must_use]
pub fn window(model: &ModelRef, configured: &BTreeMap<String, u64>) -> Option<u64> {
    let full = model.to_string();
    let names = [full.as_str(), model.model.as_str()];
    let exact = names.iter().find_map(|name| configured.get(*name));
    let by_glob = || {
        let fitting =
            configured.iter().filter(|(glob, _)| names.iter().any(|name| tool::matches(glob, name)));
        fitting.max_by_key(|(glob, _)| glob.len()).map(|(_, tokens)| tokens)
    };
    if let Some(tokens) = exact.or_else(by_glob) {
        return Some(*tokens);
    }
    match model.provider.as_str() {
        "offline" | "script" => None,
        "ollama" => Some(OLLAMA),
        _ => {
            // At a gateway a model's name has its maker's before it: `meta-llama/llama-3.1-70b`.
            let name = model.model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
            let family = FAMILIES.iter().filter(|(family, _)| name.starts_with(family));
            Some(family.max_by_key(|(family, _)| family.len()).map_or(UNKNOWN, |(_, tokens)| *tokens))
        }
    }
}

/// Tokens of `text`, about.
pub(super) fn of_text(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count() as u64;
    let other = text.chars().filter(|c| !c.is_ascii()).count() as u64;
    ascii.div_ceil(CHARS_PER_TOKEN) + other
}

/// Tokens of `messages`, about.
pub(super) fn of_messages(messages: &[Message]) -> u64 {
    let of = |message: &Message| match message {
        Message::System { text } | Message::User { text } => of_text(text),
        Message::Assistant { text, calls, thinking } => {
            let calls = calls.iter().map(|call| of_text(&call.name) + of_text(&call.arguments) + PER_MESSAGE);
            of_text(text) + calls.sum::<u64>() + thinking.as_ref().map_or(0, of_thinking)
        }
        Message::Tool { text, images, .. } => of_text(text) + images.len() as u64 * Image::TOKENS,
    };
    messages.iter().map(|message| of(message) + PER_MESSAGE).sum()
}

/// Tokens of what was thought: sealed or not, it is read again with each request.
fn of_thinking(thinking: &Thinking) -> u64 {
    thinking.thoughts.iter().map(|thought| of_text(&thought.block.to_string())).sum()
}

/// Tokens of what goes with every request beside the conversation: tools and output schema.
pub(super) fn of_prepared(prepared: &Prepared) -> u64 {
    let tools = prepared.tools.iter().map(|tool| {
        let spec = &tool.spec;
        of_text(&spec.name)
            + of_text(&spec.description)
            + of_text(&spec.input_schema.to_string())
            + PER_MESSAGE
    });
    tools.sum::<u64>() + prepared.output_schema.as_ref().map_or(0, |schema| of_text(&schema.to_string()))
}
