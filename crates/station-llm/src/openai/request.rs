//! The body of a request. **Invariant:** it is a function of the conversation, with no clock and no chance in it, so
//! that its beginning is the same bytes from turn to turn and the provider's prompt cache hits.

use super::reasons;
use crate::Request;
use crate::choose::Endpoint;
use crate::history::{Ids, parameters, told, without_images};
use crate::strict;
use serde_json::{Map, Value, json};
use station_core::run::Settings;
use station_core::{Message, ToolSpec};

/// Longest id of a call that OpenAI takes here.
const ID_CHARS_MAX: usize = 40;

/// The body for `request` at `endpoint`.
pub(crate) fn body(endpoint: &Endpoint, request: &Request<'_>) -> Value {
    let mut ids = Ids::of_at_most(ID_CHARS_MAX);
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(endpoint.model.model));
    body.insert("messages".to_owned(), request.messages.iter().map(|it| message(it, &mut ids)).collect());
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|granted| tool(&granted.spec)).collect();
        body.insert("tools".to_owned(), tools);
    }
    settings(&mut body, request.settings, endpoint);
    if let Some(schema) = request.output_schema {
        body.insert("response_format".to_owned(), response_format(schema));
    }
    body.insert("stream".to_owned(), json!(true));
    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    Value::Object(body)
}

fn message(message: &Message, ids: &mut Ids) -> Value {
    match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Assistant { text, calls, .. } if calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        Message::Assistant { text, calls, .. } => {
            let calls: Vec<Value> = calls
                .iter()
                .zip(ids.turn(calls))
                .map(|(call, id)| {
                    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                    let function = json!({"name": call.name, "arguments": arguments});
                    json!({"id": id, "type": "function", "function": function})
                })
                .collect();
            let content = if text.is_empty() { Value::Null } else { json!(text) };
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
        Message::Tool { call, text, is_error, images, .. } => {
            // Results are text alone in this dialect; `responses` has images.
            let content = without_images(told(text, *is_error), images);
            json!({"role": "tool", "tool_call_id": ids.result(call), "content": content})
        }
    }
}

fn tool(spec: &ToolSpec) -> Value {
    json!({"type": "function", "function": {
        "name": spec.name, "description": spec.description, "parameters": parameters(spec),
    }})
}

fn settings(body: &mut Map<String, Value>, settings: &Settings, endpoint: &Endpoint) {
    // OpenAI's thinking models refuse to be told how to sample.
    let samples = !(endpoint.native && reasons(&endpoint.model.model));
    if let Some(temperature) = settings.temperature.filter(|_| samples) {
        body.insert("temperature".to_owned(), json!(temperature));
    }
    if let Some(top_p) = settings.top_p.filter(|_| samples) {
        body.insert("top_p".to_owned(), json!(top_p));
    }
    if let Some(limit) = settings.max_output_tokens {
        // Newer models of OpenAI refuse the old word; compatible servers often know only that.
        let word = if endpoint.native { "max_completion_tokens" } else { "max_tokens" };
        body.insert(word.to_owned(), json!(limit));
    }
    if !settings.stop.is_empty() {
        body.insert("stop".to_owned(), json!(settings.stop));
    }
    if let Some(effort) = settings.effort.filter(|_| !endpoint.native || !samples) {
        body.insert("reasoning_effort".to_owned(), json!(effort.word()));
    }
}

fn response_format(schema: &Value) -> Value {
    json!({"type": "json_schema", "json_schema": {
        "name": "answer", "schema": schema, "strict": strict::takes(schema),
    }})
}
