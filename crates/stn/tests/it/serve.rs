//! `stn serve` beside people who queue and cancel runs.

use crate::home::Home;
use crate::http::Served;
use crate::watch::{Process, descendants, effects, log, until};
use expect_test::expect;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use station_testkit::openai::{self, OpenAi};
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn status(home: &Home, run: &str) -> String {
    home.json(&["runs", "inspect", run])["run"]["status"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_is_queued_is_worked_off_and_a_stop_is_clean() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["agent", "run", "reader", "read notes.txt", "--detach"]).is(&expect![[r#"
        1
        --- stderr
        hint: follow it with `stn runs follow 1`; `stn serve` drives what is queued
    "#]]);
    home.stn(&["agent", "run", "reader", "read more.txt", "--detach", "--quiet"]).done();
    assert_eq!(status(&home, "1"), "queued");
    home.stn(&["runs", "cancel", "2"]).is(&expect![[r#"
        --- stderr
        run 2 was cancelled in [span] (0 steps, 0 tool calls)
    "#]]);
    assert_eq!(status(&home, "2"), "cancelled");
    let served = home.start(&["serve", "--workers", "2"]);
    until("it has ended", || status(&home, "1") == "completed");
    kill(Pid::from_raw(i32::try_from(served.id()).unwrap()), Signal::SIGTERM).unwrap();
    home.said(served).is(&expect![[r#"
        --- stderr
        Listening on http://127.0.0.1:[port]: MCP at /mcp.
        Working with 2 slots; Ctrl-C stops.
        Stopping: nothing new is begun; calls that are out are waited for.
    "#]]);
}

#[test]
fn a_full_queue_says_when_to_try_again_and_keeps_no_row() {
    let home = Home::with_init();
    home.agent("default", "talker", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}execution: {{queue: 1}}\n"));
    home.stn(&["agent", "run", "talker", "one", "--detach", "--quiet"]).done();
    home.stn(&["agent", "run", "talker", "two", "--detach"]).is(&expect![[r#"
        --- stderr
        error: the queue is full: 1 run waits
        hint: `stn serve` works them off; `execution.queue` says how many may wait
        hint: try again in [span]
        --- exit 75
    "#]]);
    let told = home.stn(&["--json", "agent", "run", "talker", "two", "--detach"]).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["error"]["retry_after_s"], 5);
    assert_eq!(home.json(&["runs", "list"])["count"], 1);
    // What a person drives needs no place in it.
    home.stn(&["agent", "run", "talker", "three", "--quiet"]).done();
}

#[test]
fn a_worker_takes_up_what_a_killed_one_left() {
    let home = Home::with_fake();
    home.agent("default", "waiter", "model: offline\ntools: [hang, read]\n");
    home.stn(&["agent", "run", "waiter", "hang now", "--detach", "--quiet"]).done();
    let mut killed = home.start(&["serve"]);
    until("the call is out", || home.stn(&["runs", "inspect", "1"]).stdout.contains("-> fake/hang"));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let served = home.start(&["serve"]);
    until("the run has ended", || status(&home, "1") == "completed");
    kill(Pid::from_raw(i32::try_from(served.id()).unwrap()), Signal::SIGINT).unwrap();
    home.said(served).done();
    let told = home.stn(&["runs", "inspect", "1"]).stdout;
    assert!(told.contains("hang was out: its outcome is unknown"), "{told}");
}

#[test]
fn a_fault_is_told_by_a_worker_whose_log_nobody_set_up() {
    let home = Home::with_fake();
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}execution: {{model_max: {{\"nobody/nothing\": 1}}}}\n"));
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["agent", "run", "reader", "read notes.txt", "--detach", "--quiet"]).done();
    let served = home.start(&["serve"]);
    until("the run has ended", || status(&home, "1") == "completed");
    kill(Pid::from_raw(i32::try_from(served.id()).unwrap()), Signal::SIGINT).unwrap();
    let said = home.said(served);
    assert!(said.stderr.contains("WARN") && said.stderr.contains("nobody/nothing"), "{}", said.shown());
}

#[test]
fn a_run_with_a_higher_priority_goes_first() {
    let home = Home::with_init();
    home.agent("default", "talker", "model: offline\n");
    home.stn(&["agent", "run", "talker", "one", "--detach", "--quiet", "--priority", "-5"]).done();
    home.stn(&["agent", "run", "talker", "two", "--detach", "--quiet", "--priority=7"]).done();
    home.stn(&["agent", "run", "talker", "three", "--detach", "--quiet", "--priority", "101"]).exits(2);
    let served = home.start(&["serve", "--workers", "1"]);
    until("both have ended", || status(&home, "1") == "completed" && status(&home, "2") == "completed");
    kill(Pid::from_raw(i32::try_from(served.id()).unwrap()), Signal::SIGINT).unwrap();
    home.said(served).done();
    let started =
        |run: &str| home.json(&["runs", "inspect", run])["run"]["started_at"].as_str().unwrap().to_owned();
    assert!(started("2") < started("1"));
}

#[test]
fn a_second_ctrl_c_ends_a_worker_that_waits_for_a_call() {
    let home = Home::with_init();
    // Longer than anybody waits for a test.
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}execution: {{drain_s: 3600}}\n"));
    let log = home.work("calls.log");
    home.server("default", "fake", &["--log", log.to_str().unwrap()]);
    home.stn(&["sync", "--quiet"]).done();
    home.agent("default", "waiter", "model: offline\ntools: [hang]\n");
    home.stn(&["agent", "run", "waiter", "hang now", "--detach", "--quiet"]).done();
    let served = home.start(&["serve"]);
    until("the call is out", || std::fs::metadata(&log).is_ok_and(|log| log.len() > 0));
    let interrupt = || kill(Pid::from_raw(i32::try_from(served.id()).unwrap()), Signal::SIGINT);
    interrupt().unwrap();
    // The first one was heard: nothing new is taken up.
    until("it stops", || {
        let queued = home.stn(&["agent", "run", "waiter", "hang now", "--detach"]);
        !queued.stderr.contains("Handed") && !queued.stderr.contains("drives it")
    });
    interrupt().unwrap();
    home.said(served).exits(130);
}

/// It was told twice, once by the log.
#[test]
fn a_port_that_is_taken_is_told_once() {
    let home = Home::with_init();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = home.set("STN_API_PORT", &port).stn(&["serve"]);
    assert_eq!(said.exits(1).stderr.matches("cannot be listened on").count(), 1, "{}", said.shown());
}

/// A home whose worker has a call out, which comes back once there is the file `gate`.
struct CallOut {
    home: Home,
    gate: PathBuf,
    /// What the tool's server was sent.
    calls: PathBuf,
    _model: OpenAi,
}

impl CallOut {
    /// With `config` in config.yaml. The worker is ended by whoever asks for it.
    fn new(config: &str) -> (Self, Served) {
        let home = Home::new();
        let (gate, calls) = (home.work("gate"), home.work("calls.jsonl"));
        let file = json!({ "file": gate }).to_string();
        let model = OpenAi::from_fn(move |seen| match seen.results().last() {
            None => openai::calls([("hang", file.as_str())]),
            Some(told) => openai::reply(&format!("I was told: {told}")),
        });
        let home = home.asking(&model);
        home.stn(&["init", "--yes"]).done();
        home.write("config.yaml", &(home.read("config.yaml") + config));
        home.server("default", "fake", &["--grandchildren", "--log", calls.to_str().unwrap()]);
        home.agent("default", "waiter", "tools: [hang]\n");
        home.stn(&["sync", "--quiet"]).done();
        let served = Served::start(&home);
        home.stn(&["agent", "run", "waiter", "wait", "--detach", "--quiet"]).done();
        until("the call is out", || !effects(&log(&calls), "hang").is_empty());
        (Self { home, gate, calls, _model: model }, served)
    }

    /// What became of the call, by the journal of its run, which nobody drives.
    fn became(&self) -> Vec<String> {
        let run = self.home.json(&["runs", "inspect", "1"]);
        assert_eq!(run["run"]["status"], "queued");
        let events = run["journal"].as_array().unwrap().iter().map(|entry| &entry["event"]);
        let of_call = |event: &str| matches!(event, "returned" | "outcome_unknown" | "not_sent");
        let told = events.filter(|event| of_call(event["event"].as_str().unwrap()));
        told.map(|event| format!("{} {}", event["event"], event.get("text").unwrap_or(&event["why"])))
            .collect()
    }

    /// What the run answers once another worker has driven it to its end, for which nothing is sent again.
    fn goes_on(&self) -> String {
        let next = Served::start(&self.home);
        until("the run has ended", || status(&self.home, "1") == "completed");
        next.stop();
        assert_eq!(effects(&log(&self.calls), "hang").len(), 1);
        self.home.json(&["runs", "inspect", "1"])["run"]["answer"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_stop_waits_for_a_call_that_is_out_and_keeps_what_it_returned() {
    let (scene, served) = CallOut::new("");
    served.signal(Signal::SIGTERM);
    until("it says that it stops", || {
        let ready = served.send_to("/ready", "GET", &[], "");
        ready.status == 503 && ready.json() == json!({ "status": "draining" })
    });
    std::fs::write(&scene.gate, "").unwrap();
    served.end();
    assert_eq!(scene.became(), [r#""returned" "freed""#]);
    assert_eq!(scene.goes_on(), "I was told: freed");
}

#[test]
fn a_stop_waits_for_a_call_that_never_returns_no_longer_than_drain_s() {
    let (scene, served) = CallOut::new("execution: {drain_s: 1}\n");
    let below = descendants(served.pid());
    assert!(below.len() >= 5, "the shim, the server and what it left behind: {below:?}");
    let began = Instant::now();
    served.signal(Signal::SIGTERM);
    served.end();
    let took = began.elapsed();
    // Where nothing is said it is 25 s.
    assert!(Duration::from_secs(1) <= took && took < Duration::from_secs(15), "{took:?}");
    until("no child is left", || !below.iter().any(Process::runs));
    assert_eq!(scene.became(), [r#""outcome_unknown" "interrupted""#]);
    assert!(scene.goes_on().contains("outcome is unknown"));
}
