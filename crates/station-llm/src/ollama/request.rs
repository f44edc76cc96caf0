//! The body of a request. **Invariant:** messages are written with the same bytes in every request of a conversation.

use crate::Request;
use crate::choose::Endpoint;
use crate::history::{in_words, object, parameters, told, without_images};
use serde_json::{Map, Value, json};
use station_core::run::Settings;
use station_core::{Message, Thinking, ToolSpec};

/// The body for `request` at `endpoint`.
pub(crate) fn body(endpoint: &Endpoint, request: &Request<'_>) -> Value {
    // Held to a schema, a model cannot write a call any more.
    let held = request.output_schema.filter(|_| request.tools.is_empty());
    let words = request.output_schema.filter(|_| held.is_none()).map(in_words);
    let mut messages: Vec<Value> = request.messages.iter().filter_map(|it| message(endpoint, it)).collect();
    if let Some(words) = words {
        let at = usize::from(matches!(request.messages.first(), Some(Message::System { .. })));
        messages.insert(at, json!({"role": "system", "content": words}));
    }
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| drop(body.insert(key.to_owned(), value));
    set("model", json!(endpoint.model.model));
    if !request.tools.is_empty() {
        set("tools", request.tools.iter().map(|granted| tool(&granted.spec)).collect());
    }
    if let Some(schema) = held {
        set("format", schema.clone());
    }
    if let Some(effort) = request.settings.effort {
        // Only this family knows degrees.
        let has_degrees = endpoint.model.model.starts_with("gpt-oss");
        set("think", if has_degrees { json!(effort.word()) } else { json!(true) });
    }
    set("options", Value::Object(options(endpoint, request.settings)));
    set("stream", json!(true));
    set("messages", Value::Array(messages));
    Value::Object(body)
}

fn options(endpoint: &Endpoint, settings: &Settings) -> Map<String, Value> {
    let mut options = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(key.to_owned(), value);
        }
    };
    set("num_ctx", endpoint.window.map(|it| json!(it)));
    set("temperature", settings.temperature.map(|it| json!(it)));
    set("top_p", settings.top_p.map(|it| json!(it)));
    set("num_predict", settings.max_output_tokens.map(|it| json!(it)));
    set("stop", (!settings.stop.is_empty()).then(|| json!(settings.stop)));
    options
}

fn message(endpoint: &Endpoint, message: &Message) -> Option<Value> {
    Some(match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Assistant { text, calls, thinking } => {
            if text.is_empty() && calls.is_empty() {
                return None;
            }
            let mut told = json!({"role": "assistant", "content": text});
            let own = thinking.as_ref().filter(|thinking| thinking.is_of(&endpoint.model));
            if let Some(thoughts) = own.map(thoughts).filter(|thoughts| !thoughts.is_empty()) {
                told["thinking"] = json!(thoughts);
            }
            if !calls.is_empty() {
                told["tool_calls"] = calls
                    .iter()
                    .map(
                        |call| json!({"function": {"name": call.name, "arguments": object(&call.arguments)}}),
                    )
                    .collect();
            }
            told
        }
        Message::Tool { name, text, is_error, images, .. } => {
            let text = told(text, *is_error);
            if endpoint.sees_images && !images.is_empty() {
                let images: Vec<&str> = images.iter().map(|image| image.data.as_str()).collect();
                json!({"role": "tool", "tool_name": name, "content": text, "images": images})
            } else {
                json!({"role": "tool", "tool_name": name, "content": without_images(text, images)})
            }
        }
    })
}

fn thoughts(thinking: &Thinking) -> String {
    thinking.thoughts.iter().filter_map(|thought| thought.block["thinking"].as_str()).collect()
}

fn tool(spec: &ToolSpec) -> Value {
    json!({"type": "function", "function": {
        "name": spec.name, "description": spec.description, "parameters": parameters(spec),
    }})
}
