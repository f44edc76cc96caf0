//! Text, read, one field edited, read: nothing else has changed. And no text makes a reader panic.

use crate::workspace::{config_file, damaged, prompt_file, rules_file, server_file, variables_file};
use proptest::prelude::*;
use serde_json::Map;
use station_core::file::config;
use station_core::file::config::keys::{self, Written};
use station_core::file::edit::{
    AgentEdit, Field, Names, Unset, edit_agent, put_server, remove_server, rename_agent, set_key, unset_key,
};
use station_core::file::prompt::{self, Prompt, Schedule};
use station_core::file::rules::EnvironmentRules;
use station_core::file::{exported, render, rules, servers, variables};
use std::collections::BTreeMap;

fn read_prompt(text: &str) -> Prompt {
    let (prompt, problems) = prompt::read(text, "triage.prompt");
    prompt.unwrap_or_else(|| panic!("{problems:?}\n{text}"))
}

/// Every numbered comment, in order.
fn comments(text: &str) -> Vec<&str> {
    text.split("# c")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""))
        .collect()
}

/// All but one stretch of `before` is in `after`, in its place: that stretch.
fn stretch<'a>(before: &'a str, after: &str) -> &'a str {
    let start = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    let rest = (before.len() - start).min(after.len() - start);
    let end = before.bytes().rev().zip(after.bytes().rev()).take_while(|(a, b)| a == b).count().min(rest);
    before.get(start..before.len() - end).unwrap_or(before)
}

/// The servers of a file with what each says; where conditions stand in it, their names: the hash is then of the whole text.
fn entries(text: &str, whole: &str) -> Vec<(String, String)> {
    let (file, problems) = servers::read(text, "", &|_| None);
    let file = file.unwrap_or_else(|| panic!("{problems:?}\n{text}"));
    let hash = |hash: String| if whole.contains("{{ if") { String::new() } else { hash };
    file.entries.into_iter().map(|entry| (entry.name, hash(entry.definition_hash))).collect()
}

/// An edit of an agent, the key that it may touch, and what it is to change in what is read.
type Row = (AgentEdit, &'static str, Box<dyn Fn(&mut Prompt)>);

fn edits(tools: &[String]) -> Vec<Row> {
    let edit = AgentEdit::default;
    let names = |add: &str| Names { add: vec![add.to_owned()], ..Names::default() };
    let mut rows: Vec<Row> = vec![
        (
            AgentEdit { description: Some("new: # one".to_owned()), ..edit() },
            "metadata",
            Box::new(|it| it.description = "new: # one".to_owned()),
        ),
        (
            AgentEdit { model: Some("openai/new".to_owned()), ..edit() },
            "model",
            Box::new(|it| it.models = vec!["openai/new".to_owned()]),
        ),
        (AgentEdit { max_steps: Some(3), ..edit() }, "max_steps", Box::new(|it| it.max_steps = Some(3))),
        (
            AgentEdit { tools: names("__new"), ..edit() },
            "tools",
            Box::new(|it| it.tools.push("__new".to_owned())),
        ),
        (
            AgentEdit { agents: names("other"), ..edit() },
            "agents",
            Box::new(|it| it.agents.push("other".to_owned())),
        ),
        (
            AgentEdit { tags: names("ops"), ..edit() },
            "metadata",
            Box::new(|it| it.tags.push("ops".to_owned())),
        ),
        (
            AgentEdit { schedule: Some("0 5 * * *".to_owned()), ..edit() },
            "schedule",
            Box::new(|it| {
                let none = Schedule { cron: String::new(), enabled: true, variables: Map::new() };
                it.schedule.get_or_insert(none).cron = "0 5 * * *".to_owned();
            }),
        ),
        (
            AgentEdit { prompt: Some("{{role \"system\"}}\nYou are new.".to_owned()), ..edit() },
            "",
            Box::new(|it| it.body = "{{role \"system\"}}\nYou are new.".to_owned()),
        ),
        (AgentEdit { unset: vec![Unset::Model], ..edit() }, "model", Box::new(|it| it.models.clear())),
        (
            AgentEdit { unset: vec![Unset::MaxSteps], ..edit() },
            "max_steps",
            Box::new(|it| it.max_steps = None),
        ),
        (AgentEdit { unset: vec![Unset::Tools], ..edit() }, "tools", Box::new(|it| it.tools.clear())),
        (AgentEdit { unset: vec![Unset::Agents], ..edit() }, "agents", Box::new(|it| it.agents.clear())),
        (AgentEdit { unset: vec![Unset::Tags], ..edit() }, "metadata", Box::new(|it| it.tags.clear())),
        (AgentEdit { unset: vec![Unset::Schedule], ..edit() }, "schedule", Box::new(|it| it.schedule = None)),
    ];
    for name in tools {
        let (gone, left) = (name.clone(), name.clone());
        let names = Names { remove: vec![gone], ..Names::default() };
        let expect = move |it: &mut Prompt| it.tools.retain(|tool| *tool != left);
        rows.push((AgentEdit { tools: names, ..edit() }, "tools", Box::new(expect)));
    }
    rows
}

/// The body of a prompt without what an edit may do to its ends: lines end as those of the file do.
fn plain(body: &str) -> String {
    body.replace("\r\n", "\n").trim().to_owned()
}

proptest! {
    #[test]
    fn one_field_of_an_agent_changes(file in prompt_file()) {
        let before = read_prompt(&file.text);
        prop_assert_eq!(&before.tools, &file.tools);
        for (edit, key, expect) in edits(&file.tools) {
            let edited = edit_agent(&file.text, &edit);
            let edited = edited.unwrap_or_else(|problem| panic!("{problem}: {edit:?}\n{}", file.text));
            let mut expected = before.clone();
            expect(&mut expected);
            let mut after = read_prompt(&edited);
            if edit.prompt.is_some() {
                prop_assert_eq!(plain(&after.body), plain(&expected.body));
                after.body.clone_from(&expected.body);
            }
            prop_assert_eq!(&after, &Prompt { body_line: after.body_line, ..expected }, "{:?}\n{}", edit, file.text);
            // At the top level stand the names of files without `metadata`.
            let keys = if key == "metadata" { &["metadata", "name", "description"][..] } else { &[key] };
            prop_assert_eq!(file.pieces.lost(&edited, keys), None, "{:?}\n{}\n--\n{}", edit, file.text, edited);
            let takes = !edit.unset.is_empty() || !edit.tools.remove.is_empty() || edit.model.is_some();
            if !takes {
                prop_assert_eq!(comments(&edited), comments(&file.text), "{:?}\n{}\n--\n{}", edit, file.text, edited);
            }
            prop_assert_eq!(edited.contains("\r\n"), file.text.contains("\r\n"));
            prop_assert!(!file.text.contains("\r\n") || !edited.replace("\r\n", "").contains('\n'));
        }
    }

    #[test]
    fn an_agent_is_renamed(file in prompt_file()) {
        let before = read_prompt(&file.text);
        let renamed = rename_agent(&file.text, "other").unwrap_or_else(|problem| panic!("{problem}\n{}", file.text));
        let name = before.name.as_ref().map(|_| "other".to_owned());
        prop_assert_eq!(read_prompt(&renamed), Prompt { name, ..before });
        prop_assert_eq!(file.pieces.lost(&renamed, &["metadata", "name"]), None, "{}\n--\n{}", file.text, renamed);
        prop_assert_eq!(comments(&renamed), comments(&file.text));
    }

    #[test]
    fn one_setting_is_set_and_taken_out((text, pieces) in config_file()) {
        let names = ["ai_provider", "ai_model", "execution.workers", "execution.timeout", "execution.queue", "models.fast",
            "models.deep", "models.new", "log_level", "pool.idle_close", "child_env", "files"];
        let said = |text: &str| -> Vec<Option<String>> {
            let written = Written::read(text);
            names.iter().map(|name| written.value(name).expect("it is a setting")).collect()
        };
        for (at, (name, value)) in names.into_iter().zip(
            ["ollama", "a: b", "7", "2h", "9", "ollama/x", "ollama/y", "ollama/z", "warn", "9m", "C", "readonly"],
        ).enumerate() {
            let set = keys::set(&text, name, value).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
            let mut expected = said(&text);
            expected[at] = Some(value.to_owned());
            prop_assert_eq!(said(&set), expected, "{}\n{}\n--\n{}", name, text, set);
            let unset = keys::unset(&text, name).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
            let mut expected = said(&text);
            expected[at] = None;
            prop_assert_eq!(said(&unset), expected, "{}\n{}\n--\n{}", name, text, unset);
            let key = name.split('.').next().unwrap_or(name);
            for edited in [&set, &unset] {
                prop_assert_eq!(pieces.lost(edited, &[key]), None, "{}\n{}\n--\n{}", name, text, edited);
            }
            prop_assert_eq!(comments(&set).len(), comments(&text).len(), "{}\n{}\n--\n{}", name, text, set);
        }
    }

    #[test]
    fn an_environment_is_described((text, pieces) in rules_file(), description in "[^\0]{0,12}") {
        let read = |text: &str| rules::read(text, "").0.unwrap_or_else(|| panic!("{text}"));
        let edited = set_key(&text, &["description"], &Field::Text(&description));
        let edited = edited.unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        let expected = EnvironmentRules { description: Some(description), ..read(&text) };
        prop_assert_eq!(read(&edited), expected, "{}\n--\n{}", text, edited);
        prop_assert_eq!(pieces.lost(&edited, &["description"]), None, "{}\n--\n{}", text, edited);
        prop_assert_eq!(comments(&edited), comments(&text));
    }

    #[test]
    fn one_server_goes_and_comes(file in server_file()) {
        let before = entries(&file.text, &file.text);
        let names: Vec<&String> = before.iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names, file.names.iter().collect::<Vec<_>>());
        for name in &file.names {
            let without = remove_server(&file.text, name).unwrap_or_else(|problem| panic!("{problem}\n{}", file.text));
            let others: Vec<_> = before.iter().filter(|(known, _)| known != name).cloned().collect();
            prop_assert_eq!(entries(&without, &file.text), others);
            // One stretch is gone, and nothing has come.
            prop_assert_eq!(stretch(&file.text, &without).len(), file.text.len() - without.len());
            prop_assert!(remove_server(&without, name).is_err());
        }
        let entry = serde_json::json!({"command": "new", "args": ["a\"b"]});
        let with = put_server(&file.text, "new", &entry).unwrap_or_else(|problem| panic!("{problem}\n{}", file.text));
        prop_assert_eq!(&entries(&with, &file.text)[..before.len()], &before[..]);
        prop_assert_eq!(stretch(&file.text, &with), "");
        let back = remove_server(&with, "new").unwrap_or_else(|problem| panic!("{problem}\n{with}"));
        prop_assert_eq!(back, file.text);
    }

    #[test]
    fn one_variable_is_set_and_taken_out((text, names, pieces) in variables_file(), value in ".{0,12}") {
        let read = |text: &str| variables::read(text, "").0.unwrap_or_else(|| panic!("{text}"));
        let shown = |text: &str| -> BTreeMap<String, String> {
            read(text).into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()
        };
        for name in names.iter().copied().chain(["NEW"]) {
            let mut expected = shown(&text);
            let edited = set_key(&text, &[name], &Field::Text(&value)).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
            expected.insert(name.to_owned(), value.clone());
            prop_assert_eq!(shown(&edited), expected.clone(), "{}", text);
            let gone = unset_key(&text, &[name]).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
            expected.remove(name);
            prop_assert_eq!(shown(&gone), expected, "{}", text);
            for edited in [edited, gone] {
                let quoted = format!("\"{name}\"");
                prop_assert_eq!(pieces.lost(&edited, &[name, &quoted]), None, "{}\n--\n{}", text, edited);
                let own = stretch(&text, &edited);
                prop_assert_eq!(comments(&text).len(), comments(&edited).len() + comments(own).len(), "{}\n--\n{}", text, edited);
            }
        }
    }

    #[test]
    fn no_agent_panics(text in prop_oneof![any::<String>(), damaged(prompt_file().prop_map(|file| file.text))]) {
        let (prompt, _) = prompt::read(&text, "a.prompt");
        if let Some(prompt) = prompt {
            render::render(&prompt, "the {{task}}", &BTreeMap::new()).ok();
        }
        for (edit, ..) in edits(&["a".to_owned()]) {
            edit_agent(&text, &edit).ok();
        }
    }

    #[test]
    fn no_server_file_panics(text in prop_oneof![any::<String>(), damaged(server_file().prop_map(|file| file.text))]) {
        drop(servers::read(&text, "", &|_| Some("x".to_owned())));
        for name in ["git", "github", "new"] {
            servers::resolve(&text, "", name, &|_| Some(station_core::Secret::new("1\"\n"))).ok();
            remove_server(&text, name).ok();
            put_server(&text, name, &serde_json::json!({})).ok();
        }
        exported::read(&text).ok();
    }

    #[test]
    fn no_yaml_panics(text in prop_oneof![any::<String>(), damaged(variables_file().prop_map(|(text, ..)| text)),
        damaged(config_file().prop_map(|(text, _)| text)), damaged(rules_file().prop_map(|(text, _)| text))]) {
        drop(variables::read(&text, ""));
        drop(rules::read(&text, ""));
        drop(config::read(&text, ""));
        for path in [&["A"][..], &["A", "b"], &["execution", "workers"]] {
            set_key(&text, path, &Field::Text("x")).ok();
            unset_key(&text, path).ok();
        }
        keys::set(&text, "execution.workers", "5").ok();
    }
}
