//! Text, read, one field edited, read: nothing else has changed. And no text makes a reader panic.

use crate::workspace::{damaged, prompt_file, server_file, variables_file};
use proptest::prelude::*;
use station_core::file::config::{self, keys};
use station_core::file::edit::{
    AgentEdit, Field, Names, Unset, edit_agent, put_server, remove_server, set_key, unset_key,
};
use station_core::file::prompt::{self, Prompt};
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

/// An edit of an agent, and what it is to change in what is read.
type Row = (AgentEdit, fn(&mut Prompt));

fn edits() -> Vec<Row> {
    let edit = AgentEdit::default;
    let names = |add: &str| Names { add: vec![add.to_owned()], ..Names::default() };
    vec![
        (AgentEdit { description: Some("new: # one".to_owned()), ..edit() }, |it| {
            it.description = "new: # one".to_owned();
        }),
        (AgentEdit { max_steps: Some(3), ..edit() }, |it| it.max_steps = Some(3)),
        (AgentEdit { tools: names("__new"), ..edit() }, |it| it.tools.push("__new".to_owned())),
        (AgentEdit { agents: names("other"), ..edit() }, |it| it.agents.push("other".to_owned())),
        (AgentEdit { tags: names("ops"), ..edit() }, |it| it.tags.push("ops".to_owned())),
        (AgentEdit { unset: vec![Unset::MaxSteps], ..edit() }, |it| it.max_steps = None),
    ]
}

proptest! {
    #[test]
    fn one_field_of_an_agent_changes(file in prompt_file()) {
        let before = read_prompt(&file.text);
        prop_assert_eq!(&before.tools, &file.tools);
        for (edit, expect) in edits() {
            let edited = edit_agent(&file.text, &edit);
            let edited = edited.unwrap_or_else(|problem| panic!("{problem}: {edit:?}\n{}", file.text));
            let mut expected = before.clone();
            expect(&mut expected);
            let after = read_prompt(&edited);
            prop_assert_eq!(&after, &Prompt { body_line: after.body_line, ..expected }, "{:?}\n{}", edit, file.text);
            let lost = comments(stretch(&file.text, &edited));
            let gone = edit.unset.contains(&Unset::MaxSteps) && file.text.contains("# c6");
            let kept: Vec<&str> =
                comments(&file.text).into_iter().filter(|comment| !(gone && *comment == "6")).collect();
            prop_assert_eq!(comments(&edited), kept, "{:?} lost {:?}\n{}\n--\n{}", edit, lost, file.text, edited);
            prop_assert_eq!(edited.contains("\r\n"), file.text.contains("\r\n"));
            prop_assert!(!file.text.contains("\r\n") || !edited.replace("\r\n", "").contains('\n'));
        }
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
    fn one_variable_is_set_and_taken_out((text, names) in variables_file(), value in ".{0,12}") {
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
        for (edit, _) in edits() {
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
    fn no_yaml_panics(text in prop_oneof![any::<String>(), damaged(variables_file().prop_map(|(text, _)| text))]) {
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
