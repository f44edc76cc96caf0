//! What Anthropic refuses: <https://docs.claude.com/en/docs/agents-and-tools/tool-use/implement-tool-use>,
//! `…/build-with-claude/prompt-caching`, `…/extended-thinking`.

use super::list;
use serde_json::Value;
use std::collections::BTreeSet;

/// Most marks for the cache.
const MARKS_MAX: usize = 4;

/// The message of the refusal, if `body` earns one.
pub(super) fn refusal(body: &Value) -> Option<String> {
    if !body["max_tokens"].is_u64() {
        return Some("max_tokens: Field required".to_owned());
    }
    let marks = body.to_string().matches("\"cache_control\"").count();
    if marks > MARKS_MAX {
        return Some(format!("A maximum of 4 blocks with cache_control may be provided. Found {marks}."));
    }
    let (mut known, mut open): (BTreeSet<&str>, Vec<&str>) = (BTreeSet::new(), Vec::new());
    for (n, message) in list(&body["messages"]).iter().enumerate() {
        let blocks = list(&message["content"]);
        if blocks.is_empty() {
            return Some(format!("messages.{n}: all messages must have non-empty content"));
        }
        if n == 0 && message["role"] != "user" {
            return Some("messages: first message must use the \"user\" role".to_owned());
        }
        let results: Vec<&str> = blocks
            .iter()
            .take_while(|block| block["type"] == "tool_result")
            .filter_map(|block| block["tool_use_id"].as_str())
            .collect();
        if results.len() != open.len() || !open.iter().all(|id| results.contains(id)) {
            return Some(format!(
                "messages.{n}: `tool_use` ids were found without `tool_result` blocks immediately after"
            ));
        }
        open.clear();
        for block in blocks {
            if block["type"] == "text" && block["text"].as_str().unwrap_or_default().trim().is_empty() {
                return Some("messages: text content blocks must contain non-whitespace text".to_owned());
            }
            if block["type"] == "tool_use" {
                let id = block["id"].as_str().unwrap_or_default();
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                if id.is_empty() || !id.chars().all(fits) || !known.insert(id) {
                    return Some(
                        "messages: `tool_use` ids must be unique and match '^[a-zA-Z0-9_-]+$'".to_owned(),
                    );
                }
                if !block["input"].is_object() {
                    return Some("messages: tool_use.input: Input should be a valid dictionary".to_owned());
                }
                open.push(id);
            }
        }
        let first = &blocks[0]["type"];
        let thinks = first == "thinking" || first == "redacted_thinking";
        let goes_on = !open.is_empty() && n + 2 == list(&body["messages"]).len();
        if body["thinking"]["type"] == "enabled" && goes_on && !thinks {
            return Some(format!(
                "messages.{n}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`."
            ));
        }
    }
    (!open.is_empty()).then(|| "messages: the conversation ends with open `tool_use` blocks".to_owned())
}
