//! The body of a request.
//!
//! **Invariant:** without its marks for the cache, a message is written with the same bytes in every request. The marks
//! move on with the conversation; Anthropic compares what is before them, not the marks.

use super::model::{self, Thinks};
use crate::Request;
use crate::choose::Endpoint;
use crate::history::{Ids, in_words, object, parameters};
use crate::strict;
use serde_json::{Map, Value, json};
use station_core::run::Settings;
use station_core::{Message, Part, Thinking, ToolSpec};

/// Longest id of a call. Nothing is documented but the characters; other providers' limit is kept.
const ID_CHARS_MAX: usize = 64;
/// User messages that are marked from the end: the last, so that the next request reads all before it, and the one
/// before, which the cache has. With the mark on what is fixed these are three of the four that are allowed.
const MARKED: usize = 2;

/// The body for `request` at `endpoint`.
pub(crate) fn body(endpoint: &Endpoint, request: &Request<'_>) -> Value {
    let name = endpoint.model.model.as_str();
    let mut messages = messages(endpoint, request.messages);
    let thinks = model::thinks(name, request.settings)
        .filter(|thinks| !matches!(thinks, Thinks::Budget(_)) || may_think(&messages));
    let held = request.output_schema.filter(|schema| model::takes_schema(name) && strict::takes(schema));
    let words = request.output_schema.filter(|_| held.is_none()).map(in_words);
    let mut system: Vec<Value> = request.messages.iter().filter_map(system).collect();
    system.extend(words.map(|words| text_block(&words)));
    let mut tools: Vec<Value> = request.tools.iter().map(|granted| tool(&granted.spec)).collect();
    system.last_mut().or(tools.last_mut()).into_iter().for_each(mark);
    for message in messages.iter_mut().rev().filter(|message| message["role"] == "user").take(MARKED) {
        let last = message["content"].as_array_mut().and_then(|blocks| blocks.last_mut());
        last.into_iter().for_each(mark);
    }

    let mut body = Map::new();
    let mut set = |key: &str, value: Value| drop(body.insert(key.to_owned(), value));
    set("model", json!(name));
    let most = request.settings.max_output_tokens.unwrap_or_else(|| model::output_tokens(name, thinks));
    set("max_tokens", json!(most));
    for (key, value) in settings(name, request.settings, thinks) {
        set(key, value);
    }
    if let Some(config) = output_config(thinks, held) {
        set("output_config", config);
    }
    if !tools.is_empty() {
        set("tools", Value::Array(tools));
    }
    if !system.is_empty() {
        set("system", Value::Array(system));
    }
    set("stream", json!(true));
    set("messages", Value::Array(messages));
    Value::Object(body)
}

fn system(message: &Message) -> Option<Value> {
    match message {
        Message::System { text } => (!text.trim().is_empty()).then(|| text_block(text)),
        Message::User { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
    }
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn mark(block: &mut Value) {
    if let Value::Object(block) = block {
        block.insert("cache_control".to_owned(), json!({"type": "ephemeral"}));
    }
}

fn tool(spec: &ToolSpec) -> Value {
    json!({"name": spec.name, "description": spec.description, "input_schema": parameters(spec)})
}

fn settings(name: &str, settings: &Settings, thinks: Option<Thinks>) -> Vec<(&'static str, Value)> {
    let mut set = Vec::new();
    let is_thinking = match thinks {
        Some(Thinks::Budget(tokens)) => {
            set.push(("thinking", json!({"type": "enabled", "budget_tokens": tokens})));
            true
        }
        Some(Thinks::Adaptive(_)) => {
            set.push(("thinking", json!({"type": "adaptive"})));
            true
        }
        Some(Thinks::Never) | None => false,
    };
    // A model that thinks refuses to be told how to sample, and the newest always do; of the two words one is taken.
    if !is_thinking && model::samples(name) {
        let temperature = settings.temperature.map(|it| ("temperature", json!(it.min(1.0))));
        set.extend(temperature.or_else(|| settings.top_p.map(|it| ("top_p", json!(it)))));
    }
    if !settings.stop.is_empty() {
        set.push(("stop_sequences", json!(settings.stop)));
    }
    set
}

fn output_config(thinks: Option<Thinks>, schema: Option<&Value>) -> Option<Value> {
    let mut config = Map::new();
    if let Some(Thinks::Adaptive(effort)) = thinks {
        config.insert("effort".to_owned(), json!(effort.word()));
    }
    if let Some(schema) = schema {
        config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

/// The conversation. Messages of one side that follow one another are one, since results and what is said after them
/// belong into one.
fn messages(endpoint: &Endpoint, messages: &[Message]) -> Vec<Value> {
    let mut ids = Ids::of_at_most(ID_CHARS_MAX);
    let mut told: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message {
            Message::System { .. } => continue,
            Message::User { text } => ("user", Vec::from_iter(spoken(text))),
            Message::Assistant { text, calls, thinking } => {
                let own = thinking.as_ref().filter(|thinking| thinking.is_of(&endpoint.model));
                let mut wire = ids.turn(calls).into_iter();
                // A thought alone is no message.
                if text.trim().is_empty() && calls.is_empty() {
                    continue;
                }
                let parts = Thinking::parts(own, text, calls).into_iter();
                let block = |part: Part<'_>| match part {
                    Part::Thought(block) => Some(block.clone()),
                    Part::Text(text) => spoken(text),
                    Part::Call(call) => {
                        Some(json!({"type": "tool_use", "id": wire.next().unwrap_or_default(),
                        "name": call.name, "input": object(&call.arguments)}))
                    }
                };
                ("assistant", parts.filter_map(block).collect())
            }
            Message::Tool { call, text, is_error, images, .. } => {
                let seen = images.iter().map(|image| {
                    json!({"type": "image",
                        "source": {"type": "base64", "media_type": image.mime, "data": image.data}})
                });
                let content: Vec<Value> = spoken(text).into_iter().chain(seen).collect();
                let mut result =
                    json!({"type": "tool_result", "tool_use_id": ids.result(call), "content": content});
                if *is_error {
                    result["is_error"] = json!(true);
                }
                ("user", vec![result])
            }
        };
        match told.last_mut() {
            Some((last, known)) if *last == role => known.extend(blocks),
            _ => told.push((role, blocks)),
        }
    }
    let whole = told.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    whole.map(|(role, blocks)| json!({"role": role, "content": blocks})).collect()
}

/// A block of text; blank ones are refused.
fn spoken(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| text_block(text))
}

/// Whether thinking within a budget can be on: not in the middle of a turn that began without, as it does where another
/// model made the calls.
fn may_think(messages: &[Value]) -> bool {
    let last = messages.iter().rev().find(|message| message["role"] == "assistant");
    let first = last.map(|message| &message["content"][0]["type"]);
    first.is_none_or(|kind| kind == "thinking" || kind == "redacted_thinking")
}
