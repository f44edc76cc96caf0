//! What OpenAI would refuse in a request in its chat dialect, in its words.

use super::list;
use serde_json::Value;
use std::collections::BTreeSet;

/// The message of the refusal, if `body` earns one.
pub(super) fn refusal(body: &Value) -> Option<String> {
    if !body["model"].is_string() {
        return Some("you must provide a model parameter".to_owned());
    }
    tools(body).or_else(|| messages(body))
}

fn tools(body: &Value) -> Option<String> {
    let mut names = BTreeSet::new();
    for tool in list(&body["tools"]) {
        let name = tool["function"]["name"].as_str().unwrap_or_default();
        let fits = (1..=64).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !fits {
            return Some(format!(
                "Invalid 'tools[].function.name': '{name}' does not match '^[a-zA-Z0-9_-]+$'."
            ));
        }
        if !names.insert(name) {
            return Some("Tool names must be unique.".to_owned());
        }
        let parameters = &tool["function"]["parameters"];
        if parameters["type"] != "object" || !parameters["properties"].is_object() {
            return Some(format!("Invalid schema for function '{name}': object schema missing properties."));
        }
    }
    None
}

fn messages(body: &Value) -> Option<String> {
    let messages = list(&body["messages"]);
    if messages.is_empty() {
        return Some("[] is too short - 'messages'".to_owned());
    }
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        if role == "tool" {
            if !open.remove(message["tool_call_id"].as_str().unwrap_or_default()) {
                return Some(
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                        .to_owned(),
                );
            }
            continue;
        }
        if !open.is_empty() {
            break;
        }
        if !matches!(role, "system" | "developer" | "user" | "assistant") {
            return Some(format!("Invalid value: '{role}'."));
        }
        open = list(&message["tool_calls"]).iter().filter_map(|call| call["id"].as_str()).collect();
    }
    (!open.is_empty()).then(|| {
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
            .to_owned()
    })
}
