//! Cases as files, without secrets, and compared.

use super::*;
use crate::run::{Failure, Made, MadeEnd, Outcome, OwnTool, Prepared, Settings, StepLimit, Taken, Target};
use crate::{AgentId, Answer, BlobHash, Message, Micros, ServerId, Stop, ToolCall, Usage};
use expect_test::{Expect, expect};
use serde_json::{Map, Value, json};

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn answer(text: &str, calls: &[(&str, Value)]) -> Answer {
    let call = |(n, (name, arguments)): (usize, &(&str, Value))| ToolCall {
        id: format!("c{n}"),
        name: (*name).to_owned(),
        arguments: arguments.to_string(),
    };
    let calls = calls.iter().enumerate().map(call).collect();
    Answer {
        text: text.to_owned(),
        calls,
        thinking: None,
        stop: Stop::End,
        usage: Usage::default(),
        model: "m".to_owned(),
    }
}

fn made(name: &str, target: Option<Target>, arguments: &Value, end: MadeEnd, text: &str) -> Made {
    let is_error = end != MadeEnd::Returned;
    Made {
        name: name.to_owned(),
        target,
        arguments: object(arguments),
        end,
        text: text.to_owned(),
        is_error,
        whole: None,
    }
}

fn fs(tool: &str) -> Option<Target> {
    let (server_name, tool) = ("fs".to_owned(), tool.to_owned());
    Some(Target::Tool { server: ServerId(1), server_name, tool, read_only: true, idempotent: true })
}

/// Reads a file, asks an agent, reads on, and answers.
fn taken() -> Vec<Taken> {
    let helper = Some(Target::Agent { agent: AgentId(2), name: "helper".to_owned() });
    let own = Some(Target::Own { tool: OwnTool::ReadResult });
    vec![
        Taken {
            answer: answer("", &[("read", json!({"path": "/a"})), ("__agent_helper", json!({"task": "t"}))]),
            calls: vec![
                made("read", fs("read"), &json!({"path": "/a"}), MadeEnd::Returned, "text"),
                made("__agent_helper", helper, &json!({"task": "t"}), MadeEnd::Returned, "helped"),
            ],
        },
        Taken {
            answer: answer("", &[("read_result", json!({"handle": "r1.1"}))]),
            calls: vec![made("read_result", own, &json!({"handle": "r1.1"}), MadeEnd::Returned, "text")],
        },
        Taken { answer: answer("done", &[]), calls: Vec::new() },
    ]
}

fn case() -> Case {
    Case {
        version: VERSION,
        agent: "worker".to_owned(),
        environment: "default".to_owned(),
        task: "look".to_owned(),
        variables: Vec::new(),
        recorded_at: "2026-11-25T00:00:00Z".to_owned(),
        run: 7,
        source: "---\n---\n".to_owned(),
        inputs: Inputs {
            system: "be brief".to_owned(),
            opening: vec![Message::User { text: "look".to_owned() }],
            models: vec!["openai/m".to_owned()],
            steps: 8,
            settings: Settings::default(),
            output_schema: None,
        },
        tools: vec![Tool {
            name: "read".to_owned(),
            kind: ToolKind::Tool,
            server: "fs".to_owned(),
            tool: "read".to_owned(),
            description: "reads".to_owned(),
            input_schema: json!({"type": "object"}),
            output_schema: None,
            annotations: crate::Annotations::default(),
        }],
        steps: taken().iter().map(outline::step).collect(),
        outcome: Some(Outcome::Completed { answer: "done".to_owned() }),
    }
}

fn check(taken: &[Taken], outcome: &Outcome, asked_beyond: Option<&str>, system: &str, expected: &Expect) {
    let inputs = crate::run::Inputs {
        agent: "worker".to_owned(),
        environment: "default".to_owned(),
        system: BlobHash::of(b""),
        tools: BlobHash::of(b""),
        settings: BlobHash::of(b""),
        output_schema: None,
        opening: vec![Message::User { text: "look".to_owned() }],
        models: Vec::new(),
        steps: StepLimit { steps: 8, reason: String::new() },
        deadline: Micros(0),
        warnings: Vec::new(),
        unknown: crate::run::UnknownPolicy::Tell,
        interruptions_max: crate::run::INTERRUPTIONS_MAX,
        depth: 0,
        context: crate::run::Context::default(),
        forked_from: None,
        limits: Vec::new(),
        above: Vec::new(),
    };
    let prepared = Prepared {
        system: system.to_owned(),
        tools: Vec::new(),
        settings: Settings::default(),
        output_schema: None,
    };
    let replayed =
        Replayed { inputs: &inputs, prepared: &prepared, steps: taken, outcome: Some(outcome), asked_beyond };
    let verdict = judge(&case(), &replayed);
    let mut shown = if verdict.passed { "passed\n".to_owned() } else { "failed\n".to_owned() };
    for line in &verdict.lines {
        let mark = match line.side {
            Side::Both => ' ',
            Side::Recorded => '-',
            Side::Replayed => '+',
        };
        shown += &format!("{mark} {}\n", line.text);
    }
    verdict.notes.iter().for_each(|note| shown += &format!("note: {note}\n"));
    expected.assert_eq(&shown);
}

#[test]
fn a_replay_passes_where_the_same_calls_happen_in_the_same_order() {
    let done = Outcome::Completed { answer: "done".to_owned() };
    check(
        &taken(),
        &done,
        None,
        "be brief",
        &expect![[r#"
        passed
          step 1
            fs/read {"path":"/a"}
            helper {"task":"t"}
          step 2
            station/read_result {"handle":"r1.1"}
          step 3: answer
          completed
        note: not offered any more: `read`
    "#]],
    );
    check(
        &taken(),
        &done,
        None,
        "be bold",
        &expect![[r#"
        passed
          step 1
            fs/read {"path":"/a"}
            helper {"task":"t"}
          step 2
            station/read_result {"handle":"r1.1"}
          step 3: answer
          completed
        note: the prompt has changed since: the model's answers are those to the old one
        note: not offered any more: `read`
    "#]],
    );
}

#[test]
fn what_is_different_is_shown_in_its_place() {
    let done = Outcome::Completed { answer: "done".to_owned() };
    let mut refused = taken();
    refused[0].calls[0] =
        made("read", None, &json!({"path": "/a"}), MadeEnd::NotMade, "there is no tool `read`");
    check(
        &refused,
        &done,
        None,
        "be brief",
        &expect![[r#"
        failed
          step 1
        -   fs/read {"path":"/a"}
        +   not called: read {"path":"/a"}  (there is no tool `read`)
            helper {"task":"t"}
          step 2
            station/read_result {"handle":"r1.1"}
          step 3: answer
          completed
        note: not offered any more: `read`
    "#]],
    );
    let steps = Outcome::Failed {
        failure: Failure::Steps,
        sentence: "after its last step".to_owned(),
        hints: Vec::new(),
    };
    check(
        &taken()[..2],
        &steps,
        None,
        "be brief",
        &expect![[r#"
        failed
          step 1
            fs/read {"path":"/a"}
            helper {"task":"t"}
          step 2
            station/read_result {"handle":"r1.1"}
        - step 3: answer
        - completed
        + failed: steps  (after its last step)
        note: not offered any more: `read`
    "#]],
    );
    let model =
        Outcome::Failed { failure: Failure::Model, sentence: "no answer".to_owned(), hints: Vec::new() };
    check(
        &taken(),
        &model,
        Some("the answer does not fit its schema"),
        "be brief",
        &expect![[r#"
        failed
          step 1
            fs/read {"path":"/a"}
            helper {"task":"t"}
          step 2
            station/read_result {"handle":"r1.1"}
          step 3: answer
        - completed
        + failed: model  (the record ends here, and the model is asked again: the answer does not fit its schema)
        note: not offered any more: `read`
    "#]],
    );
}

#[test]
fn a_run_that_was_stopped_has_no_end_to_compare() {
    let mut stopped = case();
    stopped.outcome = Some(Outcome::Cancelled);
    assert_eq!(outline(&stopped).len(), outline(&case()).len());
    let text = serde_json::to_string(&stopped).expect("a case serializes");
    assert_eq!(read(&text, "x.case.json").expect("it is read"), stopped);
}

#[test]
fn a_case_is_read_as_it_was_written_and_no_other_file_is() {
    let text = serde_json::to_string_pretty(&case()).expect("a case serializes");
    assert_eq!(read(&text, "x.case.json").expect("it is read"), case());
    for (text, sentence) in [
        ("{}", "this is no case: it has no `version`"),
        ("{\"version\": 99}", "the case is of version 99, and this Station knows 1"),
        ("{\"version\": 1}", "the case is broken: missing field `agent`"),
    ] {
        let problem = read(text, "x.case.json").expect_err("it is none");
        assert!(problem.sentence.starts_with(sentence), "{problem}");
    }
}

#[test]
fn no_secret_is_in_a_case_however_it_is_written() {
    let secrets = ["hunter2-and-more", "quote\"backslash\\end"];
    let mut case = case();
    let text = format!("it is {} or {}", secrets[0], secrets[1]);
    case.task.clone_from(&text);
    case.source.clone_from(&text);
    case.inputs.system.clone_from(&text);
    case.inputs.opening = vec![Message::User { text: text.clone() }];
    case.tools[0].description.clone_from(&text);
    case.tools[0].input_schema = json!({"default": text, "list": [text]});
    case.steps[0].answer.text.clone_from(&text);
    case.steps[0].answer.calls[0].arguments = json!({"deep": json!({"text": text}).to_string()}).to_string();
    case.steps[0].calls[0].arguments = object(&json!({"deep": {"text": text}}));
    case.steps[0].calls[0].text = json!({"text": text}).to_string();
    case.outcome = Some(Outcome::Completed { answer: text });
    redact(&mut case, secrets);
    let written = serde_json::to_string(&case).expect("a case serializes");
    for secret in ["hunter2", "backslash"] {
        assert!(!written.contains(secret), "{written}");
    }
    assert!(written.matches("it is [secret] or [secret]").count() >= 9, "{written}");
    assert_eq!((case.agent.as_str(), case.steps[0].calls[0].server.as_str()), ("worker", "fs"));
}
