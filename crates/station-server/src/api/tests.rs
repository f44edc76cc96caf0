//! The table of operations and the document that is made of it.

use super::operation::read;
use super::{document, operations};
use serde_json::{Value, json};
use station_core::schema;
use std::collections::BTreeSet;

/// `schema` with the shapes that it names beside it, so that it can be checked alone.
fn alone(schema: &Value, document: &Value) -> Value {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    schema
}

#[test]
fn every_operation_has_a_name_of_its_own_and_examples_that_fit_its_schemas() {
    let document = document();
    let mut ids = BTreeSet::new();
    for operation in operations() {
        assert!(ids.insert(operation.id), "{} is there twice", operation.id);
        let described = &document["paths"][operation.path][operation.verb.word()];
        assert_eq!(described["operationId"], operation.id);
        let answer = &described["responses"][operation.status.to_string()]["content"];
        let content = answer.as_object().and_then(|it| it.values().next()).unwrap();
        let misfits = schema::check(&alone(&content["schema"], &document), &content["example"]);
        assert!(misfits.is_empty(), "{}: {misfits:?}", operation.id);
        if let Some(sent) = described.get("requestBody").map(|body| &body["content"]["application/json"]) {
            let misfits = schema::check(&sent["schema"], &sent["example"]);
            assert!(misfits.is_empty(), "{}: {misfits:?}", operation.id);
        }
        for name in operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameter = operation.parameters.iter().find(|it| it.name == name);
            assert!(parameter.is_some_and(|it| it.is_required), "{} has no parameter {name}", operation.id);
        }
    }
}

#[test]
fn what_an_operation_does_not_take_is_refused_and_not_passed_over() {
    let start = operations().find(|it| it.id == "start_run").unwrap();
    let check = |given: Value, expected: &str| {
        let read = read(start, given.as_object().unwrap()).err().map(|error| error.to_string());
        assert_eq!(read.unwrap_or_default(), expected, "{given}");
    };
    check(json!({ "agent": "triage", "task": "look" }), "");
    check(json!({ "agent": "triage", "task": "look", "xyz": 1 }), "`xyz` is nothing that `start_run` takes");
    check(
        json!({ "agent": "triage", "tasc": "look" }),
        "`task` is missing: What the agent is to do, in words; `tasc` is no argument; did you mean `task`?",
    );
}
