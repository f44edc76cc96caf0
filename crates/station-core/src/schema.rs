//! Values against JSON Schemas, said so that a model or a person can put them right.
//!
//! **Invariant:** nothing outside the schema is fetched (a `$ref` to elsewhere is a fault), and no sentence grows with
//! the value: it is shown to models again and again.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// Most sentences of one check: the first few lead to the same mistake as the rest.
const SENTENCES_MAX: usize = 10;

/// Longest sentence, in characters: values stand in them.
const SENTENCE_CHARS_MAX: usize = 300;

/// Steps of a pattern on one text before it is given up: patterns come from files and tool servers.
const PATTERN_STEPS_MAX: usize = 100_000;

/// What is wrong with `instance` by `schema`, each with its JSON pointer; empty where it fits. A broken schema is one
/// sentence too.
#[must_use]
pub fn check(schema: &Value, instance: &Value) -> Vec<String> {
    let validator = match compile(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![shorten(&format!("the schema is broken: {error}"))],
    };
    validator
        .iter_errors(instance)
        .take(SENTENCES_MAX)
        .map(|error| {
            let pointer = error.instance_path().to_string();
            let place = if pointer.is_empty() { "the value".to_owned() } else { format!("`{pointer}`") };
            shorten(&format!("{place}: {error}"))
        })
        .collect()
}

/// The JSON of a model's answer, where it fits: the whole text, or its fenced block.
///
/// # Errors
/// What is wrong, in sentences for the model: there is no JSON, or it does not fit.
pub fn check_text(schema: &Value, text: &str) -> Result<Value, Vec<String>> {
    let value = extract(text).map_err(|sentence| vec![sentence])?;
    let sentences = check(schema, &value);
    if sentences.is_empty() { Ok(value) } else { Err(sentences) }
}

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Keys and numbers of items, from the schema's root to what is wrong.
    pub path: Vec<String>,
    /// What is wrong.
    pub sentence: String,
}

/// Why `schema` cannot be used, where it cannot.
#[must_use]
pub fn fault(schema: &Value) -> Option<Fault> {
    let error = compile(schema).err()?;
    let mut pointer = error.instance_path().to_string();
    if let ValidationErrorKind::Referencing(_) = error.kind() {
        pointer = lost_reference(schema, &error.to_string()).unwrap_or(pointer);
    }
    let unescaped = |key: &str| key.replace("~1", "/").replace("~0", "~");
    let path: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
    let said = match (path.last().map(String::as_str), error.kind(), error.instance().as_str()) {
        // The library tells by which rules of which schema.
        (Some("type"), ValidationErrorKind::AnyOf { .. }, Some(word)) => {
            format!("`{word}` is no type: string, number, integer, boolean, object, array and null are")
        }
        _ => error.to_string(),
    };
    Some(Fault { path, sentence: shorten(&format!("the schema is broken: {said}")) })
}

fn compile(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options()
        .offline()
        .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(PATTERN_STEPS_MAX))
        .build(schema)
}

/// The pointer to the reference that `told` is about: the library names what it does not find, not who refers to it.
fn lost_reference(schema: &Value, told: &str) -> Option<String> {
    let mut lost: Option<(usize, String)> = None;
    let mut rest = vec![(String::new(), schema)];
    while let Some((pointer, value)) = rest.pop() {
        let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
        match value {
            Value::Object(fields) => {
                rest.extend(fields.iter().map(|(key, value)| (format!("{pointer}/{}", escaped(key)), value)));
            }
            Value::Array(items) => {
                rest.extend(items.iter().enumerate().map(|(n, value)| (format!("{pointer}/{n}"), value)));
            }
            Value::String(to) if pointer.ends_with("/$ref") => {
                let name = to.trim_start_matches(['#', '.', '/']);
                if !name.is_empty()
                    && told.contains(name)
                    && lost.as_ref().is_none_or(|(length, _)| *length < name.len())
                {
                    lost = Some((name.len(), pointer));
                }
            }
            _ => {}
        }
    }
    lost.map(|(_, pointer)| pointer)
}

/// The first text of these that is JSON: the whole answer, then its fenced blocks from the last to the first, since
/// models put the answer last.
fn extract(text: &str) -> Result<Value, String> {
    let whole = text.trim().trim_start_matches('\u{feff}');
    let error = match serde_json::from_str(whole) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let found = fenced(whole).into_iter().rev().find_map(|block| serde_json::from_str(block).ok());
    found.ok_or_else(|| format!("the answer is not JSON: {error}"))
}

/// The insides of blocks between ``` lines that are called json or not called at all.
fn fenced(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut open = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let next = at + line.len();
        if let Some(word) = line.trim().strip_prefix("```") {
            open = match open {
                None => {
                    Some((next, matches!(word.trim().to_ascii_lowercase().as_str(), "" | "json" | "jsonc")))
                }
                Some((start, is_json)) => {
                    if is_json {
                        blocks.push(&text[start..at]);
                    }
                    None
                }
            };
        }
        at = next;
    }
    blocks
}

fn shorten(sentence: &str) -> String {
    if sentence.chars().count() <= SENTENCE_CHARS_MAX {
        return sentence.to_owned();
    }
    let mut short: String = sentence.chars().take(SENTENCE_CHARS_MAX - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "rows read better without borrows")]
    fn check_row(schema: Value, instance: Value, expected: &[&str]) {
        let found = check(&schema, &instance);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found:?}");
        }
    }

    #[test]
    fn a_value_is_checked() {
        let schema = json!({"type": "object", "properties": {"finding": {"type": "string"}, "n/1": {"type": "integer"}},
                            "required": ["finding"]});
        check_row(schema.clone(), json!({"finding": "x"}), &[]);
        check_row(schema.clone(), json!({}), &["the value: \"finding\" is a required property"]);
        check_row(schema.clone(), json!({"finding": 5}), &["`/finding`: 5 is not of type \"string\""]);
        check_row(schema, json!({"finding": "x", "n/1": 1.5}), &["`/n~11`: 1.5 is not of type \"integer\""]);
    }

    #[test]
    fn a_broken_schema_is_one_sentence() {
        for schema in [
            json!({"type": "strnig"}),
            json!({"$ref": "https://example.com/schema.json"}),
            json!({"$ref": "#/nowhere"}),
            json!({"pattern": "("}),
            json!(5),
        ] {
            let found = check(&schema, &json!({}));
            assert_eq!(found.len(), 1, "{schema}: {found:?}");
            assert!(found[0].starts_with("the schema is broken"), "{found:?}");
            assert!(fault(&schema).is_some());
        }
    }

    #[test]
    fn a_broken_schema_is_told_with_the_place_in_it() {
        let field =
            |schema: Value| json!({"type": "object", "properties": {"a": {"type": "string"}, "b/~": schema}});
        let refers =
            |to: &str| json!({"$defs": {"x": {}, "y": {"$ref": "#/$defs/x"}}, "allOf": [{"$ref": to}]});
        for (schema, path) in [
            (field(json!({"type": "strnig"})), "properties b/~ type"),
            (field(json!({"enum": "x"})), "properties b/~ enum"),
            (field(json!({"pattern": "("})), "properties b/~ pattern"),
            (field(json!({"minimum": "1"})), "properties b/~ minimum"),
            (json!({"type": "object", "required": "a"}), "required"),
            (json!({"type": "object", "required": ["a", 1]}), "required 1"),
            (refers("#/$defs/xx"), "allOf 0 $ref"),
            (refers("https://example.com/schema.json"), "allOf 0 $ref"),
            (refers("other.json"), "allOf 0 $ref"),
            // A field that is called so, and no type.
            (json!({"properties": {"type": "string"}}), "properties type"),
            (json!(5), ""),
        ] {
            let found = fault(&schema).expect("it is broken");
            assert_eq!(found.path.join(" "), path, "{schema}: {found:?}");
            let is_type = path.ends_with("b/~ type");
            assert_eq!(found.sentence.contains("`strnig` is no type"), is_type, "{schema}: {found:?}");
        }
    }

    #[test]
    fn nothing_grows_without_end() {
        let many: Vec<Value> = (0..1000).map(|n| json!(n)).collect();
        let found = check(&json!({"items": {"type": "string"}}), &Value::Array(many));
        assert_eq!(found.len(), SENTENCES_MAX);
        let found = check(&json!({"type": "null"}), &json!("x".repeat(100_000)));
        assert_eq!(found[0].chars().count(), SENTENCE_CHARS_MAX);
        for (schema, instance) in [
            (json!({"$ref": "#"}), json!({})),
            (json!({"allOf": [{"$ref": "#"}]}), json!({})),
            (json!({"pattern": "^(?=(a+)+$)(a+)+$"}), json!(format!("{}b", "a".repeat(40)))),
        ] {
            assert!(check(&schema, &instance).len() <= 1);
        }
    }

    #[test]
    fn json_is_found_in_an_answer() {
        let schema = json!({"type": "object", "required": ["a"]});
        for text in [
            "{\"a\": 1}",
            "\n {\"a\": 1}\n",
            "Here it is:\n```json\n{\"a\": 1}\n```\nGood luck",
            "```\n{\"a\": 1}\n```",
            "```sh\nls\n```\nand\n```JSON\r\n{\"a\": 1}\r\n```",
        ] {
            assert_eq!(check_text(&schema, text), Ok(json!({"a": 1})), "{text:?}");
        }
        for (text, sentence) in [
            ("", "the answer is not JSON"),
            ("I cannot do that", "the answer is not JSON"),
            ("```json\n{\"a\": 1}", "the answer is not JSON"),
            ("{\"b\": 1}", "the value: \"a\" is a required property"),
            ("[]", "the value: [] is not of type \"object\""),
        ] {
            let found = check_text(&schema, text).expect_err("it does not fit");
            assert!(found[0].starts_with(sentence), "{text:?}: {found:?}");
        }
    }
}
