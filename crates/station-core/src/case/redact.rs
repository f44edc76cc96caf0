//! Values out of a case. Names of tools, servers and agents stay: they stand in files that are in Git already.

use super::Case;
use crate::{Message, Redaction};
use serde_json::Value;

/// Takes `secrets` out of every text of `case` that came from outside: prompts, task, answers, arguments, results,
/// descriptions. A value inside a JSON text stands there escaped, and inside such a text once more.
pub fn redact<'a>(case: &mut Case, secrets: impl IntoIterator<Item = &'a str>) {
    let mut values: Vec<String> = Vec::new();
    for secret in secrets {
        let once = escaped(secret);
        values.extend([escaped(&once), once, secret.to_owned()]);
    }
    let redaction = Redaction::of(values.iter().map(String::as_str));
    let out = |text: &mut String| *text = redaction.apply(text);
    out(&mut case.task);
    out(&mut case.source);
    out(&mut case.inputs.system);
    case.inputs.opening.iter_mut().for_each(|message| match message {
        Message::System { text } | Message::User { text } | Message::Tool { text, .. } => out(text),
        Message::Assistant { text, calls, .. } => {
            out(text);
            calls.iter_mut().for_each(|call| out(&mut call.arguments));
        }
    });
    for tool in &mut case.tools {
        out(&mut tool.description);
        strings(&mut tool.input_schema, &out);
    }
    for step in &mut case.steps {
        out(&mut step.answer.text);
        // It is for its provider alone, whom no replay asks, and nobody can search it for values.
        step.answer.thinking = None;
        step.answer.calls.iter_mut().for_each(|call| out(&mut call.arguments));
        for call in &mut step.calls {
            out(&mut call.text);
            call.arguments.values_mut().for_each(|value| strings(value, &out));
        }
    }
    match &mut case.outcome {
        Some(crate::run::Outcome::Completed { answer }) => out(answer),
        Some(crate::run::Outcome::Failed { sentence, hints, .. }) => {
            out(sentence);
            hints.iter_mut().for_each(out);
        }
        Some(crate::run::Outcome::Cancelled | crate::run::Outcome::TimedOut) | None => {}
    }
}

/// As it stands between the quotes of a JSON text.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn strings(value: &mut Value, out: &dyn Fn(&mut String)) {
    match value {
        Value::String(text) => out(text),
        Value::Array(items) => items.iter_mut().for_each(|item| strings(item, out)),
        Value::Object(members) => members.values_mut().for_each(|member| strings(member, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
