//! What happens in a run, event by event, as the document describes it.
//!
//! `http::api` writes them; the schema is that of one event, since OpenAPI before 3.2 has no word for a stream.

use crate::wire;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// JSON Schema of one event.
pub(super) fn shape(generator: &mut SchemaGenerator) -> Schema {
    let entry = {
        let mut entry = event::<wire::Entry>("entry", "An entry of the journal.", generator);
        entry["properties"]["id"] = json!({ "type": "string", "description": "Its place in the journal." });
        entry["required"] = json!(["event", "id", "data"]);
        entry
    };
    json_schema!({
        "oneOf": [
            entry,
            event::<String>("text", "A piece of what a model says.", generator),
            event::<wire::Run>("parked", "It goes on only when somebody has acted.", generator),
            event::<wire::Run>("end", "It has ended; the last event.", generator),
            event::<wire::Error>("error", "Why no more is told.", generator),
        ],
    })
}

fn event<T: JsonSchema>(name: &str, says: &str, generator: &mut SchemaGenerator) -> Value {
    json!({
        "type": "object",
        "description": says,
        "properties": {
            "event": { "const": name },
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": generator.subschema_for::<T>(),
            },
        },
        "required": ["event", "data"],
    })
}
