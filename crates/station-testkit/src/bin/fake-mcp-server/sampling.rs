//! A tool that asks its client for a model. It is listed where the client says that it has one, and can be called anyway.

use crate::protocol::{Refusal, Server, is_modern};
use crate::tools::{hang, text};
use serde_json::{Map, Value, json};

const METHOD: &str = "sampling/createMessage";

/// The tool; it changes nothing.
pub(crate) fn list() -> Value {
    let kinds = [("times", "integer"), ("leave", "string"), ("params", "object")];
    let properties: Map<String, Value> =
        kinds.iter().map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind }))).collect();
    json!({
        "name": "sample",
        "description": "The fake tool `sample`.",
        "inputSchema": { "type": "object", "properties": properties },
        "annotations": { "readOnlyHint": true },
    })
}

/// Whether the client says in `message`, as its era has it, that it has a model.
pub(crate) fn is_offered(message: &Value) -> bool {
    let params = &message["params"];
    let capabilities = match message["method"].as_str() {
        Some("initialize") => &params["capabilities"],
        _ => &params["_meta"]["io.modelcontextprotocol/clientCapabilities"],
    };
    capabilities["sampling"].is_object()
}

/// Asks as often as `times` says, with `params` or a plain question, and says what it was told. With `leave` it asks and does not
/// wait for the answer, but until that file exists.
pub(crate) fn call(server: &Server, message: &Value) -> Result<Value, Refusal> {
    let arguments = &message["params"]["arguments"];
    let asked = arguments["params"].as_object().map_or_else(plain, |params| Value::Object(params.clone()));
    let times = arguments["times"].as_u64().unwrap_or(1);
    if let Some(file) = arguments["leave"].as_str() {
        server.send(&json!({ "jsonrpc": "2.0", "id": "left", "method": METHOD, "params": asked }));
        hang(None, Some(file));
        return Ok(text("left"));
    }
    if !is_modern(message) {
        let told = (0..times).map(|_| {
            let answer = server.ask(METHOD, &asked);
            if answer["error"].is_object() { said(&answer["error"]) } else { said(&answer["result"]) }
        });
        return Ok(text(&told.collect::<Vec<_>>().join("; ")));
    }
    if let Some(told) = message["params"]["inputResponses"].as_object() {
        return Ok(text(&told.values().map(said).collect::<Vec<_>>().join("; ")));
    }
    let request = json!({ "method": METHOD, "params": asked });
    let requests: Map<String, Value> = (0..times).map(|n| (n.to_string(), request.clone())).collect();
    Ok(json!({ "resultType": "input_required", "inputRequests": requests, "requestState": "s" }))
}

/// What a server asks that means no harm, and that wants to know more than it is told.
fn plain() -> Value {
    json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": "what is this?" } }],
        "systemPrompt": "you sort files", "maxTokens": 50, "includeContext": "thisServer",
    })
}

/// An answer in short, or an error.
fn said(answer: &Value) -> String {
    match answer["message"].as_str() {
        Some(message) => format!("{} {message}", answer["code"]),
        None => format!("{} says {} ({})", answer["model"], answer["content"]["text"], answer["stopReason"]),
    }
}
