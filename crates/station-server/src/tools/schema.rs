//! JSON Schemas of what tools take and give, in few words.

use serde_json::{Map, Value, json};

/// An object with these properties; others may be added in later releases.
pub(super) fn object_of(properties: &Map<String, Value>, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

/// An object in which each of `properties` is there; those whose name ends with `?` may be missing.
pub(super) fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<&str> =
        properties.iter().map(|(name, _)| *name).filter(|name| !name.ends_with('?')).collect();
    let named = |(name, schema): &(&str, Value)| (name.trim_end_matches('?').to_owned(), schema.clone());
    object_of(&properties.iter().map(named).collect(), &required)
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn text_or_null() -> Value {
    json!({ "type": ["string", "null"] })
}

pub(super) fn number() -> Value {
    json!({ "type": "integer" })
}

pub(super) fn number_or_null() -> Value {
    json!({ "type": ["integer", "null"] })
}

pub(super) fn truth() -> Value {
    json!({ "type": "boolean" })
}

pub(super) fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// Whatever is there: its shape is another's.
pub(super) fn any() -> Value {
    json!({})
}
