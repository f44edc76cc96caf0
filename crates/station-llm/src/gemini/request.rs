//! The body of a request. **Invariant:** contents are written with the same bytes in every request of a conversation.

use super::model;
use crate::Request;
use crate::choose::Endpoint;
use crate::history::{Ids, in_words, object, parameters};
use serde_json::{Map, Value, json};
use station_core::run::Settings;
use station_core::{Image, Message, Part, Thinking, ToolSpec};

/// Longest id of a call: as with the others, since nothing is documented.
const ID_CHARS_MAX: usize = 64;

/// Google's own word in place of a signature that is not there, for calls that another model made.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// The body for `request` at `endpoint`.
pub(crate) fn body(endpoint: &Endpoint, request: &Request<'_>) -> Value {
    let name = endpoint.model.model.as_str();
    let held = request.output_schema.filter(|_| model::takes_schema(name, !request.tools.is_empty()));
    let words = request.output_schema.filter(|_| held.is_none()).map(in_words);
    let mut system: Vec<Value> = request.messages.iter().filter_map(system).collect();
    system.extend(words.map(|text| json!({"text": text})));

    let mut body = Map::new();
    let mut set = |key: &str, value: Value| drop(body.insert(key.to_owned(), value));
    if !system.is_empty() {
        set("systemInstruction", json!({"parts": system}));
    }
    if !request.tools.is_empty() {
        let tools: Vec<Value> = request.tools.iter().map(|granted| tool(&granted.spec)).collect();
        set("tools", json!([{"functionDeclarations": tools}]));
    }
    let config = config(name, request.settings, held);
    if !config.is_empty() {
        set("generationConfig", Value::Object(config));
    }
    set("contents", Value::Array(contents(endpoint, request.messages)));
    Value::Object(body)
}

fn system(message: &Message) -> Option<Value> {
    match message {
        Message::System { text } => Some(json!({"text": text})),
        Message::User { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
    }
}

fn tool(spec: &ToolSpec) -> Value {
    json!({"name": spec.name, "description": spec.description, "parametersJsonSchema": parameters(spec)})
}

fn config(name: &str, settings: &Settings, schema: Option<&Value>) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(key.to_owned(), value);
        }
    };
    set("temperature", settings.temperature.map(|it| json!(it)));
    set("topP", settings.top_p.map(|it| json!(it)));
    set("maxOutputTokens", settings.max_output_tokens.map(|it| json!(it)));
    set("stopSequences", (!settings.stop.is_empty()).then(|| json!(settings.stop)));
    set("thinkingConfig", settings.effort.and_then(|effort| model::thinking(name, effort)));
    set("responseMimeType", schema.map(|_| json!("application/json")));
    set("responseJsonSchema", schema.cloned());
    config
}

fn contents(endpoint: &Endpoint, messages: &[Message]) -> Vec<Value> {
    let is_third = model::is_third(&endpoint.model.model);
    let mut ids = Ids::of_at_most(ID_CHARS_MAX);
    let mut contents: Vec<Value> = Vec::new();
    let mut answers_calls = false;
    for message in messages {
        let is_result = matches!(message, Message::Tool { .. });
        match message {
            Message::System { .. } => continue,
            Message::User { text } => contents.push(json!({"role": "user", "parts": [{"text": text}]})),
            Message::Assistant { text, calls, thinking } => {
                let own = thinking.as_ref().filter(|thinking| thinking.is_of(&endpoint.model));
                let wire = ids.turn(calls);
                if text.is_empty() && calls.is_empty() {
                    continue;
                }
                let parts = said(Thinking::parts(own, text, calls), &wire, is_third);
                contents.push(json!({"role": "model", "parts": parts}));
            }
            Message::Tool { call, name, text, is_error, images } => {
                let parts = result(name, ids.result(call), text, *is_error, images, is_third);
                match contents.last_mut().filter(|_| answers_calls) {
                    // All results of one turn are one content.
                    Some(last) => {
                        last["parts"]
                            .as_array_mut()
                            .into_iter()
                            .for_each(|known| known.extend(parts.clone()));
                    }
                    None => contents.push(json!({"role": "user", "parts": parts})),
                }
            }
        }
        answers_calls = is_result;
    }
    contents
}

/// The parts of an answer. A signature stands on the part it came on.
fn said(parts: Vec<Part<'_>>, ids: &[String], is_third: bool) -> Vec<Value> {
    let (mut told, mut ids) = (Vec::new(), ids.iter());
    let (mut signature, mut has_called) = (None, false);
    for part in parts {
        match part {
            Part::Thought(block) if block["of"] == "call" => {
                signature = Some(block["thoughtSignature"].clone());
            }
            Part::Thought(block) => {
                told.push(json!({"text": "", "thoughtSignature": block["thoughtSignature"]}));
            }
            Part::Text(text) => told.push(json!({"text": text})),
            Part::Call(call) => {
                let mut function = json!({"name": call.name, "args": object(&call.arguments)});
                let id = ids.next();
                if is_third {
                    function["id"] = json!(id);
                }
                let mut part = json!({"functionCall": function});
                let needed = (is_third && !has_called).then(|| json!(NO_SIGNATURE));
                if let Some(signature) = signature.take().or(needed) {
                    part["thoughtSignature"] = signature;
                }
                has_called = true;
                told.push(part);
            }
        }
    }
    told
}

fn result(name: &str, id: &str, text: &str, is_error: bool, images: &[Image], is_third: bool) -> Vec<Value> {
    let word = if is_error { "error" } else { "output" };
    let mut response = json!({"name": name, "response": { word: text }});
    let seen = images.iter().map(|image| json!({"inlineData": {"mimeType": image.mime, "data": image.data}}));
    if is_third {
        response["id"] = json!(id);
        if !images.is_empty() {
            response["parts"] = seen.collect();
        }
        return vec![json!({"functionResponse": response})];
    }
    // Before, images stand beside the result.
    [json!({"functionResponse": response})].into_iter().chain(seen).collect()
}
