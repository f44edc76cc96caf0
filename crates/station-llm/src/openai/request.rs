//! The body of a request. **Invariant:** it is a function of the conversation, with no clock and no chance in it, so
//! that its beginning is the same bytes from turn to turn and the provider's prompt cache hits.

use crate::Request;
use crate::choose::Endpoint;
use serde_json::{Map, Value, json};
use station_core::run::Settings;
use station_core::{Message, ToolSpec};

/// Schema words that OpenAI's strict mode takes. A schema with any other is sent without `strict`: the run checks the
/// answer against it anyway.
const STRICT_WORDS: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "items",
    "properties",
    "required",
    "title",
    "type",
];

/// The body for `request` at `endpoint`.
pub(crate) fn body(endpoint: &Endpoint, request: &Request<'_>) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(endpoint.model.model));
    body.insert("messages".to_owned(), request.messages.iter().map(message).collect());
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|granted| tool(&granted.spec)).collect();
        body.insert("tools".to_owned(), tools);
    }
    settings(&mut body, request.settings, endpoint.native);
    if let Some(schema) = request.output_schema {
        body.insert("response_format".to_owned(), response_format(schema));
    }
    body.insert("stream".to_owned(), json!(true));
    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    Value::Object(body)
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Assistant { text, calls, .. } if calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        Message::Assistant { text, calls, .. } => {
            let calls: Vec<Value> = calls
                .iter()
                .map(|call| {
                    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                    let function = json!({"name": call.name, "arguments": arguments});
                    json!({"id": call.id, "type": "function", "function": function})
                })
                .collect();
            let content = if text.is_empty() { Value::Null } else { json!(text) };
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
        Message::Tool { call, text, is_error, .. } => {
            // The dialect has no field for it, and not every tool says in words that it failed.
            let told = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
            let content = if *is_error && !told { format!("error: {text}") } else { text.clone() };
            json!({"role": "tool", "tool_call_id": call, "content": content})
        }
    }
}

fn tool(spec: &ToolSpec) -> Value {
    let mut parameters = spec.input_schema.as_object().cloned().unwrap_or_default();
    // Tools without parameters often leave these out, and OpenAI refuses a schema that does.
    parameters.entry("type").or_insert_with(|| json!("object"));
    parameters.entry("properties").or_insert_with(|| json!({}));
    json!({"type": "function", "function": {
        "name": spec.name, "description": spec.description, "parameters": parameters,
    }})
}

fn settings(body: &mut Map<String, Value>, settings: &Settings, native: bool) {
    if let Some(temperature) = settings.temperature {
        body.insert("temperature".to_owned(), json!(temperature));
    }
    if let Some(top_p) = settings.top_p {
        body.insert("top_p".to_owned(), json!(top_p));
    }
    if let Some(limit) = settings.max_output_tokens {
        // Newer models of OpenAI refuse the old word; compatible servers often know only that.
        let word = if native { "max_completion_tokens" } else { "max_tokens" };
        body.insert(word.to_owned(), json!(limit));
    }
    if !settings.stop.is_empty() {
        body.insert("stop".to_owned(), json!(settings.stop));
    }
}

fn response_format(schema: &Value) -> Value {
    json!({"type": "json_schema", "json_schema": {
        "name": "answer", "schema": schema, "strict": schema["type"] == "object" && fits_strict(schema),
    }})
}

/// Whether OpenAI's strict mode takes `schema`: every object is closed and requires all it names.
fn fits_strict(schema: &Value) -> bool {
    let Some(words) = schema.as_object() else { return false };
    if !words.keys().all(|word| STRICT_WORDS.contains(&word.as_str())) {
        return false;
    }
    if let Some(properties) = schema["properties"].as_object() {
        let required = schema["required"].as_array().map_or(0, Vec::len);
        let all =
            required == properties.len() && properties.keys().all(|name| has(&schema["required"], name));
        if !all || schema["additionalProperties"] != json!(false) || !properties.values().all(fits_strict) {
            return false;
        }
    } else if schema["type"] == "object" {
        return false;
    }
    let named = ["$defs", "definitions"].into_iter().filter_map(|word| schema[word].as_object());
    named.flat_map(Map::values).all(fits_strict)
        && schema.get("items").is_none_or(fits_strict)
        && schema["anyOf"].as_array().is_none_or(|branches| branches.iter().all(fits_strict))
}

fn has(required: &Value, name: &str) -> bool {
    required.as_array().is_some_and(|names| names.iter().any(|required| required == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, strict: bool) {
        let schema: Value = serde_json::from_str(schema).unwrap();
        assert_eq!(response_format(&schema)["json_schema"]["strict"], json!(strict), "{schema}");
    }

    #[test]
    fn strict_only_where_the_schema_allows_it() {
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
            true,
        );
        check(r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#, false);
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}"#,
            false,
        );
        check(
            r#"{"type":"object","properties":{"a":{"type":"string","minLength":1}},"required":["a"],"additionalProperties":false}"#,
            false,
        );
        check(
            r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],"additionalProperties":false}"#,
            false,
        );
        check(r#"{"type":"array","items":{"type":"string"}}"#, false);
        check(r#"{"type":"object"}"#, false);
    }
}
