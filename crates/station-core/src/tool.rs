//! Tools: what a server offers, under which name a model sees it, and when its definition has changed.

use crate::{Error, Result, ServerId, ToolId, near};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A tool in the catalog.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its row.
    pub id: ToolId,
    /// The server that offers it.
    pub server: ServerId,
    /// That server's name.
    pub server_name: String,
    /// Its upstream name.
    pub name: String,
    /// What people see; the name where empty.
    pub title: String,
    /// What it does, in the server's words.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
    /// JSON Schema of its structured result, where it declares one.
    pub output_schema: Option<Value>,
    /// What the server says of its effects.
    pub annotations: Annotations,
}

/// What a server says of a tool's effects: hints, as the specification calls them; the environment's files overrule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotations {
    /// It changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// It may destroy something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    /// Calling it twice with the same arguments is calling it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// It reaches beyond the server's own domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_world: Option<bool>,
}

/// Most characters of a name that every provider takes.
pub const WIRE_NAME_CHARS_MAX: usize = 64;

/// The names under which one agent's tools are offered to a model, in the order given.
///
/// `tools` are pairs of server name and upstream name. A tool keeps its upstream name where that is unique among
/// them, else it is `server__tool`; both made of `[A-Za-z0-9_-]`, at most 64 characters. Where two would still be
/// equal, and where one had to be cut, a hash of the exact pair is appended, so that the result depends on the set
/// alone and never on the order.
#[must_use]
pub fn wire_names(tools: &[(&str, &str)]) -> Vec<String> {
    let mut bearers: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, tool) in tools {
        *bearers.entry(tool).or_default() += 1;
    }
    let plain: Vec<String> = tools
        .iter()
        .map(
            |(server, tool)| {
                if bearers[tool] == 1 { (*tool).to_owned() } else { format!("{server}__{tool}") }
            },
        )
        .collect();
    let fitted: Vec<String> = plain.iter().map(|name| fit(name)).collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &fitted {
        *seen.entry(name).or_default() += 1;
    }
    let mut taken = BTreeSet::new();
    fitted
        .iter()
        .zip(tools)
        .map(|(name, (server, tool))| {
            let mut name = name.clone();
            let exact = format!("{}:{server}:{tool}", server.len());
            let mut salt = 0;
            while name.len() > WIRE_NAME_CHARS_MAX
                || name.is_empty()
                || (salt == 0 && seen.get(name.as_str()).is_some_and(|n| *n > 1))
                || taken.contains(&name)
            {
                let digest = crate::BlobHash::of(format!("{exact}:{salt}").as_bytes());
                let head: String =
                    fit(&format!("{server}__{tool}")).chars().take(WIRE_NAME_CHARS_MAX - 9).collect();
                name = format!("{head}_{}", &digest.as_str()[..8]);
                salt += 1;
            }
            taken.insert(name.clone());
            name
        })
        .collect()
}

fn fit(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

/// The hash of what a tool promises: name, description, schemas and annotations, as canonical JSON (RFC 8785).
///
/// An approval that was given for one definition does not hold for another.
#[must_use]
pub fn definition_hash(tool: &Tool) -> String {
    let Tool { name, description, input_schema, output_schema, annotations, .. } = tool;
    definition_hash_of(name, description, input_schema, output_schema.as_ref(), *annotations)
}

/// The same, of its parts.
pub(crate) fn definition_hash_of(
    name: &str,
    description: &str,
    input_schema: &Value,
    output_schema: Option<&Value>,
    annotations: Annotations,
) -> String {
    let promise = serde_json::json!({
        "name": name,
        "description": description,
        "input_schema": input_schema,
        "output_schema": output_schema,
        "annotations": annotations,
    });
    crate::BlobHash::of(canonical_json(&promise).as_bytes()).to_string()
}

/// `value` as canonical JSON (RFC 8785): keys sorted by UTF-16 code units, no white space.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            let body: Vec<String> = keys
                .into_iter()
                .map(|key| format!("{}:{}", Value::String(key.clone()), canonical_json(&members[key])))
                .collect();
            format!("{{{}}}", body.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical_json).collect::<Vec<_>>().join(","))
        }
        // RFC 8785 writes numbers as ECMAScript does: a whole number has no fraction.
        Value::Number(number) => match number.as_f64() {
            Some(float)
                if number.is_f64() && float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 =>
            {
                format!("{float:.0}")
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Whether `pattern` (a glob of `*` and `?` over the whole name) matches `name`.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// An argument that a person typed, as the tool's schema reads it: text where it takes text, JSON where it takes
/// something else.
///
/// # Errors
/// `Invalid` for a name that the schema does not take, and for text that is not what it takes.
pub fn argument(schema: &Value, name: &str, text: &str) -> Result<Value> {
    let properties = schema["properties"].as_object();
    let property = properties.and_then(|properties| properties.get(name));
    if property.is_none() && schema["additionalProperties"] == Value::Bool(false) {
        let known: Vec<&str> = properties.into_iter().flat_map(|it| it.keys()).map(String::as_str).collect();
        let there = if known.is_empty() {
            "it takes none".to_owned()
        } else {
            format!("it takes {}", known.join(", "))
        };
        let hint = near::hint(name, known).unwrap_or(there);
        return Err(Error::invalid(format!("the tool takes no argument `{name}`")).with_hint(hint));
    }
    let kind = property.map_or(&Value::Null, |property| &property["type"]);
    let takes_text =
        kind == "string" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|it| it == "string"));
    match serde_json::from_str::<Value>(text) {
        Ok(value) if !takes_text && (kind.is_null() || !value.is_string()) => Ok(value),
        _ if takes_text || kind.is_null() => Ok(Value::from(text)),
        _ => Err(Error::invalid(format!("argument `{name}` must be of type {kind}"))
            .with_hint("write it as JSON, e.g. 3, true, [\"a\"] or {\"a\": 1}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_names_are_short_unique_and_do_not_depend_on_order() {
        let long = "x".repeat(80);
        let check = |tools: &[(&str, &str)], expected: &[&str]| assert_eq!(wire_names(tools), expected);
        check(&[("fs", "read"), ("git", "log")], &["read", "log"]);
        check(&[("fs", "read"), ("git", "read")], &["fs__read", "git__read"]);
        check(&[("fs", "read.file")], &["read_file"]);
        let clash = [("a", "x.y"), ("a", "x_y"), ("b", long.as_str()), ("c", long.as_str()), ("d", "é")];
        let names = wire_names(&clash);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), clash.len(), "{names:?}");
        assert!(names.iter().all(|name| !name.is_empty() && name.len() <= WIRE_NAME_CHARS_MAX), "{names:?}");
        let mut turned = clash;
        turned.reverse();
        let mut back = wire_names(&turned);
        back.reverse();
        assert_eq!(names, back);
    }

    #[test]
    fn canonical_json_is_rfc_8785() {
        let value: Value =
            serde_json::from_str(r#"{"b":[1.0,2.5,"é\n"],"a":{"z":null,"y":true}}"#).expect("JSON");
        assert_eq!(canonical_json(&value), r#"{"a":{"y":true,"z":null},"b":[1,2.5,"é\n"]}"#);
    }

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name, fits) in [
            ("read_*", "read_file", true),
            ("*", "", true),
            ("git", "github", false),
            ("*_file", "read_text_file", true),
            ("r?ad", "read", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_typed_argument_is_what_the_schema_takes() {
        let schema = serde_json::json!({"properties": {
            "path": {"type": "string"}, "n": {"type": "integer"}, "either": {"type": ["string", "null"]}, "any": {},
        }, "additionalProperties": false});
        for (name, text, expected) in [
            ("path", "a.txt", "\"a.txt\""),
            ("path", "12", "\"12\""),
            ("either", "true", "\"true\""),
            ("n", "12", "12"),
            ("n", "twelve", "argument `n` must be of type \"integer\""),
            ("any", "[1]", "[1]"),
            ("any", "x", "\"x\""),
            ("pth", "x", "the tool takes no argument `pth`; did you mean `path`?"),
        ] {
            let found = match argument(&schema, name, text) {
                Ok(value) => value.to_string(),
                Err(error) if name == "n" => error.to_string(),
                Err(error) => format!("{error}; {}", error.hints().join("")),
            };
            assert_eq!(found, expected, "{name}={text}");
        }
    }
}
