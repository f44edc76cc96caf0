//! Verify tools: how Station finds out by itself whether a call whose answer was lost took effect.
//!
//! An operator names, for a tool that must not be repeated, another tool of the same server that only looks: `verify:
//! {create_issue: {tool: find_issue, args: {marker: "$effect_id"}}}`. What the look says decides: it took effect (the
//! model is told so), it did not (the call is sent again under its id), or it cannot be said (the agent's policy
//! decides). **Invariant:** "it did not" counts only where what the call was given to is known to be gone; a call that
//! may still be at work could take effect after the look.

use crate::EffectId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A verify tool, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyRule {
    /// The tool that looks, on the same server. It must be read-only or idempotent.
    pub tool: String,
    /// Its arguments. A text `$effect_id` becomes the id that the call carried, `$arguments` all arguments of the
    /// call, `$arguments.a.b` one of them; a text that begins with `$$` loses one `$`.
    pub args: Map<String, Value>,
    /// A text that the look's answer contains if the call took effect, and does not contain otherwise. Where it is
    /// not written the answer itself must say: a boolean `done`, in its structured content or as JSON, or a bare
    /// `true` or `false`.
    pub done_when: Option<String>,
}

/// A look to be made if the answer of a call is lost; kept with the call's `EffectStarted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The tool that looks.
    pub tool: String,
    /// Its arguments, filled in.
    pub arguments: Map<String, Value>,
    /// See [`VerifyRule::done_when`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_when: Option<String>,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The call took effect.
    Done,
    /// It did not.
    NotDone,
    /// It cannot be said.
    Unclear,
}

impl VerifyRule {
    /// The look for one call.
    #[must_use]
    pub fn look(&self, effect: EffectId, arguments: &Map<String, Value>) -> Look {
        let filled = |(name, value): (&String, &Value)| (name.clone(), fill(value, effect, arguments));
        Look {
            tool: self.tool.clone(),
            arguments: self.args.iter().map(filled).collect(),
            done_when: self.done_when.clone(),
        }
    }
}

/// What a look came back with.
#[derive(Clone, Copy, Debug)]
pub struct LookAnswer<'a> {
    /// Its text.
    pub text: &'a str,
    /// Its structured content.
    pub structured: Option<&'a Value>,
    /// Whether the tool says that it failed.
    pub is_error: bool,
    /// Whether more was said than is here.
    pub is_cut: bool,
}

impl Look {
    /// What the answer of the look says. What is not in the part of an answer that is here may be in the rest of it.
    #[must_use]
    pub fn judge(&self, answer: LookAnswer<'_>) -> Found {
        let LookAnswer { text, structured, is_error, is_cut } = answer;
        if is_error {
            return Found::Unclear;
        }
        let done = match &self.done_when {
            Some(marker) => {
                let also = structured.map(Value::to_string).unwrap_or_default();
                Some(text.contains(marker.as_str()) || also.contains(marker.as_str()))
            }
            None => structured.and_then(said).or_else(|| {
                let parsed = serde_json::from_str::<Value>(text.trim()).ok();
                parsed.as_ref().and_then(said)
            }),
        };
        match done {
            Some(true) => Found::Done,
            Some(false) if is_cut => Found::Unclear,
            Some(false) => Found::NotDone,
            None => Found::Unclear,
        }
    }
}

fn said(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.get("done").and_then(Value::as_bool))
}

fn fill(value: &Value, effect: EffectId, arguments: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix('$') {
            None => value.clone(),
            Some("effect_id") => Value::from(effect.to_string()),
            Some("arguments") => Value::Object(arguments.clone()),
            Some(rest) => match rest.strip_prefix("arguments.") {
                Some(path) => at(arguments, path),
                None if rest.starts_with('$') => Value::from(rest),
                None => value.clone(),
            },
        },
        Value::Array(items) => items.iter().map(|item| fill(item, effect, arguments)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, item)| (name.clone(), fill(item, effect, arguments))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// An argument that the call did not have is null: the look then says that it cannot be said.
fn at(arguments: &Map<String, Value>, path: &str) -> Value {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|name| arguments.get(name));
    parts.fold(first, |value, name| value.and_then(|value| value.get(name))).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object was expected") };
        map
    }

    #[test]
    fn a_look_is_filled_from_the_call_it_looks_for() {
        let effect = EffectId(uuid::Uuid::from_u128(7));
        let call = map(json!({"title": "x", "labels": {"first": ["a"]}}));
        for (args, expected) in [
            (json!({"q": "$effect_id"}), json!({"q": effect.to_string()})),
            (json!({"q": "$arguments.title", "n": 1}), json!({"q": "x", "n": 1})),
            (json!({"q": ["$arguments.labels.first"]}), json!({"q": [["a"]]})),
            (json!({"q": "$arguments"}), json!({"q": {"title": "x", "labels": {"first": ["a"]}}})),
            (json!({"q": "$arguments.nothing.there"}), json!({"q": null})),
            (json!({"q": "$$effect_id", "p": "$HOME"}), json!({"q": "$effect_id", "p": "$HOME"})),
        ] {
            let rule = VerifyRule { tool: "find".to_owned(), args: map(args.clone()), done_when: None };
            assert_eq!(Value::Object(rule.look(effect, &call).arguments), expected, "{args}");
        }
    }

    #[test]
    fn what_a_look_says() {
        let check = |done_when: Option<&str>, text: &str, structured: Option<Value>, is_error, expected| {
            let done_when = done_when.map(str::to_owned);
            let look = Look { tool: "find".to_owned(), arguments: Map::new(), done_when };
            let (structured, is_cut) = (structured.as_ref(), text.ends_with('…'));
            let answer = LookAnswer { text, structured, is_error, is_cut };
            assert_eq!(look.judge(answer), expected, "{text}");
        };
        check(None, "", Some(json!({"done": true})), false, Found::Done);
        check(None, r#"{"done": false}"#, None, false, Found::NotDone);
        check(None, " true\n", None, false, Found::Done);
        check(None, "no such issue", None, false, Found::Unclear);
        check(None, "true", None, true, Found::Unclear);
        check(Some("issue #"), "found issue #7", None, false, Found::Done);
        check(Some("issue #"), "nothing found", None, false, Found::NotDone);
        check(Some("issue #"), "1 result", Some(json!({"found": "issue #7"})), false, Found::Done);
        check(Some("issue #"), "one of many and …", None, false, Found::Unclear);
        check(Some("issue #"), "timeout", None, true, Found::Unclear);
    }
}
