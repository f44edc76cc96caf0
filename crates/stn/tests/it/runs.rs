//! `stn runs …`, and how runs end.

use crate::at_server::{ask, url};
use crate::home::Home;
use crate::http::Served;
use crate::watch::until;
use expect_test::expect;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use station_testkit::openai::{self, OpenAi};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Command;

#[test]
fn a_run_is_listed_and_told_step_by_step() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [__read]\n");
    home.stn(&["agent", "run", "reader", "read /notes.md", "--quiet"]).done();
    home.stn(&["runs", "list"]).is(&expect![[r#"
        ID  AGENT  ENVIRONMENT  STATUS  STARTED (UTC)  TOOK  WAITS ON  TASK
        1  reader  default  completed  [time] [span]  read /notes.md
    "#]]);
    home.stn(&["runs", "inspect", "1"]).is(&expect![[r#"
        Run 1 of `reader` in `default`: completed
          task  read /notes.md
          model  offline
          created  [time] UTC

        [span]  taken up by [worker]
        [span]  run 1 of `reader` in `default`: model offline, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 2 words)
        [span]  turn 1: 1 call (offline, [span], 13 tokens in, 2 out)
        [span]  -> fake/read {"path":"/notes.md"}
        [span]  <- read: 21 bytes in [span]: contents of /notes.md
        [span]  turn 2: answer (offline, [span], 45 tokens in, 15 out)

        run 1 completed in [span] (2 steps, 1 tool call, 58 tokens in, 17 out)
          `/notes.md`:
          contents of /notes.md

          — answered by Station's offline model: rules, not a language model
    "#]]);
    home.stn(&["runs", "list", "--status", "failed", "--agent", "reader"]).is(&expect![[r#"
        --- stderr
        hint: there are no such runs; start one with `stn agent run AGENT "task"`
    "#]]);
    home.stn(&["runs", "inspect", "7"]).is(&expect![[r#"
        --- stderr
        error: run 7 does not exist
        hint: `stn runs list` shows them
        --- exit 1
    "#]]);
    home.stn(&["runs", "resume", "1"]).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        error: run 1 has ended as completed and cannot be resumed
        hint: see it with `stn runs inspect 1`
        --- exit 1
    "#]]);
    home.stn(&["runs", "list", "--status", "sleepy"]).exits(2);
}

#[test]
fn a_failed_run_keeps_its_reason() {
    let model = OpenAi::start(vec![openai::bad_key("sk-wrong-0123456789")]);
    let home = Home::with_init().asking(&model).set("STN_AI_API_KEY", "sk-wrong-0123456789");
    home.agent("default", "talker", "");
    home.stn(&["agent", "run", "talker", "anything"]).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        run 1 of `talker` in `default`: model openai/stand-in-1, at most 3 steps (computed: 0 tools, 0 sub-agents, a task of 1 word)
          model failed after [span] (bad key): model `openai/stand-in-1` does not accept its key (401)
        run 1 failed in [span] (0 steps, 0 tool calls)
        error: run 1 failed: model `openai/stand-in-1` does not accept its key (401)
        hint: set `OPENAI_API_KEY` or `STN_AI_API_KEY` to a key that is valid for it
        hint: see what happened with `stn runs inspect 1`
        --- exit 3
    "#]]);
    home.stn(&["runs", "inspect", "1"]).is(&expect![[r#"
        Run 1 of `talker` in `default`: failed
          task  anything
          model  openai/stand-in-1
          created  [time] UTC

        [span]  taken up by [worker]
        [span]  run 1 of `talker` in `default`: model openai/stand-in-1, at most 3 steps (computed: 0 tools, 0 sub-agents, a task of 1 word)
        [span]  model failed after [span] (bad key): model `openai/stand-in-1` does not accept its key (401)

        run 1 failed in [span] (0 steps, 0 tool calls)
          model `openai/stand-in-1` does not accept its key (401)
    "#]]);
}

#[test]
fn a_time_limit_ends_a_run_and_keeps_what_happened() {
    let model = OpenAi::start(vec![openai::calls([("hang", "{}")])]);
    let home = Home::with_fake().asking(&model);
    home.agent("default", "waiter", "tools: [__hang]\n");
    home.stn(&["agent", "run", "waiter", "wait", "--timeout", "2s"]).exits(3);
    home.stn(&["runs", "inspect", "1"]).is(&expect![[r#"
        Run 1 of `waiter` in `default`: timed_out
          task  wait
          model  openai/stand-in-1
          created  [time] UTC

        [span]  taken up by [worker]
        [span]  run 1 of `waiter` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 1 word)
        [span]  turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        [span]  -> fake/hang
        [span]  its time is over
        [span]  <- hang: outcome unknown after [span]: the run was stopped while it was out

        run 1 took longer than it may in [span] (1 step, 1 tool call, 100 tokens in (64 cached), 20 out)
    "#]]);
}

#[test]
fn what_runs_wait_on_is_listed_while_they_do() {
    let model = OpenAi::from_fn(|_| openai::rate_limited("50"));
    let home = Home::with_fake().asking(&model);
    home.agent("default", "waiter", "tools: [__hang]\n");
    home.agent("default", "talker", "");
    home.stn(&["agent", "run", "waiter", "hang now", "--model", "offline", "--detach", "--quiet"]).done();
    home.stn(&["agent", "run", "waiter", "hang now", "--model", "offline", "--detach", "--quiet"]).done();
    home.stn(&["agent", "run", "talker", "anything", "--detach", "--quiet"]).done();
    home.stn(&["runs", "cancel", "2", "--quiet"]).done();
    let served = home.start(&["serve"]);
    let list = || home.stn(&["runs", "list", "--waiting"]);
    until("both wait", || {
        let listed = list().stdout;
        listed.contains("rate limit") && listed.contains("tool") && listed.lines().count() == 3
    });
    list().is(&expect![[r#"
        ID  AGENT  ENVIRONMENT  STATUS  STARTED (UTC)  TOOK  WAITS ON  TASK
        3  talker  default  running  [time]  the rate limit of model openai/stand-in-1 since [time]  anything
        1  waiter  default  running  [time]  tool `hang` of `fake` since [time]  hang now
    "#]]);
    home.stn(&["agent", "run", "talker", "anything", "--detach", "--quiet"]).done();
    let listed = home.json(&["runs", "list", "--waiting"]);
    assert_eq!(listed["runs"][1]["waiting_on"], "the rate limit of model openai/stand-in-1");
    assert!(listed["runs"][1]["waiting_since"].as_str().unwrap().ends_with('Z'), "{listed}");
    assert_eq!(home.json(&["runs", "inspect", "2"])["run"]["waiting_on"], serde_json::Value::Null);
    kill(Pid::from_raw(i32::try_from(served.id()).unwrap()), Signal::SIGKILL).unwrap();
    home.said(served);
}

/// Starts a run, sends `signal` to it once its tool hangs, and gives its exit code and what it said.
fn interrupted(home: &Home, signal: &str) -> (Option<i32>, String) {
    let mut child = home.start(&["agent", "run", "waiter", "wait"]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut all = String::new();
    while !all.contains("-> fake/hang") {
        assert_ne!(stderr.read_line(&mut all).unwrap(), 0, "it ended before: {all}");
    }
    // Said when it is committed; out when the server has it.
    let log = home.work("calls.log");
    until("the call has arrived", || std::fs::metadata(&log).is_ok_and(|log| log.len() > 0));
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    stderr.read_to_string(&mut all).unwrap();
    (home.said(child).code, all)
}

fn waiting() -> (OpenAi, Home) {
    let model = OpenAi::from_fn(|seen| {
        let n_results =
            seen.body["messages"].as_array().unwrap().iter().filter(|it| it["role"] == "tool").count();
        if n_results == 0 { openai::calls([("hang", "{}")]) } else { openai::reply("It went on.") }
    });
    let home = Home::with_init().asking(&model);
    home.server("default", "fake", &["--log", home.work("calls.log").to_str().unwrap()]);
    home.stn(&["sync", "--quiet"]).done();
    home.agent("default", "waiter", "tools: [__hang]\n");
    (model, home)
}

#[test]
fn ctrl_c_cancels_and_keeps_what_happened() {
    let (_model, home) = waiting();
    let (code, stderr) = interrupted(&home, "-INT");
    assert_eq!(code, Some(130), "{stderr}");
    assert!(stderr.contains("Stopping; what happened is kept."), "{stderr}");
    home.stn(&["runs", "inspect", "1"]).is(&expect![[r#"
        Run 1 of `waiter` in `default`: cancelled
          task  wait
          model  openai/stand-in-1
          created  [time] UTC

        [span]  taken up by [worker]
        [span]  run 1 of `waiter` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 1 word)
        [span]  turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        [span]  -> fake/hang
        [span]  asked to stop by [worker]
        [span]  <- hang: outcome unknown after [span]: the run was stopped while it was out

        run 1 was cancelled in [span] (1 step, 1 tool call, 100 tokens in (64 cached), 20 out)
    "#]]);
}

#[test]
fn a_killed_run_shows_interrupted_and_goes_on() {
    let (_model, home) = waiting();
    let (code, stderr) = interrupted(&home, "-KILL");
    assert_eq!(code, None, "{stderr}");
    home.stn(&["runs", "list"]).is(&expect![[r#"
        ID  AGENT  ENVIRONMENT  STATUS  STARTED (UTC)  TOOK  WAITS ON  TASK
        1  waiter  default  interrupted  [time]  wait
    "#]]);
    home.stn(&["runs", "inspect", "1"]).is(&expect![[r#"
        Run 1 of `waiter` in `default`: interrupted
          task  wait
          model  openai/stand-in-1
          created  [time] UTC

        [span]  taken up by [worker]
        [span]  run 1 of `waiter` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 1 word)
        [span]  turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        [span]  -> fake/hang
                    hang was out when Station went away

        run 1 was interrupted
        --- stderr
        hint: drive it on with `stn runs resume 1`
    "#]]);
    home.stn(&["runs", "resume", "1"]).is(&expect![[r#"
        It went on.
        --- stderr
        Driving run 1 here.
          interrupted; taken up again by [worker]
          hang was out: its outcome is unknown, and it is not sent again by itself
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (2 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
    "#]]);
    assert_eq!(home.json(&["runs", "inspect", "1"])["run"]["status"], "completed");
}

#[test]
fn old_runs_are_removed_when_somebody_says_so() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["agent", "run", "reader", "read notes.txt", "--quiet"]).done();
    home.stn(&["agent", "run", "reader", "read more.txt", "--detach", "--quiet"]).done();
    home.stn(&["runs", "prune"]).is(&expect![[r#"
        --- stderr
        error: nothing says how long runs are kept
        hint: give `--keep-days`, or set it in config.yaml: `runs: {keep_days: 90}`
        --- exit 1
    "#]]);
    home.stn(&["runs", "prune", "--keep-days", "7", "--yes"]).is(&expect![[r#"
        0 runs would be removed.
    "#]]);
    home.stn(&["runs", "prune", "--keep-days", "0", "--dry-run"]).is(&expect![[r#"
        1 run, the oldest from [time] UTC would be removed.
    "#]]);
    home.stn(&["runs", "prune", "--keep-days", "0"]).is(&expect![[r#"
        --- stderr
        1 run, the oldest from [time] UTC will be removed, and cannot be brought back. Remove? [y/N] 
        error: nothing was removed: nobody said yes
        hint: `--yes` says it beforehand
        --- exit 1
    "#]]);
    assert_eq!(home.json(&["runs", "list"])["count"], 2);
    home.stn_reading(&["runs", "prune", "--keep-days", "0"], "y\n").done();
    let left = home.json(&["runs", "list"]);
    assert_eq!((left["count"].as_u64(), left["runs"][0]["status"].as_str()), (Some(1), Some("queued")));
    home.stn(&["runs", "inspect", "1"]).exits(1);
    home.stn(&["runs", "resume", "2", "--quiet"]).done();
    home.stn(&["runs", "prune", "--keep-days", "0", "--yes"]).is(&expect![[r#"
        --- stderr
        Removed 1 run, and 3 stored bodies with them.
    "#]]);
}

#[test]
fn old_runs_are_removed_at_a_server() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["agent", "run", "reader", "read notes.txt", "--quiet"]).done();
    let made = |name: &str, role: &str| home.key_of(name, &["--role", role]);
    let (root, ann) = (made("root", "admin"), made("ann", "user"));
    let (served, elsewhere) = (Served::start(&home), Home::new());
    let by = |key: &str, args: &[&str]| ask(&elsewhere, &url(&served), key, args);
    by(&ann, &["runs", "prune", "--keep-days", "0", "--yes"]).is(&expect![[r#"
        --- stderr
        error: `ann` may not change settings: its role is `user`
        hint: ask somebody whose role is at least `admin`
        --- exit 1
    "#]]);
    by(&root, &["runs", "prune", "--yes"]).is(&expect![[r#"
        --- stderr
        error: nothing says how long runs are kept
        hint: give `--keep-days`, or set it in config.yaml: `runs: {keep_days: 90}`
        --- exit 1
    "#]]);
    by(&root, &["runs", "prune", "--keep-days", "0"]).is(&expect![[r#"
        --- stderr
        1 run, the oldest from [time] UTC will be removed, and cannot be brought back. Remove? [y/N] 
        error: nothing was removed: nobody said yes
        hint: `--yes` says it beforehand
        --- exit 1
    "#]]);
    by(&root, &["runs", "prune", "--keep-days", "7", "--yes"]).is(&expect![[r#"
        0 runs would be removed.
    "#]]);
    assert_eq!(home.json(&["runs", "list"])["count"], 1);
    by(&root, &["runs", "prune", "--keep-days", "0", "--yes"]).is(&expect![[r#"
        --- stderr
        Removed 1 run, and 3 stored bodies with them.
    "#]]);
    assert_eq!(home.json(&["runs", "list"])["count"], 0);
    let audit = home.json(&["audit", "list"]);
    assert_eq!(
        (&audit["audit"][0]["action"], &audit["audit"][0]["actor"]),
        (&"prune_runs".into(), &"root".into())
    );
    assert_eq!(audit["audit"][0]["detail"], serde_json::json!({ "keep_days": 0 }));
    served.stop();
}

#[test]
fn what_was_asked_again_and_what_could_not_be_called_is_in_the_journal() {
    let model = OpenAi::start(vec![
        openai::status(503, "busy"),
        openai::calls([
            ("nothing_like_it", r#"{"a": 1}"#),
            ("echo", "{not json"),
            ("echo", r#"{"text": "x"}"#),
        ]),
        openai::reply("Done."),
    ]);
    let home = Home::with_fake().asking(&model).set("STN_AI_API_KEY", "a-key");
    home.agent("default", "worker", "model: stand-in-1\ntools: [__echo]\n");
    home.stn(&["agent", "run", "worker", "work", "--quiet"]).done();
    home.stn(&["runs", "inspect", "1"]).is(&expect![[r#"
        Run 1 of `worker` in `default`: completed
          task  work
          model  openai/stand-in-1
          created  [time] UTC

        [span]  taken up by [worker]
        [span]  run 1 of `worker` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 1 word)
        [span]  model asked again after [span] (attempt 2, unavailable): model `openai/stand-in-1` answered 503: busy
        [span]  turn 1: 3 calls (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        [span]  x nothing_like_it was not called: there is no tool `nothing_like_it`; there are: echo, read_result; it was to be given {"a": 1}
        [span]  x echo was not called: the arguments are not valid JSON (key must be a string at line 1 column 2); call again with valid JSON; it was to be given {not json
        [span]  -> fake/echo {"text": "x"}
        [span]  <- echo: 1 byte in [span]: x
        [span]  turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)

        run 1 completed in [span] (2 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
          Done.
    "#]]);
    let journal = home.json(&["runs", "inspect", "1"])["journal"].clone();
    let of = |name: &str| -> Vec<serde_json::Value> {
        let events = journal.as_array().unwrap().iter().map(|entry| entry["event"].clone());
        events.filter(|event| event["event"] == name).collect()
    };
    let retried = of("ask_retried");
    assert_eq!((retried.len(), &retried[0]["attempt"]), (1, &serde_json::json!(2)), "{retried:?}");
    assert_eq!(of("refused").len(), 2, "{journal:#}");
}
