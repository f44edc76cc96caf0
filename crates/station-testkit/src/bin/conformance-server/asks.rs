//! Asking the client in the way of its era.

use crate::protocol::{Answer, Request};
use serde_json::{Map, Value, json};

/// What came of asking.
pub(crate) enum Asked {
    /// The client's answers, by the keys of the questions.
    Answered(Map<String, Value>),
    /// A result, or an error, that the client gets first.
    First(Answer),
}

/// A question for a text under `name`.
pub(crate) fn form(message: &str, name: &str, kind: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { name: { "type": kind } }, "required": [name] });
    elicit(message, &schema)
}

/// A question for what `schema` says.
pub(crate) fn elicit(message: &str, schema: &Value) -> Value {
    json!({
        "method": "elicitation/create",
        "params": { "mode": "form", "message": message, "requestedSchema": schema },
    })
}

/// A question for a model.
pub(crate) fn sample(prompt: &str, max_tokens: u64) -> Value {
    let message = json!({ "role": "user", "content": { "type": "text", "text": prompt } });
    json!({ "method": "sampling/createMessage", "params": { "messages": [message], "maxTokens": max_tokens } })
}

/// The question for folders.
pub(crate) fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// Puts questions to the client; `state` comes back with the answers, in the newer era.
pub(crate) fn ask(request: &Request, questions: &[(&str, Value)], state: Option<&str>) -> Asked {
    if !request.is_modern {
        let mut answers = Map::new();
        for (key, question) in questions {
            match request.ask(question) {
                Ok(answer) => drop(answers.insert((*key).to_owned(), answer)),
                Err(error) => return Asked::First(Err(error)),
            }
        }
        return Asked::Answered(answers);
    }
    let given = &request.params["inputResponses"];
    // An answer is an object; whatever else comes is none.
    let is_answered = |key: &str| given[key].is_object();
    if questions.iter().all(|(key, _)| is_answered(key)) {
        return Asked::Answered(given.as_object().cloned().unwrap_or_default());
    }
    let requests: Map<String, Value> =
        questions.iter().map(|(key, question)| ((*key).to_owned(), question.clone())).collect();
    let mut result = json!({ "resultType": "input_required", "inputRequests": requests });
    if let Some(state) = state {
        result["requestState"] = state.into();
    }
    Asked::First(Ok(result))
}
