//! `stn runs fork`: other ways a run could have gone.

use crate::home::Home;
use expect_test::expect;
use serde_json::Value;
use station_testkit::openai::{self, OpenAi, Seen};
use std::io::{BufRead as _, BufReader};
use std::process::Command;

/// A model that writes, reads, and answers with what it was told first and which model it is.
fn model() -> OpenAi {
    OpenAi::from_fn(|seen| {
        let results = messages(seen).iter().filter(|it| it["role"] == "tool").count();
        match results {
            0 => openai::calls([("write", r#"{"text": "once"}"#)]),
            1 => openai::calls([("read", r#"{"path": "/a"}"#)]),
            _ => {
                let told = |at: usize| messages(seen)[at]["content"].as_str().unwrap().trim().to_owned();
                openai::reply(&format!(
                    "{} | {} | {}",
                    seen.body["model"].as_str().unwrap(),
                    told(0),
                    told(1)
                ))
            }
        }
    })
}

fn messages(seen: &Seen) -> &[Value] {
    seen.body["messages"].as_array().expect("a conversation")
}

fn home(model: &OpenAi) -> Home {
    let home = Home::with_init().asking(model);
    home.server("default", "fake", &["--log", home.work("calls.log").to_str().unwrap()]);
    home.agent("default", "worker", "tools: [__write, __read]\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["agent", "run", "worker", "look", "--quiet"]).done();
    home
}

fn calls(home: &Home) -> Vec<String> {
    let log = std::fs::read_to_string(home.work("calls.log")).unwrap();
    let tool = |line: &str| serde_json::from_str::<Value>(line).unwrap()["tool"].as_str().unwrap().to_owned();
    log.lines().map(tool).collect()
}

#[test]
fn a_fork_goes_on_from_a_step_and_repeats_nothing() {
    let model = model();
    let home = home(&model);
    home.stn(&["runs", "fork", "1@1", "--model", "other-1"]).is(&expect![[r#"
        other-1 | You are worker. | look
        --- stderr
        Driving run 2 here.
        run 2 of `worker` in `default`: model openai/other-1, at most 5 steps (computed: 2 tools, 0 sub-agents, a task of 1 word)
        a fork of run 1 after step 1: what stands before is history
          taken up by [worker]
          turn 2: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/read {"path": "/a"}
          <- read: 14 bytes in [span]
          turn 3: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 2 completed in [span] (3 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
    "#]]);
    assert_eq!(calls(&home), ["write", "read", "read"], "what was written is history");
    home.stn(&["runs", "fork", "1", "--quiet"]).is(&expect![[r#"
        stand-in-1 | You are worker. | look
    "#]]);
    assert_eq!(calls(&home).len(), 3, "the last complete step is behind both calls");
    home.stn(&["runs", "fork", "2@2", "--quiet"]).is(&expect![[r#"
        other-1 | You are worker. | look
    "#]]);
    home.stn(&["runs", "list"]).is(&expect![[r#"
        ID  AGENT  ENVIRONMENT  STATUS  STARTED (UTC)  TOOK  WAITS ON  TASK
        4  worker (fork of 2@2)  default  completed  [time] [span]  look
        3  worker (fork of 1@2)  default  completed  [time] [span]  look
        2  worker (fork of 1@1)  default  completed  [time] [span]  look
        1  worker  default  completed  [time] [span]  look
    "#]]);
    home.stn(&["runs", "inspect", "2"]).is(&expect![[r#"
        Run 2 of `worker` in `default`: completed
          task  look
          model  openai/other-1
          created  [time] UTC
          fork of  run 1, step 1

        [span]  run 2 of `worker` in `default`: model openai/other-1, at most 5 steps (computed: 2 tools, 0 sub-agents, a task of 1 word)
                    a fork of run 1 after step 1: what stands before is history
        [span]  turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        [span]  -> fake/write {"text": "once"}
        [span]  <- write: 12 bytes in [span]: 4 bytes kept
        [span]  taken up by [worker]
        [span]  turn 2: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        [span]  -> fake/read {"path": "/a"}
        [span]  <- read: 14 bytes in [span]: contents of /a
        [span]  turn 3: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)

        run 2 completed in [span] (3 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
          other-1 | You are worker. | look
    "#]]);
    let listed = home.json(&["runs", "list"]);
    let forked: Vec<&Value> =
        listed["runs"].as_array().unwrap().iter().map(|run| &run["forked_from"]).collect();
    expect![[r#"[{"run_id":2,"step":2},{"run_id":1,"step":2},{"run_id":1,"step":1},null]"#]]
        .assert_eq(&serde_json::to_string(&forked).unwrap());
}

#[test]
fn a_fork_can_have_another_prompt_and_another_task() {
    let model = model();
    let home = home(&model);
    std::fs::write(home.path().join("bold.md"), "# You are bold\n").unwrap();
    let prompt = "---\nmodel: other-2\nconfig: {temperature: 0.5}\ntools: [echo]\n---\nYou are {{mood}}.\n";
    std::fs::write(home.path().join("shy.prompt"), prompt).unwrap();
    let answer = |args: &[&str]| {
        let args: Vec<&str> = ["runs", "fork", "1@2", "--quiet"].iter().chain(args).copied().collect();
        home.stn(&args).stdout
    };
    assert_eq!(answer(&["--prompt", "bold.md"]), "stand-in-1 | # You are bold | look\n");
    assert_eq!(answer(&["--task", "look again"]), "stand-in-1 | You are worker. | look again\n");
    let shy = ["--prompt", "shy.prompt", "--var", "mood=shy", "--task", "listen"];
    assert_eq!(answer(&shy), "other-2 | You are shy. | listen\n");
    let last = model.requests().pop().unwrap();
    assert_eq!(last.body["temperature"], 0.5);
    let tools: Vec<&Value> =
        last.body["tools"].as_array().unwrap().iter().map(|it| &it["function"]["name"]).collect();
    assert_eq!(tools, ["write", "read", "read_result"], "the run's tools stay");
    let told = home.stn(&["runs", "inspect", "4"]).stdout;
    assert!(told.contains("a fork has the tools of run 1"), "{told}");
}

#[test]
fn what_cannot_be_forked_says_what_can() {
    let model = model();
    let home = home(&model);
    home.stn(&["runs", "fork", "1@7"]).is(&expect![[r#"
        --- stderr
        error: run 1 cannot be forked after step 7; it can be after steps 0, 1, 2
        hint: 0 is before its first step; see them with `stn runs inspect 1`
        --- exit 1
    "#]]);
    home.stn(&["runs", "fork", "1@2", "--max-steps", "2"]).is(&expect![[r#"
        --- stderr
        error: a fork of run 1 after step 2 has no step left: its limit is 2
        hint: fork it earlier, or give it more with `--max-steps` (25 at most)
        --- exit 1
    "#]]);
    home.stn(&["runs", "fork", "9"]).exits(1);
    home.stn(&["runs", "fork", "1@x"]).exits(2);
    home.stn(&["runs", "fork", "1", "--prompt", "nowhere.md"]).exits(1);
    home.stn(&["agent", "run", "worker", "later", "--detach", "--quiet"]).done();
    home.stn(&["runs", "fork", "2"]).is(&expect![[r#"
        --- stderr
        error: run 2 has not begun, so there is nothing to fork
        hint: start a new run with `stn agent run`
        --- exit 1
    "#]]);
}

#[test]
fn a_fork_of_a_failed_run_goes_further() {
    let model = OpenAi::from_fn(|seen| {
        let results = messages(seen).iter().filter(|it| it["role"] == "tool").count();
        if results < 3 {
            openai::calls([("echo", format!(r#"{{"text": "{results}"}}"#).as_str())])
        } else {
            openai::reply("at last")
        }
    });
    let home = Home::with_fake().asking(&model);
    home.agent("default", "worker", "max_steps: 2\ntools: [__echo]\n");
    home.stn(&["agent", "run", "worker", "count", "--quiet"]).exits(3);
    home.stn(&["runs", "fork", "1"]).exits(3);
    let queued = home.stn(&["runs", "fork", "1", "--max-steps", "8", "--detach", "--quiet"]);
    assert_eq!(queued.stdout, "3\n", "{}", queued.shown());
    assert_eq!(home.stn(&["runs", "resume", "3", "--quiet"]).stdout, "at last\n");
    assert_eq!(home.json(&["runs", "inspect", "3"])["run"]["steps"], 4);
}

#[test]
fn a_run_that_is_at_work_can_be_forked_and_goes_on() {
    let model = OpenAi::from_fn(|seen| {
        let results = messages(seen).iter().filter(|it| it["role"] == "tool").count();
        match (results, seen.body["model"].as_str()) {
            (0, _) => openai::calls([("echo", r#"{"text": "first"}"#)]),
            (_, Some("other-1")) => openai::reply("another way"),
            _ => openai::calls([("hang", "{}")]),
        }
    });
    let home = Home::with_fake().asking(&model);
    home.agent("default", "worker", "max_steps: 5\ntools: [__echo, __hang]\n");
    let mut child = home.start(&["agent", "run", "worker", "look"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("-> fake/hang")));
    let forked = home.stn(&["runs", "fork", "1", "--model", "other-1", "--quiet"]);
    assert_eq!(forked.stdout, "another way\n", "{}", forked.shown());
    assert_eq!(home.json(&["runs", "inspect", "1"])["run"]["status"], "running");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
