//! The body of a request. **Invariant:** items of a conversation are written with the same bytes in every request.

use crate::Request;
use crate::choose::Endpoint;
use crate::history::{Ids, parameters, told, without_images};
use crate::openai::{reasons, sees};
use crate::strict;
use serde_json::{Map, Value, json};
use station_core::run::Settings;
use station_core::{Image, Message, Part, Thinking, ToolSpec};

/// Longest id of a call that OpenAI takes here.
const ID_CHARS_MAX: usize = 64;

/// The body for `request` at `endpoint`.
pub(crate) fn body(endpoint: &Endpoint, request: &Request<'_>) -> Value {
    let model = endpoint.model.model.as_str();
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| drop(body.insert(key.to_owned(), value));
    set("model", json!(model));
    let system: Vec<&str> = request.messages.iter().filter_map(system).collect();
    if !system.is_empty() {
        set("instructions", json!(system.join("\n\n")));
    }
    if !request.tools.is_empty() {
        set("tools", request.tools.iter().map(|granted| tool(&granted.spec)).collect());
    }
    for (key, value) in settings(model, request.settings) {
        set(key, value);
    }
    if let Some(schema) = request.output_schema {
        let strict = strict::takes(schema);
        set(
            "text",
            json!({"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": strict}}),
        );
    }
    set("store", json!(false));
    set("stream", json!(true));
    set("input", input(endpoint, request.messages));
    Value::Object(body)
}

fn system(message: &Message) -> Option<&str> {
    match message {
        Message::System { text } => Some(text),
        Message::User { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
    }
}

/// `stop` has no word in this dialect.
fn settings(model: &str, settings: &Settings) -> Vec<(&'static str, Value)> {
    let mut set = Vec::new();
    if reasons(model) {
        set.push(("include", json!(["reasoning.encrypted_content"])));
        set.extend(settings.effort.map(|effort| ("reasoning", json!({"effort": effort.word()}))));
    } else {
        // Thinking models refuse to be told how to sample.
        set.extend(settings.temperature.map(|temperature| ("temperature", json!(temperature))));
        set.extend(settings.top_p.map(|top_p| ("top_p", json!(top_p))));
    }
    set.extend(settings.max_output_tokens.map(|limit| ("max_output_tokens", json!(limit))));
    set
}

fn tool(spec: &ToolSpec) -> Value {
    json!({"type": "function", "name": spec.name, "description": spec.description,
        "parameters": parameters(spec), "strict": false})
}

fn input(endpoint: &Endpoint, messages: &[Message]) -> Value {
    let mut ids = Ids::of_at_most(ID_CHARS_MAX);
    let mut items = Vec::new();
    for message in messages {
        match message {
            Message::System { .. } => {}
            Message::User { text } => items.push(json!({"role": "user", "content": text})),
            Message::Assistant { text, calls, thinking } => {
                let own = thinking.as_ref().filter(|thinking| thinking.is_of(&endpoint.model));
                let mut wire = ids.turn(calls).into_iter();
                // A thought alone, without what it led to, is refused.
                if text.is_empty() && calls.is_empty() {
                    continue;
                }
                items.extend(Thinking::parts(own, text, calls).into_iter().map(|part| match part {
                    Part::Thought(block) => block.clone(),
                    Part::Text(text) => {
                        json!({"role": "assistant", "content": [{"type": "output_text", "text": text}]})
                    }
                    Part::Call(call) => {
                        let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                        json!({"type": "function_call", "call_id": wire.next().unwrap_or_default(),
                            "name": call.name, "arguments": arguments})
                    }
                }));
            }
            Message::Tool { call, text, is_error, images, .. } => {
                let output = output(endpoint, told(text, *is_error), images);
                items.push(
                    json!({"type": "function_call_output", "call_id": ids.result(call), "output": output}),
                );
            }
        }
    }
    Value::Array(items)
}

fn output(endpoint: &Endpoint, text: String, images: &[Image]) -> Value {
    if images.is_empty() || !sees(&endpoint.model.model) {
        return json!(without_images(text, images));
    }
    let seen = images.iter().map(|image| {
        json!({"type": "input_image", "image_url": format!("data:{};base64,{}", image.mime, image.data)})
    });
    [json!({"type": "input_text", "text": text})].into_iter().chain(seen).collect()
}
