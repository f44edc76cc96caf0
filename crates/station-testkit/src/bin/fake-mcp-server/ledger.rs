//! A world outside that remembers: each line of the ledger is an effect that happened.

use crate::append;
use serde_json::{Value, json};
use std::path::Path;

/// The tools that are offered where there is a ledger.
pub(crate) fn list() -> Vec<Value> {
    let post = json!({ "type": "object", "properties": {
        "text": { "type": "string" }, "before": { "type": "string" }, "after": { "type": "string" },
    }, "required": ["text"] });
    let posted =
        json!({ "type": "object", "properties": { "effect": { "type": "string" } }, "required": ["effect"] });
    let writes = json!({ "readOnlyHint": false, "idempotentHint": false, "destructiveHint": false });
    let once = json!({ "readOnlyHint": false, "idempotentHint": true, "destructiveHint": false });
    let row = |name: &str, schema: &Value, annotations: Value| {
        json!({
            "name": name, "description": format!("The ledger's tool `{name}`."), "inputSchema": schema,
            "annotations": annotations,
        })
    };
    vec![
        row("post", &post, writes),
        row("post_once", &post, once),
        row("posted", &posted, json!({ "readOnlyHint": true })),
    ]
}

/// Writes a line, once or once per effect; what it waits for before and after is the caller's.
pub(crate) fn post(ledger: &Path, effect: &Value, text: &str, once: bool) {
    if !once || !has(ledger, effect.as_str().unwrap_or_default()) {
        append(ledger, &json!({ "effect": effect, "text": text }).to_string());
    }
}

/// Whether a call with this effect's id wrote its line.
pub(crate) fn has(ledger: &Path, effect: &str) -> bool {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.into_iter().any(|line| line["effect"] == effect)
}
