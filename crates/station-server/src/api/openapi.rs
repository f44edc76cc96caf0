//! The OpenAPI document (3.1.1), made of the table of operations.

use super::operation::{Needs, Operation, Place, Verb};
use super::{BASE, operations};
use crate::tools::Parameter;
use crate::wire;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

/// Where shapes that several operations share stand.
const SCHEMAS: &str = "#/components/schemas";

/// What may stand as an `Idempotency-Key` without quotation marks.
const BARE_KEY: &str = r"^[!#-+\-.-:<-\[\]-~]+$";

/// The document, the same bytes each time.
///
/// # Panics
/// Never: examples are JSON, as the tests see.
#[must_use]
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = SCHEMAS.trim_start_matches('#').to_owned().into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let error = generator.subschema_for::<wire::Error>();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let at = paths.entry(operation.path.to_owned()).or_insert_with(|| json!({}));
        at[operation.verb.word()] = described(operation, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Station",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs AI agents with the tools they were granted. An error is one envelope, whatever went wrong.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": BASE }],
        "security": [{}, { "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "An API key (`stn_…`), an access token of the issuer that `oauth.issuer` names, or the token of the file \
                        `api-token` in the configuration folder. While there is no user, a program of Station's own user needs none.",
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-station",
                    "description": "Set by `create_session`. What changes something needs an Origin besides.",
                },
            },
            "parameters": {
                "IdempotencyKey": {
                    "name": "Idempotency-Key", "in": "header", "required": false,
                    "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": BARE_KEY },
                    "description": "A name of your own for this request, such as a UUID, with or without quotation marks: sent again \
                        with the same key within a day, it is not done again, and is answered as the first time. 409 while that is at work, \
                        or where nobody knows what became of it; 422 where the key came with another request.",
                },
            },
            "headers": {
                "IdempotentReplayed": {
                    "schema": { "const": "true" },
                    "description": "There where this is the answer of an earlier request with the same Idempotency-Key.",
                },
            },
            "responses": {
                "Error": {
                    "description": "Why not, and what to try.",
                    "headers": {
                        "x-request-id": { "schema": { "type": "string" }, "description": "What the log calls this request." },
                        "retry-after": { "schema": { "type": "integer" }, "description": "Seconds until it is worth trying again." },
                    },
                    "content": { "application/json": { "schema": error } },
                },
            },
            "schemas": schemas,
        },
    })
}

fn described(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let output = (operation.output)(generator);
    let answers: Value = example(operation.answers);
    let media = if operation.id == "follow_run" { "text/event-stream" } else { "application/json" };
    let status = operation.status.to_string();
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.says,
        "responses": {
            &status: {
                "description": operation.summary,
                "content": { media: { "schema": output, "example": answers } },
            },
            "default": { "$ref": "#/components/responses/Error" },
        },
    });
    match operation.needs {
        Needs::Nothing => described["security"] = json!([{}]),
        Needs::Credential => {}
        // An extension (OpenAPI 3.1.1, Specification Extensions): what the caller's role must be at least, and its key's scope.
        Needs::Oneself => described["x-station-role"] = "admin, or the user itself".into(),
        Needs::Right(action) => {
            described["x-station-role"] = action.least().as_str().into();
            described["x-station-scope"] = action.scope().as_str().into();
        }
    }
    let mut parameters: Vec<Value> =
        operation.parameters.iter().filter_map(|it| parameter(operation, it)).collect();
    if operation.heeds_key() {
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
        let replayed = json!({ "$ref": "#/components/headers/IdempotentReplayed" });
        described["responses"][&status]["headers"] = json!({ "idempotent-replayed": replayed });
    }
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if operation.verb.has_body() {
        described["requestBody"] = body(operation);
    }
    described
}

fn parameter(operation: &Operation, parameter: &Parameter) -> Option<Value> {
    let place = match operation.place(parameter) {
        Place::Path => "path",
        Place::Query => "query",
        Place::Body => return None,
    };
    Some(json!({
        "name": parameter.name,
        "in": place,
        "required": place == "path" || parameter.is_required,
        "description": parameter.says,
        "schema": parameter.schema_in_full(),
    }))
}

fn body(operation: &Operation) -> Value {
    let in_body = || operation.parameters.iter().filter(|it| operation.place(it) == Place::Body);
    let properties: Map<String, Value> =
        in_body().map(|it| (it.name.to_owned(), in_body_schema(it))).collect();
    let required: Vec<&str> = in_body().filter(|it| it.is_required).map(|it| it.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = required.clone().into();
    }
    json!({
        // An empty object at least: a write without a type is refused, as a page of another site could make it.
        "required": true,
        "content": { "application/json": { "schema": schema, "example": example(operation.sends) } },
    })
}

/// A parameter as it stands in a body, where `null` says nothing.
fn in_body_schema(parameter: &Parameter) -> Value {
    let mut schema = parameter.schema_in_full();
    if parameter.is_required {
        return schema;
    }
    if let Some(kinds) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        kinds.push(json!({ "type": "null" }));
        return schema;
    }
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

fn example(text: &str) -> Value {
    serde_json::from_str(text).expect("examples are JSON")
}

impl Verb {
    /// As the document writes it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}
