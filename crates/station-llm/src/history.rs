//! What the bodies of all dialects need of a conversation that another provider may have begun: ids that fit, arguments
//! as an object, a schema in words, a note in place of an image.
//!
//! **Invariant:** everything is a function of the conversation from its beginning, so that a message is written with the
//! same bytes in every later request.

use serde_json::{Map, Value, json};
use station_core::{Image, ToolCall, ToolSpec};
use std::collections::{BTreeMap, BTreeSet};

/// The key under which arguments go that are no JSON object, to providers that take nothing else. The result behind the
/// call says what was wrong with them.
const UNREADABLE: &str = "unreadable";

/// Ids of calls as a provider takes them: of its characters, not too long, and unique in the conversation. Others are
/// numbered.
#[derive(Debug)]
pub(crate) struct Ids {
    chars_max: usize,
    n: usize,
    taken: BTreeSet<String>,
    turn: BTreeMap<String, String>,
}

impl Ids {
    pub(crate) fn of_at_most(chars_max: usize) -> Self {
        Self { chars_max, n: 0, taken: BTreeSet::new(), turn: BTreeMap::new() }
    }

    /// The ids of the next turn's calls.
    pub(crate) fn turn(&mut self, calls: &[ToolCall]) -> Vec<String> {
        self.turn.clear();
        let ids: Vec<String> = calls.iter().map(|call| self.fit(&call.id)).collect();
        self.turn.extend(calls.iter().map(|call| call.id.clone()).zip(ids.iter().cloned()));
        ids
    }

    /// The id of a result of that turn.
    pub(crate) fn result<'a>(&'a self, call: &'a str) -> &'a str {
        self.turn.get(call).map_or(call, String::as_str)
    }

    fn fit(&mut self, id: &str) -> String {
        let fits = (1..=self.chars_max).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let mut id = id.to_owned();
        let mut is_good = fits && self.taken.insert(id.clone());
        while !is_good {
            id = format!("call_{}", self.n);
            self.n += 1;
            is_good = self.taken.insert(id.clone());
        }
        id
    }
}

/// A call's arguments as an object.
pub(crate) fn object(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return json!({});
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(object)) => Value::Object(object),
        Ok(Value::Null) => json!({}),
        Ok(_) | Err(_) => json!({ UNREADABLE: arguments }),
    }
}

/// The schema of a tool's arguments. Tools without parameters often leave these words out, and providers refuse that.
pub(crate) fn parameters(spec: &ToolSpec) -> Map<String, Value> {
    let mut parameters = spec.input_schema.as_object().cloned().unwrap_or_default();
    parameters.entry("type").or_insert_with(|| json!("object"));
    parameters.entry("properties").or_insert_with(|| json!({}));
    parameters
}

/// What stands in the system prompt where a model cannot be held to the schema by other means. The run checks the answer.
pub(crate) fn in_words(schema: &Value) -> String {
    format!(
        "Your last answer, the one without a tool call, is JSON and nothing else: no words around it, no code fence. It fits this JSON Schema: {schema}"
    )
}

/// A result as text for a provider that has no field for failure.
pub(crate) fn told(text: &str, is_error: bool) -> String {
    // Not every tool says in words that it failed.
    let says = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
    if is_error && !says { format!("error: {text}") } else { text.to_owned() }
}

/// `text`, with a note where its images are not shown.
pub(crate) fn without_images(text: String, images: &[Image]) -> String {
    if images.is_empty() {
        return text;
    }
    format!("{text}\n[Station: this model is shown no images of results; go by the text]")
}

/// The numbers at the beginning of a model's name behind `maker`: 4 and 5 of `claude-sonnet-4-5-20250929`, 2 and 5 of
/// `gemini-2.5-pro`. `None` where it has none, as names of what is newest have none.
pub(crate) fn version(model: &str, maker: &str) -> Option<(u32, u32)> {
    let name = model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let rest = &name[name.find(maker)? + maker.len()..];
    // A number of more than two digits is a date.
    let number = |word: &str| word.parse::<u32>().ok().filter(|number| *number < 100);
    let mut words = rest.split(['-', '.', '@', ':']).skip_while(|word| number(word).is_none());
    let major = number(words.next()?)?;
    Some((major, words.next().and_then(number).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_other_providers_are_made_fit() {
        let turns =
            [vec!["call_0", "toolu_01"], vec!["call_0", "a b", ""], vec!["functions.read:0", "0123456789x"]];
        let mut ids = Ids::of_at_most(10);
        let told: Vec<Vec<String>> = turns
            .iter()
            .map(|turn| {
                let call = |id: &&str| ToolCall {
                    id: (*id).to_owned(),
                    name: String::new(),
                    arguments: String::new(),
                };
                let calls: Vec<ToolCall> = turn.iter().map(call).collect();
                let told = ids.turn(&calls);
                let results: Vec<&str> = turn.iter().map(|id| ids.result(id)).collect();
                assert_eq!(results, told, "a result goes by the id of its call");
                told
            })
            .collect();
        assert_eq!(
            told,
            [vec!["call_0", "toolu_01"], vec!["call_1", "call_2", "call_3"], vec!["call_4", "call_5"]]
        );
    }

    #[test]
    fn arguments_are_an_object_whatever_the_model_wrote() {
        for (arguments, expected) in [
            ("", json!({})),
            ("  ", json!({})),
            ("null", json!({})),
            (r#"{"b":1,"a":2}"#, json!({"b": 1, "a": 2})),
            ("[1]", json!({"unreadable": "[1]"})),
            ("{oops", json!({"unreadable": "{oops"})),
        ] {
            assert_eq!(object(arguments), expected, "{arguments}");
        }
    }

    #[test]
    fn versions_in_names() {
        for (model, maker, expected) in [
            ("claude-sonnet-4-5-20250929", "claude", Some((4, 5))),
            ("claude-sonnet-4-20250514", "claude", Some((4, 0))),
            ("claude-3-5-haiku-latest", "claude", Some((3, 5))),
            ("claude-3-opus-20240229", "claude", Some((3, 0))),
            ("claude-opus-5", "claude", Some((5, 0))),
            ("claude-next", "claude", None),
            ("anthropic.claude-opus-4-7", "claude", Some((4, 7))),
            ("gemini-2.5-flash-lite", "gemini", Some((2, 5))),
            ("models/gemini-3-pro-preview", "gemini", Some((3, 0))),
            ("gemini-flash-latest", "gemini", None),
            ("gemma-3-27b", "gemini", None),
        ] {
            assert_eq!(version(model, maker), expected, "{model}");
        }
    }
}
