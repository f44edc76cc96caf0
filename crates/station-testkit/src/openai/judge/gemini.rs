//! What Google refuses: <https://ai.google.dev/gemini-api/docs/function-calling>, `…/thought-signatures`.

use super::list;
use serde_json::Value;

/// The message of the refusal, if `body`, sent to `path`, earns one.
pub(super) fn refusal(path: &str, body: &Value) -> Option<String> {
    let is_third = path.contains("/gemini-3");
    let mut open: Vec<&str> = Vec::new();
    for content in list(&body["contents"]) {
        let parts = list(&content["parts"]);
        if parts.is_empty() || !(content["role"] == "user" || content["role"] == "model") {
            return Some("Please use a valid role: user, model.".to_owned());
        }
        let names = |kind: &str| -> Vec<&str> {
            parts.iter().filter_map(|part| part[kind]["name"].as_str()).collect()
        };
        if names("functionResponse") != open {
            return Some(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn."
                    .to_owned(),
            );
        }
        open = names("functionCall");
        let first = parts.iter().find(|part| part["functionCall"].is_object());
        if let Some(part) = first.filter(|part| is_third && !part["thoughtSignature"].is_string()) {
            let name = &part["functionCall"]["name"];
            return Some(format!(
                "Function call {name} is missing a thought_signature in functionCall parts."
            ));
        }
    }
    let config = &body["generationConfig"];
    if !is_third && config["responseMimeType"] == "application/json" && body["tools"].is_array() {
        return Some(
            "Function calling with a response mime type: 'application/json' is unsupported".to_owned(),
        );
    }
    None
}
