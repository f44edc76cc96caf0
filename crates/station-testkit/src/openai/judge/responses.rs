//! What OpenAI refuses in its Responses dialect: <https://platform.openai.com/docs/api-reference/responses/create>,
//! <https://platform.openai.com/docs/guides/reasoning>.

use super::list;
use serde_json::Value;
use std::collections::BTreeSet;

/// The message of the refusal, if `body` earns one.
pub(super) fn refusal(body: &Value) -> Option<String> {
    let items = list(&body["input"]);
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for (n, item) in items.iter().enumerate() {
        let id = item["call_id"].as_str().unwrap_or_default();
        match item["type"].as_str() {
            Some("function_call") => drop(open.insert(id)),
            Some("function_call_output") if !open.remove(id) => {
                return Some(format!("No tool call found for function call output with call_id {id}."));
            }
            Some("reasoning") if !item["encrypted_content"].is_string() => {
                return Some("Items are not persisted when `store` is set to false.".to_owned());
            }
            Some("reasoning") if items.get(n + 1).is_none_or(|next| next["role"] == "user") => {
                return Some(
                    "Item of type 'reasoning' was provided without its required following item.".to_owned(),
                );
            }
            _ => {}
        }
    }
    if let Some(id) = open.first() {
        return Some(format!("No tool output found for function call {id}."));
    }
    let thinks = body["model"].as_str().is_some_and(|model| model.starts_with("gpt-5"));
    (thinks && body["temperature"].is_number())
        .then(|| "Unsupported parameter: 'temperature' is not supported with this model.".to_owned())
}
