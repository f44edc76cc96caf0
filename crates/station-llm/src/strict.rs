//! Which schemas the strict modes of OpenAI and Anthropic take. Another is sent without, or told in words: the run checks
//! the answer against it anyway.

use serde_json::{Map, Value, json};

/// Schema words that strict modes take.
const WORDS: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "items",
    "properties",
    "required",
    "title",
    "type",
];

/// Whether a strict mode takes `schema` for an answer: an object, of which every object is closed and requires all it
/// names.
pub(crate) fn takes(schema: &Value) -> bool {
    schema["type"] == "object" && fits(schema)
}

fn fits(schema: &Value) -> bool {
    let Some(words) = schema.as_object() else { return false };
    if !words.keys().all(|word| WORDS.contains(&word.as_str())) {
        return false;
    }
    if let Some(properties) = schema["properties"].as_object() {
        let required = schema["required"].as_array().map_or(0, Vec::len);
        let all =
            required == properties.len() && properties.keys().all(|name| has(&schema["required"], name));
        if !all || schema["additionalProperties"] != json!(false) || !properties.values().all(fits) {
            return false;
        }
    } else if schema["type"] == "object" {
        return false;
    }
    let named = ["$defs", "definitions"].into_iter().filter_map(|word| schema[word].as_object());
    named.flat_map(Map::values).all(fits)
        && schema.get("items").is_none_or(fits)
        && schema["anyOf"].as_array().is_none_or(|branches| branches.iter().all(fits))
}

fn has(required: &Value, name: &str) -> bool {
    required.as_array().is_some_and(|names| names.iter().any(|required| required == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, strict: bool) {
        let schema: Value = serde_json::from_str(schema).unwrap();
        assert_eq!(takes(&schema), strict, "{schema}");
    }

    #[test]
    fn strict_only_where_the_schema_allows_it() {
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
            true,
        );
        check(r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#, false);
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}"#,
            false,
        );
        check(
            r#"{"type":"object","properties":{"a":{"type":"string","minLength":1}},"required":["a"],"additionalProperties":false}"#,
            false,
        );
        check(
            r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],"additionalProperties":false}"#,
            false,
        );
        check(r#"{"type":"array","items":{"type":"string"}}"#, false);
        check(r#"{"type":"object"}"#, false);
    }
}
