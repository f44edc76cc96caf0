//! Picoschema, dotprompt's short form of JSON Schema: `name?(array, what it is): string`.
//!
//! Follows google/dotprompt's reference reading, its ways included: an optional field may also be null, an object
//! takes no other fields than it names, `(*)` says what others may be. Named schemas do not exist here: an agent's
//! file stands alone.

use crate::schema::Fault;
use serde_json::{Map, Value, json};

const SCALARS: [&str; 6] = ["string", "boolean", "null", "number", "integer", "any"];

/// The JSON Schema that `schema` means: itself where it already is one, else what its Picoschema says.
pub(crate) fn to_json_schema(schema: &Value) -> Result<Value, Vec<Fault>> {
    let mut faults = Vec::new();
    let read = match schema {
        Value::Object(fields) if is_json_schema(fields) => {
            let mut schema = fields.clone();
            if !schema.contains_key("type") && schema.get("properties").is_some_and(Value::is_object) {
                schema.insert("type".to_owned(), json!("object"));
            }
            Value::Object(schema)
        }
        Value::Bool(_) => schema.clone(),
        other => pico(other, &mut Vec::new(), &mut faults),
    };
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}

/// dotprompt's test (a known `type`, or `properties`), and what only a JSON Schema begins with.
fn is_json_schema(fields: &Map<String, Value>) -> bool {
    let is_type = |value: &Value| {
        value.as_str().is_some_and(|word| SCALARS.contains(&word) || matches!(word, "object" | "array"))
    };
    let has_type = fields.get("type").is_some_and(|value| match value {
        Value::Array(words) => !words.is_empty() && words.iter().all(is_type),
        one => is_type(one),
    });
    has_type
        || fields.get("properties").is_some_and(Value::is_object)
        || fields.keys().any(|key| key.starts_with('$'))
        || ["anyOf", "oneOf", "allOf", "enum"].iter().any(|key| fields.get(*key).is_some_and(Value::is_array))
}

fn pico(schema: &Value, path: &mut Vec<String>, faults: &mut Vec<Fault>) -> Value {
    match schema {
        Value::String(text) => scalar(text, path, faults),
        Value::Object(fields) => object(fields, path, faults),
        // YAML reads `field: null` as nothing; the author wrote the type.
        Value::Null => json!({"type": "null"}),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            let sentence =
                format!("a type such as `string`, or a mapping of fields, is expected here, not `{schema}`");
            faults.push(Fault { path: path.clone(), sentence });
            Value::Null
        }
    }
}

fn scalar(text: &str, path: &[String], faults: &mut Vec<Fault>) -> Value {
    let (word, description) = split_description(text);
    if !SCALARS.contains(&word) {
        let sentence = format!("`{word}` is no type: string, number, integer, boolean, null and any are");
        faults.push(Fault { path: path.to_vec(), sentence });
    }
    let mut schema = Map::new();
    if word != "any" {
        schema.insert("type".to_owned(), json!(word));
    }
    describe(&mut schema, description);
    Value::Object(schema)
}

fn object(fields: &Map<String, Value>, path: &mut Vec<String>, faults: &mut Vec<Fault>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut others = json!(false);
    for (key, value) in fields {
        path.push(key.clone());
        if key == "(*)" {
            others = pico(value, path, faults);
        } else {
            let field = Field::of(key);
            if !field.is_optional {
                required.push(json!(field.name));
            }
            properties.insert(field.name.to_owned(), property(&field, value, path, faults));
        }
        path.pop();
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
    schema.insert("additionalProperties".to_owned(), others);
    Value::Object(schema)
}

/// A key such as `name?(array, what it is)`, taken apart.
struct Field<'a> {
    name: &'a str,
    is_optional: bool,
    /// The word in parentheses.
    form: Option<&'a str>,
    description: Option<&'a str>,
}

impl<'a> Field<'a> {
    fn of(key: &'a str) -> Self {
        let (name, inner) = match key.split_once('(') {
            Some((name, inner)) => (name, Some(inner.strip_suffix(')').unwrap_or(inner))),
            None => (key, None),
        };
        let (form, description) = match inner.map(split_description) {
            Some((form, description)) => (Some(form), description),
            None => (None, None),
        };
        let is_optional = name.ends_with('?');
        Self { name: name.strip_suffix('?').unwrap_or(name), is_optional, form, description }
    }
}

fn property(field: &Field<'_>, value: &Value, path: &mut Vec<String>, faults: &mut Vec<Fault>) -> Value {
    let mut schema = match field.form {
        None | Some("object") => match pico(value, path, faults) {
            Value::Object(schema) => schema,
            _ => Map::new(),
        },
        Some("array") => {
            let mut schema = Map::new();
            schema.insert("type".to_owned(), json!("array"));
            schema.insert("items".to_owned(), pico(value, path, faults));
            schema
        }
        Some("enum") => {
            let Value::Array(choices) = value else {
                let sentence = "the values of an enum are a list".to_owned();
                faults.push(Fault { path: path.clone(), sentence });
                return Value::Null;
            };
            let mut choices = choices.clone();
            if field.is_optional && !choices.contains(&Value::Null) {
                choices.push(Value::Null);
            }
            let mut schema = Map::new();
            schema.insert("enum".to_owned(), Value::Array(choices));
            schema
        }
        Some(other) => {
            let sentence = format!("`({other})` is unknown: array, object and enum are known");
            faults.push(Fault { path: path.clone(), sentence });
            Map::new()
        }
    };
    if field.is_optional
        && let Some(Value::String(word)) = schema.get("type")
        && word != "null"
    {
        schema.insert("type".to_owned(), json!([word, "null"]));
    }
    describe(&mut schema, field.description);
    Value::Object(schema)
}

fn describe(schema: &mut Map<String, Value>, description: Option<&str>) {
    if let Some(description) = description {
        schema.insert("description".to_owned(), json!(description));
    }
}

fn split_description(text: &str) -> (&str, Option<&str>) {
    match text.split_once(',') {
        Some((word, description)) => (word.trim(), Some(description.trim_start())),
        None => (text.trim(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "rows read better without borrows")]
    fn check(schema: Value, expected: Result<Value, &str>) {
        let found = to_json_schema(&schema);
        match expected {
            Ok(expected) => assert_eq!(found.expect("it is Picoschema"), expected),
            Err(sentence) => {
                let faults = found.expect_err("it is broken");
                let told: Vec<String> = faults
                    .iter()
                    .map(|fault| format!("{}: {}", fault.path.join("."), fault.sentence))
                    .collect();
                assert!(told.iter().any(|line| line.contains(sentence)), "{told:?}");
            }
        }
    }

    #[test]
    fn a_json_schema_is_kept() {
        for schema in [
            json!({"type": "object", "properties": {"finding": {"type": "string"}}, "required": ["finding"]}),
            json!({"type": ["string", "null"]}),
            json!({"anyOf": [{"type": "string"}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}),
        ] {
            check(schema.clone(), Ok(schema));
        }
        check(json!({"properties": {}}), Ok(json!({"properties": {}, "type": "object"})));
    }

    #[test]
    fn picoschema_is_read() {
        check(json!("string, a name"), Ok(json!({"type": "string", "description": "a name"})));
        check(
            json!({
                "title": "string, the title, in short",
                "n?": "integer",
                "free": "any",
                "tags(array, what it is about)": "string",
                "owner?(object)": {"name": "string"},
                "state(enum, how it is)": ["open", "closed"],
                "risk?(enum)": ["low"],
                "(*)": "number"
            }),
            Ok(json!({
                "type": "object",
                "properties": {
                    "title": {"type": "string", "description": "the title, in short"},
                    "n": {"type": ["integer", "null"]},
                    "free": {},
                    "tags": {"type": "array", "items": {"type": "string"}, "description": "what it is about"},
                    "owner": {"type": ["object", "null"], "properties": {"name": {"type": "string"}},
                              "required": ["name"], "additionalProperties": false},
                    "state": {"enum": ["open", "closed"], "description": "how it is"},
                    "risk": {"enum": ["low", null]}
                },
                "required": ["title", "free", "tags", "state"],
                "additionalProperties": {"type": "number"}
            })),
        );
    }

    #[test]
    fn what_is_no_picoschema_is_named() {
        check(json!({"a": {"b": "strnig"}}), Err("a.b: `strnig` is no type"));
        check(json!({"a(list)": "string"}), Err("a(list): `(list)` is unknown"));
        check(json!({"a(enum)": "x"}), Err("the values of an enum are a list"));
        check(json!({"a": 5}), Err("a: a type such as `string`"));
        check(json!(["string"]), Err("a type such as"));
    }
}
