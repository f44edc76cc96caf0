//! Agents' files, as rows.

use super::{Prompt, Schedule, read};
use crate::file::{Problem, Severity};
use crate::run::{Effort, Settings, UnknownPolicy};
use proptest::prelude::*;
use serde_json::{Map, json};

const INVESTIGATOR: &str = r#"---
metadata:
  name: "Cost Spike Investigator"
  description: "Finds what a cost went to"
  tags: ["finops", "aws"]
  app: "finops"
  app_type: "investigations"
model: gpt-4o-mini
max_steps: 8
tools:
  - "__read_text_file"   # short name, as most files write it
  - "__list_directory"
output:
  format: json
  schema: {type: object, properties: {finding: {type: string}}, required: [finding]}
harness: agentic          # a key that is not understood stays
---

{{role "system"}}
You investigate. <Answer> in one sentence & nothing else.
{{role "user"}}
{{userInput}}
"#;

const COORDINATOR: &str = r#"---
metadata:
  name: "coordinator"
  description: "Asks the others"
model: gpt-4o-mini
max_steps: 40
agents: ["triage", "Cost Spike Investigator"]
tools: []
schedule:
  cron: "0 0 9 * * *"
  enabled: true
---
{{role "system"}}
You coordinate {{team}}.
{{role "user"}}
{{userInput}}
"#;

fn told(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| format!("{:?} {problem}", problem.severity)).collect()
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

#[test]
fn the_files_of_an_old_home_are_read() {
    let (prompt, problems) = read(INVESTIGATOR, "agents/Cost Spike Investigator.prompt");
    assert_eq!(
        told(&problems),
        [
            "Note agents/Cost Spike Investigator.prompt:6:3: `metadata.app` is kept, but has no effect here",
            "Note agents/Cost Spike Investigator.prompt:7:3: `metadata.app_type` is kept, but has no effect here",
            "Note agents/Cost Spike Investigator.prompt:16:1: `harness` is kept, but has no effect here",
        ]
    );
    assert_eq!(
        prompt,
        Some(Prompt {
            name: Some("Cost Spike Investigator".to_owned()),
            description: "Finds what a cost went to".to_owned(),
            tags: strings(&["finops", "aws"]),
            models: strings(&["gpt-4o-mini"]),
            max_steps: Some(8),
            tools: strings(&["__read_text_file", "__list_directory"]),
            output_schema: Some(
                json!({"type": "object", "properties": {"finding": {"type": "string"}}, "required": ["finding"]})
            ),
            body: INVESTIGATOR.split_once("\n---\n").expect("it has a body").1.to_owned(),
            body_line: 17,
            path: "agents/Cost Spike Investigator.prompt".to_owned(),
            ..Prompt::default()
        })
    );
    let (prompt, problems) = read(COORDINATOR, "agents/coordinator.prompt");
    assert_eq!(
        told(&problems),
        [
            "Warning agents/coordinator.prompt:6:12: `max_steps` is 40, outside of 1 to 25",
            "Note agents/coordinator.prompt:9:1: `schedule` is kept, but has no effect here",
        ]
    );
    let prompt = prompt.expect("it is sound");
    assert_eq!(prompt.max_steps, Some(40));
    assert_eq!(prompt.agents, strings(&["triage", "Cost Spike Investigator"]));
    assert_eq!(
        prompt.schedule,
        Some(Schedule { cron: "0 0 9 * * *".to_owned(), enabled: true, variables: Map::new() })
    );
}

#[track_caller]
fn check(front: &str, expected: &Prompt) {
    for end in ["\n", "\r\n"] {
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}---\n{front}---\nx").replace('\n', end);
            let (prompt, problems) = read(&text, "");
            let prompt = prompt.unwrap_or_else(|| panic!("{:?}", told(&problems)));
            assert_eq!(
                prompt,
                Prompt { body: "x".to_owned(), body_line: prompt.body_line, ..expected.clone() },
                "{text:?}"
            );
        }
    }
}

#[test]
fn every_key_has_its_value() {
    let none = Prompt::default();
    check("", &none);
    check("# only a comment\n", &none);
    check("model:\ntools:\nmetadata:\nmax_steps: ~\n", &none);
    check(
        "name: a\ndescription: 5\n",
        &Prompt { name: Some("a".into()), description: "5".into(), ..none.clone() },
    );
    check(
        "description: top\nmetadata: {description: below}\nname: top\n",
        &Prompt { name: Some("top".into()), description: "below".into(), ..none.clone() },
    );
    check("model: [a/b, c]\n", &Prompt { models: strings(&["a/b", "c"]), ..none.clone() });
    check("model: \"\"\n", &none);
    check(
        "tools: __a\nagents: b\n",
        &Prompt { tools: strings(&["__a"]), agents: strings(&["b"]), ..none.clone() },
    );
    check("x: &t [a, b]\ntools: *t\n", &Prompt { tools: strings(&["a", "b"]), ..none.clone() });
    check(
        "config: {temperature: 0.2, topP: 1, maxOutputTokens: 100, stopSequences: [END], topK: 4, reasoning_effort: high}\n",
        &Prompt {
            settings: Settings {
                temperature: Some(0.2),
                top_p: Some(1.0),
                max_output_tokens: Some(100),
                stop: strings(&["END"]),
                effort: Some(Effort::High),
            },
            ..none.clone()
        },
    );
    check(
        "station: {timeout_s: 60, unknown: park, approve: [\"delete_*\"]}\n",
        &Prompt {
            timeout_s: Some(60),
            unknown: UnknownPolicy::Park,
            approve: strings(&["delete_*"]),
            ..none.clone()
        },
    );
    check(
        "station:\n  limits:\n    timeout_s: 5\n    steps: 3\n",
        &Prompt { timeout_s: Some(5), ..none.clone() },
    );
    check(
        "schedule: \"*/5 * * * *\"\n",
        &Prompt {
            schedule: Some(Schedule { cron: "*/5 * * * *".into(), enabled: true, variables: Map::new() }),
            ..none.clone()
        },
    );
    check(
        "input:\n  schema:\n    team?: string, who\n  default: {team: us, n: 1, on: True}\n",
        &Prompt {
            input_schema: Some(json!({
                "type": "object", "properties": {"team": {"type": ["string", "null"], "description": "who"}},
                "additionalProperties": false
            })),
            input_defaults: json!({"team": "us", "n": 1, "on": true}).as_object().expect("it is one").clone(),
            ..none.clone()
        },
    );
    let schema = Some(json!({"type": "object", "properties": {"a": {"type": "string"}}}));
    for front in [
        "output_schema: '{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\"}}}'\n",
        "output_schema: |\n  {\"type\": \"object\",\n   \"properties\": {\"a\": {\"type\": \"string\"}}}\n",
        "output_schema:\n  properties:\n    a: {type: string}\n  type: object\n",
        "output: {format: json, schema: {type: object, properties: {a: {type: string}}}}\noutput_schema: {type: string}\n",
    ] {
        check(front, &Prompt { output_schema: schema.clone(), ..none.clone() });
    }
}

#[track_caller]
fn says(text: &str, path: &str, expected: &[&str]) {
    let (prompt, problems) = read(text, path);
    let found = told(&problems);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:#?}");
    }
    assert_eq!(prompt.is_none(), expected.iter().any(|line| line.starts_with("Error")));
}

#[test]
fn every_problem_is_told_with_its_place() {
    says(
        "---\nmetadata:\n  name: other\n  tags: {a: 1}\nmodel: {x: y}\ntools: [[a]]\nmax_steps: many\n\
         config: {temperature: hot}\nsandbox: {}\n---\nx\n{{#if a}}\n",
        "agents/triage.prompt",
        &[
            "Warning agents/triage.prompt:3:9: the file's name is the agent's name: `triage`, not `other`",
            "Error agents/triage.prompt:4:9: `metadata.tags` must be a list of texts",
            "Error agents/triage.prompt:5:8: `model` must be a list of texts",
            "Error agents/triage.prompt:6:9: `tools.0` must be a text",
            "Error agents/triage.prompt:7:12: `max_steps` must be a whole number",
            "Error agents/triage.prompt:8:23: `config.temperature` must be a number",
            "Note agents/triage.prompt:9:1: `sandbox` is kept",
            "Error agents/triage.prompt:12:1: the block `{{#if}}` is not closed",
        ],
    );
    says("You are …", "a.prompt", &["Error a.prompt:1:1: the front matter is missing"]);
    says("---\nmodel: x\n", "a.prompt", &["Error a.prompt:2:1: the front matter has no end"]);
    says("---\na: [\n---\n", "a.prompt", &["Error a.prompt:"]);
    says("---\n- a\n---\n", "a.prompt", &["Error a.prompt:2:1: `the front matter` must be a map"]);
    says("---\nmodel: a\nmodel: b\n---\n", "a.prompt", &["Error a.prompt:3:1: `model` stands twice"]);
    says(
        "---\noutput: {schema: {a: strnig}}\n---\n",
        "a.prompt",
        &["Error a.prompt:2:22: `output.schema.a`: `strnig` is no type"],
    );
    says(
        "---\noutput: {format: json}\n---\n",
        "a.prompt",
        &["Warning a.prompt:2:10: `output.format: json` has no effect"],
    );
    says("---\noutput: {format: text}\n---\n", "a.prompt", &[]);
    says(
        "---\noutput: {format: xml}\n---\n",
        "a.prompt",
        &["Error a.prompt:2:18: `output.format` must be json or text"],
    );
    says(
        "---\nschedule: {cron: often}\n---\n",
        "a.prompt",
        &["Note a.prompt:2:1: `schedule` is kept", "Warning a.prompt:2:18: this cron expression"],
    );
}

#[test]
fn a_broken_schema_is_told_where_it_is_broken() {
    let broken = |field: &str| format!("`output_schema.{field}`: the schema is broken");
    for (schema, place, said) in [
        ("{type: object, required: a}", "2:41", broken("required")),
        (
            "\n  type: object\n  properties:\n    n:\n      type: strnig\n  required: [n]",
            "6:13",
            broken("properties.n.type"),
        ),
        ("\n  type: object\n  required:\n  - a\n  - [b]", "6:5", broken("required.1")),
        ("\n  $ref: '#/$defs/b'\n  $defs: {a: {}}", "3:9", broken("$ref")),
        // As a text of JSON, however the text is written.
        ("'{\"type\": \"object\", \"required\": \"a\"}'", "2:48", broken("required")),
        ("\"{\\\"type\\\": \\\"object\\\", \\\"required\\\": 5}\"", "2:54", broken("required")),
        ("|\n  {\"type\": \"object\",\n     \"required\": [\"é\", 1]}", "4:24", broken("required.1")),
        (">\n  {\"type\": \"object\",\n  \"required\":\n  1}", "5:3", broken("required")),
        ("'{'", "2:17", "`output_schema` is not JSON: EOF while parsing an object".to_owned()),
        ("'{\"type\" \"object\"}'", "2:25", "`output_schema` is not JSON: expected `:`".to_owned()),
        (
            "|\n  {\"type\": \"object\",\n   \"required\": [}",
            "4:17",
            "`output_schema` is not JSON: expected value".to_owned(),
        ),
    ] {
        let text = format!("---\noutput_schema: {schema}\n---\n");
        says(&text, "a.prompt", &[&format!("Error a.prompt:{place}: {said}")]);
    }
}

#[test]
fn no_file_takes_stack_or_memory() {
    let deep = format!("---\na: {}\n---\n", "[".repeat(100_000));
    let bomb = (1..40).fold("---\na0: &a0 [x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [*a{0}, *a{0}, *a{0}]\n", n - 1)
    }) + "---\n";
    let large = format!("---\n---\n{}", "x".repeat(1024 * 1024));
    for text in [deep, bomb, large] {
        let (prompt, problems) = read(&text, "a.prompt");
        assert!(prompt.is_none());
        assert_eq!(problems.len(), 1, "{:?}", told(&problems));
    }
}

fn yaml_pieces() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "---\n", "\n", "  ", "- ", ": ", "model", "tools", "metadata", "name", "schedule", "cron", "output",
        "schema", "station", "[", "]", "{", "}", "\"", "'", "|\n", ">", "&a ", "*a", "!!str ", "#", "~", "1",
        "a", "?", "é", "\r\n", "\t", "input", "config",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| format!("---\n{}\n---\nx", pieces.concat()))
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), yaml_pieces()]) {
        let (prompt, problems) = read(&text, "a.prompt");
        prop_assert!(prompt.is_some() || !problems.is_empty());
    }
}

#[test]
fn a_slip_in_a_key_is_met_with_the_key_that_has_effect() {
    for (front, expected) in [
        ("modle: gpt-4o", "modle did you mean `model`?"),
        ("max_step: 5", "max_step did you mean `max_steps`?"),
        ("maxSteps: 5", "maxSteps did you mean `max_steps`?"),
        ("metadata:\n  descripton: x", "metadata.descripton did you mean `description`?"),
        ("config:\n  temprature: 0", "config.temprature did you mean `temperature`?"),
        ("station:\n  aprove: [x]", "station.aprove did you mean `approve`?"),
        ("station:\n  limits: {token: 5}", "station.limits.token did you mean `tokens`?"),
    ] {
        let (_, problems) = read(&format!("---\n{front}\n---\nYou are.\n"), "");
        let told: Vec<String> = problems
            .iter()
            .filter(|it| it.severity == Severity::Warning)
            .map(|it| {
                let key = it.sentence.split('`').nth(1).unwrap_or_default();
                format!("{key} {}", it.hint.as_deref().unwrap_or_default())
            })
            .collect();
        assert_eq!(told, [expected], "{front}");
    }
    // What other programs know is no slip.
    for key in ["app", "app_type", "coding", "harness_config", "memory", "notify", "sandbox", "version"] {
        let (_, problems) = read(&format!("---\n{key}: x\nconfig: {{topK: 3}}\n---\nYou are.\n"), "");
        assert!(problems.iter().all(|it| it.severity == Severity::Note), "{key}: {problems:?}");
    }
}
