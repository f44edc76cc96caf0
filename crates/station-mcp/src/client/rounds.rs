//! A call that asks for something before it goes on: answered as the server's file says, and gone on with.
//!
//! In the modern era a server asks by its result (`input_required`), and the same call comes again with the answers and with
//! what the server wants back untouched (`requestState`). **Invariant:** what one call was given is sent with no other.

use rmcp::model::{CallToolRequestParams, InputRequiredResult, InputResponses};
use serde_json::Value;
use station_core::answers::Answers;

/// Rounds of one call: a server that asks for more is turning in circles.
pub(super) const ROUNDS_MAX: usize = 8;

/// The call once more, with answers to what was asked.
///
/// # Errors
/// That something was asked that is not answered here, as the rest of a sentence about the tool.
pub(super) fn next(
    params: &CallToolRequestParams,
    asked: InputRequiredResult,
    answers: &Answers,
) -> Result<CallToolRequestParams, String> {
    let mut given = InputResponses::new();
    for (key, request) in asked.input_requests.unwrap_or_default() {
        let request = serde_json::to_value(request).unwrap_or_default();
        let method = request["method"].as_str().unwrap_or_default();
        let answer = answers.to(method, &request["params"]);
        given.insert(key, answer.map_err(|refused| unanswered(method, refused.message))?);
    }
    let mut next = params.clone();
    next.input_responses = Some(given);
    next.request_state = asked.request_state;
    Ok(next)
}

fn unanswered(method: &str, why: &str) -> String {
    format!("asks for `{method}` before it goes on, and {why}; it did not finish")
}

/// What a client that answers so declares.
pub(super) fn declared(answers: &Answers) -> Value {
    let mut declared = serde_json::Map::new();
    if answers.takes_forms() {
        declared.insert("elicitation".to_owned(), serde_json::json!({ "form": {} }));
    }
    if !answers.roots.is_empty() {
        declared.insert("roots".to_owned(), serde_json::json!({}));
    }
    Value::Object(declared)
}
