//! A call that asks for something before it goes on: answered as the server's file says, and gone on with.
//!
//! In the modern era a server asks by its result (`input_required`), and the same call comes again with the answers and with
//! what the server wants back untouched (`requestState`). **Invariant:** what one call was given is sent with no other.

use super::pass::Hearer;
use serde_json::{Map, Value};
use station_core::EffectId;
use station_core::answers::Answers;

/// Rounds of one call: a server that asks for more is turning in circles.
pub(super) const ROUNDS_MAX: usize = 8;

/// The parameters of the call once more, with answers to what `asked`, a result, asks: those of `hearer` to the questions that
/// go to it, those of the server's file to the others.
///
/// # Errors
/// That something was asked that is not answered here, as the rest of a sentence about the tool.
pub(super) async fn next(
    params: &Map<String, Value>,
    asked: &Value,
    answers: &Answers,
    hearer: Option<(EffectId, &Hearer)>,
) -> Result<Map<String, Value>, String> {
    let mut given = Map::new();
    for (key, request) in asked["inputRequests"].as_object().into_iter().flatten() {
        let method = request["method"].as_str().unwrap_or_default();
        let asked = hearer.filter(|(_, hearer)| hearer.hears.question(method));
        let answer = match asked {
            Some((effect, hearer)) => hearer.ask(effect, method, request["params"].clone()).await,
            None => answers.to(method, &request["params"]).map_err(|refused| refused.message.to_owned()),
        };
        given.insert(key.clone(), answer.map_err(|why| unanswered(method, &why))?);
    }
    let mut next = params.clone();
    next.insert("inputResponses".to_owned(), Value::Object(given));
    match asked.get("requestState") {
        Some(state) => next.insert("requestState".to_owned(), state.clone()),
        None => next.remove("requestState"),
    };
    Ok(next)
}

fn unanswered(method: &str, why: &str) -> String {
    format!("asks for `{method}` before it goes on, and {why}; it did not finish")
}
