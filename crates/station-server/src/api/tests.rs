//! The table of operations and the document that is made of it.

use super::operation::{Verb, read};
use super::{document, is_for_another_method, operations, request};
use axum::http::Method;
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

#[test]
fn the_docs_name_every_post_that_heeds_no_key() {
    let path = format!("{}/../../docs/api.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (_, told) = text.split_once("Every POST heeds the key").unwrap();
    let (told, _) = told.split_once("PATCH and DELETE need none").unwrap();
    let named: BTreeSet<&str> =
        told.split('`').filter(|word| operations().any(|it| it.id == *word)).collect();
    let without = operations().filter(|it| it.verb == Verb::Post && !it.heeds_key());
    assert_eq!(named, without.map(|it| it.id).collect::<BTreeSet<_>>());
}

#[test]
fn what_is_asked_for_by_name_is_sent_where_the_operation_reads_it() {
    let check = |id: &str, given: Value, expected: &str| {
        let sent = request(id, given.as_object().unwrap().clone());
        let told = sent.map(|it| {
            let mut query: Vec<String> =
                it.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            // Their order says nothing.
            query.sort();
            let body = it.body.map(|body| body.to_string()).unwrap_or_default();
            format!("{} {} {} {body}", it.method, it.path.join("/"), query.join("&")).trim_end().to_owned()
        });
        assert_eq!(told.unwrap_or_else(|error| error.to_string()), expected);
    };
    check(
        "list_runs",
        json!({ "agent": "a b", "open": true, "limit": 5, "cursor": null }),
        "GET api/v1/runs agent=a b&limit=5&open=true",
    );
    check(
        "start_run",
        json!({ "agent": "a/b", "task": "look" }),
        r#"POST api/v1/agents/a/b/runs  {"task":"look"}"#,
    );
    check(
        "plan_lock",
        json!({ "environment": "x", "servers": ["a", "b"] }),
        "GET api/v1/environments/x/lock servers=a&servers=b",
    );
    check("retry_run", json!({ "run": 7 }), "POST api/v1/runs/7/retry  {}");
    check("delete_agent", json!({ "agent": 7, "environment": "x" }), "DELETE api/v1/agents/7 environment=x");
    check("show_run", json!({ "run": "" }), "`run` is empty");
    check("show_agent", json!({ "agent": ".." }), "there is no agent `..`");
    check("fly", json!({}), "something went wrong while asking for `fly`");
    check("show_run", json!({ "run": 1, "x": 2 }), "something went wrong while asking for `show_run`");
}

#[test]
fn an_address_is_known_by_the_methods_that_it_takes() {
    let check = |method: Method, path: &str, expected: bool| {
        assert_eq!(is_for_another_method(&method, path), expected, "{method} {path}");
    };
    check(Method::POST, "/api/v1/agents/triage", true);
    check(Method::PUT, "/api/v1/agents", true);
    check(Method::PATCH, "/api/v1/agents/triage", false);
    check(Method::POST, "/api/v1/agents/triage/runs", false);
    // Of what is not there nothing is said, and what is not ours is told elsewhere.
    check(Method::POST, "/api/v1/agents/triage/runs/7", false);
    check(Method::PUT, "/mcp", false);
}
