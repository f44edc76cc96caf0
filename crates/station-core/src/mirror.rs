//! Arguments of a call that a modern remote server wants in headers too, so that what stands between can route by them.
//!
//! A schema marks a property with `x-mcp-header` (2026-07-28, Streamable HTTP, custom headers). **Invariant:** a tool whose
//! marks are not as the specification has them is none at all for a client: a header that was guessed could route a call to
//! the wrong place.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

const MARK: &str = "x-mcp-header";

/// Before the name that a schema gives.
const PREFIX: &str = "Mcp-Param-";

/// Levels of a schema that are looked at; deeper ones say nothing that a person wrote.
const DEPTH_MAX: usize = 32;

/// Keywords of a schema that hold data and no schema: a mark in there is none.
const DATA: [&str; 7] =
    ["const", "default", "dependentRequired", "enum", "examples", "required", "x-mcp-header"];

/// Keywords that hold schemas by name.
const NAMED: [&str; 5] = ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];

/// An argument that is mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Where it is among the arguments.
    path: Vec<String>,
    /// The header.
    header: String,
}

/// What a tool with this schema wants mirrored.
///
/// # Errors
/// Why it cannot be called by a client that keeps to the specification.
pub fn mirrors(schema: &Value) -> Result<Vec<Mirror>, String> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), true, &mut found)?;
    let mut names = BTreeSet::new();
    for mirror in &found {
        if !names.insert(mirror.header.to_ascii_lowercase()) {
            return Err(format!("two of its parameters want the header `{}`", mirror.header));
        }
    }
    Ok(found)
}

/// The headers of a call with `arguments`. What is not there, or null, is not mirrored.
#[must_use]
pub fn headers(mirrors: &[Mirror], arguments: &Map<String, Value>) -> Vec<(String, String)> {
    let value = |mirror: &Mirror| {
        let (first, rest) = mirror.path.split_first()?;
        let value = rest.iter().try_fold(arguments.get(first)?, |value, key| value.get(key))?;
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(is) => is.to_string(),
            Value::Number(number) => match number.as_f64() {
                // 42.0 is the integer 42, and is written as such.
                Some(float) if number.is_f64() && float.fract() == 0.0 => format!("{float:.0}"),
                _ => number.to_string(),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((mirror.header.clone(), text))
    };
    mirrors.iter().filter_map(value).collect()
}

/// Walks a schema; `is_reached` where only `properties` lead here from the root.
fn collect(
    schema: &Value,
    path: &mut Vec<String>,
    is_reached: bool,
    found: &mut Vec<Mirror>,
) -> Result<(), String> {
    let Value::Object(keywords) = schema else { return Ok(()) };
    if path.len() > DEPTH_MAX {
        return Err("its schema is nested too deep".to_owned());
    }
    if let Some(mark) = keywords.get(MARK) {
        if !is_reached || path.is_empty() {
            return Err(format!("its schema has a `{MARK}` where no argument is"));
        }
        found.push(Mirror { path: path.clone(), header: header(mark, keywords)? });
    }
    for (keyword, inner) in keywords.iter().filter(|(keyword, _)| !DATA.contains(&keyword.as_str())) {
        let is_properties = keyword == "properties";
        match inner {
            Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                for (name, schema) in named {
                    path.push(name.clone());
                    collect(schema, path, is_reached && is_properties, found)?;
                    path.pop();
                }
            }
            Value::Array(schemas) => {
                for schema in schemas {
                    path.push(keyword.clone());
                    collect(schema, path, false, found)?;
                    path.pop();
                }
            }
            inner => {
                path.push(keyword.clone());
                collect(inner, path, false, found)?;
                path.pop();
            }
        }
    }
    Ok(())
}

/// The header that a mark names.
fn header(mark: &Value, keywords: &Map<String, Value>) -> Result<String, String> {
    let name = mark.as_str().unwrap_or_default();
    // A token (RFC 9110, section 5.6.2).
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err(format!("a `{MARK}` of its schema is no name that a header can have"));
    }
    match keywords.get("type").and_then(Value::as_str) {
        Some("string" | "integer" | "boolean") => Ok(format!("{PREFIX}{name}")),
        _ => Err(format!("the parameter for the header `{name}` is no text, whole number or truth value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_mirrored_as_their_schema_marks_them() {
        let schema = json!({ "type": "object", "properties": {
            "region": { "type": "string", MARK: "Region" },
            "size": { "type": "integer", MARK: "Size" },
            "dry": { "type": "boolean", MARK: "Dry" },
            "at": { "type": "object", "properties": { "zone": { "type": "string", MARK: "Zone" } } },
            "query": { "type": "string" },
            MARK: { "type": "string", "default": { MARK: "" } },
        }});
        let mirrors = mirrors(&schema).unwrap();
        let check = |arguments: Value, expected: &[(&str, &str)]| {
            let found = headers(&mirrors, arguments.as_object().unwrap());
            let found: Vec<(&str, &str)> =
                found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{arguments}");
        };
        check(
            json!({ "region": " a ", "size": 42.0, "dry": false, "at": { "zone": "z" }, "query": "q" }),
            &[
                ("Mcp-Param-Region", " a "),
                ("Mcp-Param-Size", "42"),
                ("Mcp-Param-Dry", "false"),
                ("Mcp-Param-Zone", "z"),
            ],
        );
        check(json!({ "region": null, "size": 7, "at": "nowhere" }), &[("Mcp-Param-Size", "7")]);
        check(json!({}), &[]);
    }

    #[test]
    fn a_tool_whose_marks_are_wrong_is_none() {
        let of = |property: Value| json!({ "properties": { "p": property } });
        let marked = |kind: &str, mark: Value| of(json!({ "type": kind, MARK: mark }));
        for (schema, is_one) in [
            (marked("string", json!("Region")), true),
            (marked("string", json!("")), false),
            (marked("string", json!("My Region")), false),
            (marked("string", json!("Region:Primary")), false),
            (marked("string", json!("Région")), false),
            (marked("string", json!("Region\t1")), false),
            (marked("string", json!(["Region"])), false),
            (marked("object", json!("Data")), false),
            (marked("array", json!("Items")), false),
            (marked("null", json!("Nil")), false),
            (marked("number", json!("Score")), false),
            (of(json!({ "type": "array", "items": { "type": "string", MARK: "Item" } })), false),
            (of(json!({ "anyOf": [{ "type": "string", MARK: "One" }] })), false),
            (json!({ "$defs": { "d": { "type": "string", MARK: "Def" } } }), false),
            (json!({ "type": "string", MARK: "Root" }), false),
            (of(json!({ "type": "string", "enum": [{ MARK: "" }] })), true),
            (
                json!({ "properties": {
                    "a": { "type": "string", MARK: "Same" }, "b": { "type": "string", MARK: "same" },
                }}),
                false,
            ),
        ] {
            assert_eq!(mirrors(&schema).is_ok(), is_one, "{schema}");
        }
    }
}
