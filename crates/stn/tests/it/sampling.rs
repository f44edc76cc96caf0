//! A tool server that asks for a model, as people see it: what was asked and answered, refused, and interrupted.

use crate::home::Home;
use crate::watch::until;
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::fake_server;
use station_testkit::openai::{self, OpenAi, Seen, Turn};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A home whose server `fake` speaks the older era and is answered as `answers` says; its `sample` is called once, and what the
/// server asks then is answered by `to_server`.
fn home(answers: &Value, to_server: impl Fn() -> Turn + Send + Sync + 'static) -> (Home, OpenAi) {
    let model = OpenAi::from_fn(move |seen: &Seen| match seen.body["messages"][0]["content"].as_str() {
        Some("you sort files") => to_server(),
        _ if seen.results().is_empty() => openai::calls([("sample", "{}")]),
        _ => openai::reply("It is sorted."),
    });
    let home = Home::new().asking(&model).set("STN_AI_API_KEY", "a-key");
    home.stn(&["init", "--yes"]).done();
    let entry = json!({
        "command": fake_server::binary(), "args": ["--log", "/dev/null", "--era", "legacy"],
        "station": { "answers": answers },
    });
    let file = json!({ "mcpServers": { "fake": entry } });
    home.write("environments/default/mcp-servers/fake.json", &file.to_string());
    home.agent("default", "worker", "tools: [sample]\nstation: {limits: {tokens: 99999}}\n");
    (home, model)
}

#[test]
fn what_a_server_asked_of_a_model_is_told_and_kept() {
    let (home, model) = home(&json!({ "sampling": { "model": "run" } }), || openai::reply("A log."));
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["agent", "run", "worker", "sort it"]).is(&expect![[r#"
        It is sorted.
        --- stderr
        Driving run 1 here.
        run 1 of `worker` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 2 words)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/sample
          -> model openai/stand-in-1 for fake/sample: system: you sort files what is this?
          <- model openai/stand-in-1 for fake/sample (stand-in-1, [span], 100 tokens in (64 cached), 20 out): A log.
          <- sample: 38 bytes in [span]
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (2 steps, 1 tool call, 300 tokens in (192 cached), 60 out)
    "#]]);
    home.stn(&["runs", "inspect", "1"]).is(&expect![[r#"
        Run 1 of `worker` in `default`: completed
          task  sort it
          model  openai/stand-in-1
          created  [time] UTC

        [span]  taken up by [worker]
        [span]  run 1 of `worker` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 2 words)
        [span]  turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        [span]  -> fake/sample
        [span]  -> model openai/stand-in-1 for fake/sample
                      system: you sort files
                      what is this?
        [span]  <- model openai/stand-in-1 for fake/sample (stand-in-1, [span], 100 tokens in (64 cached), 20 out): A log.
        [span]  <- sample: 38 bytes in [span]: "stand-in-1" says "A log." ("endTurn")
        [span]  turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)

        run 1 completed in [span] (2 steps, 1 tool call, 300 tokens in (192 cached), 60 out)
          It is sorted.
          budget: 360 tokens of 99999 tokens
    "#]]);
    let asked = &model.requests()[1].body;
    assert_eq!(asked["messages"].as_array().map(Vec::len), Some(2), "nothing of the run: {asked}");
    assert!(asked["tools"].is_null(), "{asked}");
    // Outside of a run there is no budget that it could be counted in.
    home.stn(&["mcp", "call", "fake", "sample"]).is(&expect![[r#"
        -1 a model is offered only while calls of one run, and of nobody else, are out
    "#]]);
}

#[test]
fn a_server_file_that_lends_no_model_by_name_is_refused_with_its_place() {
    let (home, _model) = home(&json!({ "sampling": { "tokens_max": 5 } }), || openai::reply("never"));
    let told = home.stn(&["sync"]).exits(4).stderr.clone();
    // The column is behind the program's path.
    assert!(told.starts_with("environments/default/mcp-servers/fake.json:1:"), "{told}");
    assert!(told.contains("`fake.station.answers.sampling` names no `model`\n"), "{told}");
    assert!(told.contains(r#""answers":{"sampling":{"tokens_max":5}}"#), "{told}");
    let hint = "^\nhint: write `run` for the model that the run asks itself, or a model's name\n";
    assert!(told.contains(hint), "{told}");
}

#[test]
fn a_kill_while_a_server_waits_for_a_model_leaves_its_call_as_any_other() {
    let n_asked = AtomicUsize::new(0);
    let (home, model) = home(&json!({ "sampling": { "model": "run" } }), move || {
        let turn = openai::reply("A log.");
        if n_asked.fetch_add(1, Ordering::SeqCst) == 0 { turn.is_silent() } else { turn }
    });
    home.stn(&["sync", "--quiet"]).done();
    let mut child = home.start(&["agent", "run", "worker", "sort it"]);
    until("the server's question is out", || model.requests().len() == 2);
    child.kill().unwrap();
    home.said(child);
    home.stn(&["runs", "inspect", "1"]).is(&expect![[r#"
        Run 1 of `worker` in `default`: interrupted
          task  sort it
          model  openai/stand-in-1
          created  [time] UTC

        [span]  taken up by [worker]
        [span]  run 1 of `worker` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 2 words)
        [span]  turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        [span]  -> fake/sample
        [span]  -> model openai/stand-in-1 for fake/sample
                      system: you sort files
                      what is this?
                    model openai/stand-in-1 for fake/sample was out when Station went away
                    sample was out when Station went away

        run 1 was interrupted
          budget: 120 tokens of 99999 tokens, 70 tokens reserved
        --- stderr
        hint: drive it on with `stn runs resume 1`
    "#]]);
    // The tool changes nothing, so it is called again, and its server asks anew.
    home.stn(&["runs", "resume", "1"]).is(&expect![[r#"
        It is sorted.
        --- stderr
        Driving run 1 here.
          interrupted; taken up again by [worker]
          model openai/stand-in-1 for fake/sample was out: it is not asked again by itself
          sample was out: it may be repeated and is sent again
          spent 70 tokens: all that was reserved, as no answer was seen
          -> fake/sample (sent again, attempt 2)
          -> model openai/stand-in-1 for fake/sample: system: you sort files what is this?
          <- model openai/stand-in-1 for fake/sample (stand-in-1, [span], 100 tokens in (64 cached), 20 out): A log.
          <- sample: 38 bytes in [span]
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (2 steps, 1 tool call, 300 tokens in (192 cached), 60 out)
    "#]]);
    assert_eq!(model.requests().len(), 4);
}
