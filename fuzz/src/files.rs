//! Any bytes as any file that people write: agents, servers, variables, rules, settings, templates. Nothing may panic,
//! and an edit that is taken must leave a file that is still read.
//!
//! What values mean is for the tests of `station-core`; here nothing is known about the input but that it is text. The
//! first byte chooses the format, so that one corpus serves all. Run by `cargo xtask fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use station_core::file::edit::{AgentEdit, Field, edit_agent, put_server, remove_server, set_body, set_field};
use station_core::file::{Problem, Severity, config, prompt, render, rules, servers, variables};
use std::collections::BTreeMap;

fuzz_target!(|data: &[u8]| {
    let Some((format, bytes)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match format % 6 {
        0 => agent(&text),
        1 => server(&text),
        2 => said(variables::read(&text, "variables.yml").1),
        3 => said(rules::read(&text, "environment.yml").1),
        4 => settings(&text),
        _ => template(&text),
    }
});

/// Problems are shown to people: each can be, and points into the file.
fn said(problems: Vec<Problem>) {
    for problem in problems {
        assert!(!problem.to_string().is_empty());
        assert!(problem.at.is_none_or(|at| at.line > 0 && at.column > 0), "{problem}");
    }
}

fn agent(text: &str) {
    let (before, problems) = prompt::read(text, "agents/a.prompt");
    let is_whole = problems.iter().all(|it| it.severity != Severity::Error);
    said(problems);
    let edit = AgentEdit { description: Some("new".to_owned()), ..AgentEdit::default() };
    let edits = [
        edit_agent(text, &edit),
        set_field(text, "model", &Field::Text("openai/gpt-5")),
        set_body(text, "{{role \"system\"}}\nYou are new.\n"),
    ];
    for edited in edits.into_iter().flatten() {
        let (after, problems) = prompt::read(&edited, "agents/a.prompt");
        if is_whole && before.is_some() {
            assert!(after.is_some(), "an edit broke the file: {problems:?}\n{edited}");
        }
    }
}

fn server(text: &str) {
    let value_of = |name: &str| (name.len() % 2 == 0).then(|| "value".to_owned());
    let (file, problems) = servers::read(text, "server.json", &value_of);
    said(problems);
    servers::looks_like(text);
    for entry in file.into_iter().flat_map(|file| file.entries) {
        if let Ok(edited) = remove_server(text, &entry.name) {
            let (after, _) = servers::read(&edited, "server.json", &value_of);
            let is_left = after.iter().flat_map(|file| &file.entries).any(|left| left.name == entry.name);
            assert!(!is_left, "`{}` was removed and is there\n{edited}", entry.name);
        }
    }
    if let Ok(edited) = put_server(text, "added", &json!({"command": "true"})) {
        serde_json::from_str::<serde_json::Value>(&edited).map(drop).unwrap_or_default();
    }
}

fn settings(text: &str) {
    said(config::read(text, "config.yaml").1);
    if let Ok(edited) = config::keys::set(text, "log_level", "debug") {
        said(config::read(&edited, "config.yaml").1);
    }
}

/// The body of an agent that has a head.
fn template(text: &str) {
    let whole = format!("---\nmodel: offline\ninput:\n  schema:\n    task: string\n---\n{text}");
    let (Some(read), problems) = prompt::read(&whole, "agents/a.prompt") else { return };
    said(problems);
    let values = BTreeMap::from([("name".to_owned(), json!("value")), ("list".to_owned(), json!(["a", "b"]))]);
    match render::render(&read, "a task with {{braces}}", &values) {
        Ok(rendered) => drop(rendered),
        Err(problem) => said(vec![problem]),
    }
}
