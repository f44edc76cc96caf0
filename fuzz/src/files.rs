//! Any bytes as any file that people write: agents, servers, variables, rules, settings, templates. Nothing may panic,
//! and an edit that is taken must leave a file that is still read.
//!
//! What values mean is for the tests of `station-core`; here nothing is known about the input but that it is text. The
//! first byte, a digit, chooses the format, so that one corpus serves all. Run by `cargo xtask fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use station_core::Secret;
use station_core::file::edit::{
    AgentEdit, Field, edit_agent, put_server, remove_server, set_body, set_field, set_key, unset_key,
};
use station_core::file::servers::Unresolved;
use station_core::file::{
    Problem, Severity, clients, config, exported, prompt, render, rules, servers, variables,
};
use station_core::lock::Lock;
use std::collections::{BTreeMap, BTreeSet};

fuzz_target!(|data: &[u8]| {
    let Some((format, bytes)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match format.wrapping_sub(b'0') % 9 {
        0 => agent(&text),
        1 => server(&text),
        2 => values(&text),
        3 => said(rules::read(&text, "environment.yml").1),
        4 => settings(&text),
        5 => template(&text),
        6 => export(&text),
        7 => client(&text),
        _ => pins(&text),
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
    let _ = servers::looks_like(text);
    let named = |text: &str| -> Option<BTreeSet<String>> {
        let file = servers::read(text, "server.json", &value_of).0?;
        Some(file.entries.into_iter().map(|entry| entry.name).collect())
    };
    let names: BTreeSet<String> = file.into_iter().flat_map(|file| file.entries).map(|it| it.name).collect();
    for name in &names {
        let secret_of = |name: &str| value_of(name).map(Secret::new);
        match servers::resolve(text, "server.json", name, &secret_of) {
            Ok((definition, _)) => drop(definition.fingerprint()),
            Err(Unresolved::Missing(missing)) => assert!(!missing.is_empty()),
            Err(Unresolved::Broken(problems)) => said(problems),
        }
        if let Ok(edited) = remove_server(text, name) {
            let left = named(&edited)
                .unwrap_or_else(|| panic!("`{name}` was removed, and nothing is left to read\n{edited}"));
            let others: BTreeSet<String> = names.iter().filter(|other| *other != name).cloned().collect();
            assert_eq!(left, others, "`{name}` was removed\n{edited}");
        }
    }
    if let Ok(edited) = put_server(text, "added", &json!({"command": "true"}))
        && !names.is_empty()
    {
        let now =
            named(&edited).unwrap_or_else(|| panic!("a server was put in, and nothing is read\n{edited}"));
        let expected: BTreeSet<String> = names.iter().cloned().chain(["added".to_owned()]).collect();
        assert_eq!(now, expected, "{edited}");
    }
}

fn values(text: &str) {
    let (before, problems) = variables::read(text, "variables.yml");
    said(problems);
    let Some(before) = before else { return };
    let names = |text: &str| -> BTreeSet<String> {
        let (read, problems) = variables::read(text, "variables.yml");
        let read = read.unwrap_or_else(|| panic!("an edit broke the file: {problems:?}\n{text}"));
        read.into_keys().collect()
    };
    let known: BTreeSet<String> = before.into_keys().collect();
    for name in known.iter().map(String::as_str).chain(["ADDED"]) {
        if let Ok(set) = set_key(text, &[name], &Field::Text("a: \"b\"\n#c")) {
            let expected = known.iter().cloned().chain([name.to_owned()]).collect();
            assert_eq!(names(&set), expected, "`{name}` was set\n{set}");
        }
        if let Ok(unset) = unset_key(text, &[name]) {
            let expected = known.iter().filter(|other| *other != name).cloned().collect();
            assert_eq!(names(&unset), expected, "`{name}` was taken out\n{unset}");
        }
    }
}

fn export(text: &str) {
    match exported::read(text) {
        Ok(agent) => said(prompt::read(&agent.text, "agents/a.prompt").1),
        Err(problem) => said(vec![problem]),
    }
}

/// The servers of another client, each as an entry of a file of ours.
fn client(text: &str) {
    let Ok(root) = serde_json::from_str(text) else { return };
    for found in clients::servers(&root).into_iter().flatten() {
        if let Ok(ours) = put_server("{\"mcpServers\": {}}", &found.name, &found.entry.into()) {
            said(servers::read(&ours, "server.json", &|_| None).1);
        }
    }
}

fn pins(text: &str) {
    let (lock, problems) = Lock::read(text, "mcp.lock");
    said(problems);
    if let Some(lock) = lock {
        assert_eq!(Lock::read(&lock.text(), "mcp.lock").0.as_ref(), Some(&lock), "{}", lock.text());
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
    let values =
        BTreeMap::from([("name".to_owned(), json!("value")), ("list".to_owned(), json!(["a", "b"]))]);
    match render::render(&read, "a task with {{braces}}", &values) {
        Ok(rendered) => drop(rendered),
        Err(problem) => said(vec![problem]),
    }
}
