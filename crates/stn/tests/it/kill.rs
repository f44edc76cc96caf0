//! `kill -9` at any moment, then `stn runs resume`: what happened is kept, what may be repeated is repeated under the
//! id it had, and nothing else is sent twice. On both engines.

use crate::home::Home;
use crate::watch::{Process, descendants, effects, log, until};
use serde_json::{Value, json};
use station_testkit::openai::{self, OpenAi, Seen, Turn};
use station_testkit::postgres::cluster;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Copy, Debug)]
enum Engine {
    Sqlite,
    Postgres,
}

const BOTH: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

/// A home with the fake server, which logs to `calls.jsonl`, and a model that outlives every kill.
struct Scene {
    home: Home,
    model: OpenAi,
}

impl Scene {
    /// The model is told what it is to say once the scene has a place for the file that frees a call that waits.
    fn new(engine: Engine, choose: impl Fn(&Seen, &Path) -> Turn + Send + Sync + 'static) -> Self {
        let home = Home::new();
        let gate = home.path().join("gate");
        let model = OpenAi::from_fn(move |seen| choose(seen, &gate));
        let home = home.asking(&model).set("STN_AI_API_KEY", "a-key");
        let home = match engine {
            Engine::Sqlite => home,
            Engine::Postgres => home.set("STATION_DATABASE", &cluster().database()),
        };
        home.stn(&["init", "--yes"]).done();
        let scene = Self { home, model };
        let log = scene.log_path();
        scene.home.server("default", "fake", &["--grandchildren", "--log", log.to_str().unwrap()]);
        scene
    }

    fn agent(self, name: &str, front: &str) -> Self {
        self.home.agent("default", name, front);
        self
    }

    fn log_path(&self) -> PathBuf {
        self.home.work("calls.jsonl")
    }

    fn log(&self) -> Vec<Value> {
        log(&self.log_path())
    }

    /// Frees the calls that wait.
    fn open_gate(&self) {
        std::fs::write(self.home.path().join("gate"), "").unwrap();
    }

    /// Kills `child`; no process below it may be left.
    fn kill(&self, child: Child) {
        let below = descendants(child.id());
        self.end(child);
        until("every child of the killed process is gone", || !below.iter().any(Process::runs));
    }

    fn end(&self, mut child: Child) {
        child.kill().unwrap();
        self.home.said(child);
    }

    fn inspect(&self, run: &str) -> Value {
        self.home.json(&["runs", "inspect", run])
    }

    fn statuses(&self) -> Vec<String> {
        let list = self.home.json(&["runs", "list"]);
        let words = list["runs"].as_array().unwrap().iter();
        words
            .map(|run| format!("{} {}", run["agent"].as_str().unwrap(), run["status"].as_str().unwrap()))
            .collect()
    }
}

/// The events of a journal by name; its places must be 1, 2, 3, …
fn events(details: &Value) -> Vec<String> {
    let journal = details["journal"].as_array().unwrap();
    for (at, entry) in journal.iter().enumerate() {
        assert_eq!(entry["seq"], at + 1, "a gap: {journal:#?}");
    }
    journal.iter().map(|entry| entry["event"]["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_kill_inside_a_tool_call() {
    for engine in BOTH {
        let scene = Scene::new(engine, |seen, gate| match seen.results().len() {
            0 => {
                let file = json!({ "ms": 0, "file": gate }).to_string();
                openai::calls([("slow", &file), ("hang", &file), ("echo", r#"{"text": "kept"}"#)])
            }
            _ => openai::reply("It went on."),
        });
        let scene = scene.agent("worker", "tools: [__slow, __hang, __echo]\n");
        let child = scene.home.start(&["agent", "run", "worker", "work"]);
        until("all calls are out, and one came back", || {
            scene.log().len() == 3 && {
                let details = scene.inspect("1");
                details["journal"].as_array().unwrap().iter().any(|it| it["event"]["event"] == "returned")
            }
        });
        let below = descendants(child.id());
        assert!(below.len() >= 5, "the shim, the server and what it left behind: {below:?}");
        scene.kill(child);

        assert_eq!(scene.statuses(), ["worker interrupted"]);
        assert_eq!(scene.home.json(&["runs", "list", "--status", "interrupted"])["count"], 1);
        let inspected = scene.home.stn(&["runs", "inspect", "1"]).shown();
        assert!(inspected.starts_with("Run 1 of `worker` in `default`: interrupted\n"), "{inspected}");
        assert!(inspected.contains("hang was out when Station went away"), "{inspected}");
        assert!(inspected.contains("hint: drive it on with `stn runs resume 1`"), "{inspected}");

        scene.open_gate();
        let said = scene.home.stn(&["runs", "resume", "1"]);
        assert_eq!(said.done().stdout, "It went on.\n", "{}", said.shown());
        let log = scene.log();
        let repeated = effects(&log, "slow");
        assert_eq!(repeated.len(), 2, "read-only: sent again: {log:?}");
        assert_eq!(repeated[0], repeated[1], "under the id it had");
        assert_eq!(
            effects(&log, "hang").len(),
            1,
            "neither read-only nor idempotent: not sent again: {log:?}"
        );
        assert_eq!(effects(&log, "echo").len(), 1, "it had come back: {log:?}");

        let requests = scene.model.requests();
        assert_eq!(requests.len(), 2, "what was answered is not asked again");
        let told = requests[1].results();
        assert_eq!((told[0].as_str(), told[2].as_str()), ("slept", "kept"));
        assert!(told[1].contains("outcome is unknown"), "{told:?}");

        let details = scene.inspect("1");
        assert_eq!(details["run"]["status"], "completed");
        let adopted: Vec<&Value> = details["journal"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["event"]["event"] == "adopted")
            .map(|entry| &entry["event"])
            .collect();
        assert_eq!(adopted.len(), 2, "{engine:?}: both drivers are in the journal");
        assert!(adopted[0]["fence"].as_i64() < adopted[1]["fence"].as_i64(), "{adopted:?}");
        assert_ne!(adopted[0]["worker"], adopted[1]["worker"]);
        assert_eq!(events(&details).last().unwrap(), "run_ended");
        scene.home.stn(&["runs", "resume", "1"]).exits(1);
    }
}

#[test]
fn a_call_that_was_out_is_not_told_as_never_called() {
    for spoil in [
        |home: &Home| home.agent("default", "worker", "tools: [__echo]\n"),
        |home: &Home| home.write("environments/default/environment.yml", "tools: {deny: [slow]}\n"),
        |home: &Home| {
            let path = home.config("environments/default/mcp-servers/fake.json");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace("\"args\"", "\"env\": {\"A\": \"{{ .GONE }}\"}, \"args\""))
                .unwrap();
        },
    ] {
        let scene = Scene::new(Engine::Sqlite, |seen, gate| match seen.results().len() {
            0 => openai::calls([("slow", &json!({ "ms": 0, "file": gate }).to_string())]),
            _ => openai::reply("It went on."),
        });
        let scene = scene.agent("worker", "tools: [__slow]\n");
        let child = scene.home.start(&["agent", "run", "worker", "work"]);
        until("the call is out", || scene.log().len() == 1);
        scene.kill(child);
        spoil(&scene.home);
        scene.home.stn(&["sync", "--no-discover"]);
        scene.home.stn(&["runs", "resume", "1"]).done();
        let told = scene.model.requests()[1].results().remove(0);
        assert!(told.contains("outcome of this call is unknown"), "{told}");
        assert!(told.contains("may have taken effect"), "{told}");
        assert_eq!(scene.log().len(), 1, "it was not sent again");
    }
}

#[test]
fn a_kill_while_sub_agents_are_in_tool_calls() {
    for engine in BOTH {
        let scene = Scene::new(engine, |seen, gate| {
            let system = seen.body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
            let file = json!({ "ms": 0, "file": gate }).to_string();
            match (system.as_str(), seen.results().as_slice()) {
                ("You are chief.", []) => openai::calls([
                    ("__agent_reader", r#"{"task": "read"}"#),
                    ("__agent_writer", r#"{"task": "write"}"#),
                ]),
                ("You are chief.", told) => openai::reply(&told.join(" / ")),
                ("You are reader.", []) => openai::calls([("slow", &file)]),
                ("You are writer.", []) => openai::calls([("hang", &file)]),
                (_, told) => openai::reply(&told.join(" ")),
            }
        });
        let scene = scene
            .agent("chief", "agents: [reader, writer]\n")
            .agent("reader", "tools: [__slow]\n")
            .agent("writer", "tools: [__hang]\n");
        let child = scene.home.start(&["agent", "run", "chief", "work"]);
        until("both sub-agents' calls are out", || scene.log().len() == 2);
        scene.kill(child);
        assert_eq!(scene.statuses(), ["writer interrupted", "reader interrupted", "chief waiting"]);
        let refused = scene.home.stn(&["runs", "resume", "2"]);
        assert!(
            refused.exits(1).stderr.contains("resume that one: `stn runs resume 1`"),
            "{}",
            refused.shown()
        );

        scene.open_gate();
        let said = scene.home.stn(&["runs", "resume", "1"]);
        let answer = &said.done().stdout;
        assert!(answer.contains("slept / ") && answer.contains("outcome is unknown"), "{engine:?}: {answer}");
        let log = scene.log();
        let repeated = effects(&log, "slow");
        assert_eq!((repeated.len(), effects(&log, "hang").len()), (2, 1), "{log:?}");
        assert_eq!(repeated[0], repeated[1]);
        assert_eq!(scene.statuses(), ["writer completed", "reader completed", "chief completed"]);
        for run in ["1", "2", "3"] {
            let events = events(&scene.inspect(run));
            assert_eq!(events.last().unwrap(), "run_ended");
            assert!(events.iter().filter(|event| *event == "adopted").count() >= 2, "{run}: {events:?}");
        }
    }
}

#[test]
fn a_kill_while_the_model_is_asked() {
    for engine in BOTH {
        let asked = AtomicUsize::new(0);
        let scene = Scene::new(engine, move |_, _| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => openai::reply("never").is_silent(),
            _ => openai::reply("Asked again."),
        });
        let scene = scene.agent("thinker", "");
        let child = scene.home.start(&["agent", "run", "thinker", "think"]);
        until("the model is asked", || scene.model.requests().len() == 1);
        scene.kill(child);
        assert_eq!(scene.statuses(), ["thinker interrupted"]);
        let said = scene.home.stn(&["runs", "resume", "1"]);
        assert_eq!(said.done().stdout, "Asked again.\n");
        let requests = scene.model.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].body, requests[1].body, "the same question, byte for byte");
        events(&scene.inspect("1"));
    }
}

/// When a driver is killed.
#[derive(Clone, Copy, Debug)]
enum When {
    /// After it has told so many lines: after commits.
    Told(usize),
    /// Once the server has seen so many calls: between an effect and the commit of its answer.
    Called(usize),
    /// Once the model was asked so often: between a request and the commit of its answer.
    Asked(usize),
}

/// Three turns with a read-only, an idempotent and another call each.
fn three_turns(engine: Engine) -> Scene {
    let scene = Scene::new(engine, |seen, _| {
        let turn = seen.results().len() / 3 + 1;
        let text = json!({ "text": format!("turn {turn}") }).to_string();
        if turn > 3 {
            openai::reply("All done.")
        } else {
            openai::calls([("echo", &text), ("put", &text), ("write", &text)])
        }
    });
    scene.agent("worker", "tools: [__echo, __put, __write]\n")
}

impl Scene {
    /// Starts `stn`, kills it at `when`, or lets it end if it comes to that first. Whether it ended.
    fn ends_before(&self, args: &[&str], when: When) -> bool {
        let (called, asked) = (self.log().len(), self.model.requests().len());
        let mut child = self.home.start(args);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        match when {
            When::Told(lines) => {
                for _ in 0..lines {
                    stderr.read_line(&mut told).unwrap();
                }
            }
            When::Called(n) => {
                until("a call, or the end", || self.log().len() >= called + n || has_ended(&child));
            }
            When::Asked(n) => {
                until("a request, or the end", || {
                    self.model.requests().len() >= asked + n || has_ended(&child)
                });
            }
        }
        if !has_ended(&child) {
            self.end(child);
            return false;
        }
        self.home.said(child).code == Some(0)
    }

    /// Each call went out at most once, or under one id; and the journal is whole.
    fn is_whole(&self, context: &str) {
        let mut sent: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for line in self.log() {
            let key = (line["tool"].to_string(), line["arguments"].to_string());
            sent.entry(key).or_default().push(line["effect"].to_string());
        }
        for ((tool, arguments), effects) in &sent {
            let distinct: BTreeSet<&String> = effects.iter().collect();
            assert_eq!(
                distinct.len(),
                1,
                "{context}: {tool} {arguments} went out under several ids: {effects:?}"
            );
            if tool.contains("write") {
                assert_eq!(effects.len(), 1, "{context}: {tool} {arguments} was sent twice");
            }
        }
        let details = self.inspect("1");
        let events = events(&details);
        assert_eq!(details["run"]["status"], "completed", "{context}: {events:?}");
        assert_eq!(events.iter().filter(|event| *event == "run_ended").count(), 1, "{context}: {events:?}");
        assert_eq!(events.last().unwrap(), "run_ended", "{context}");
        assert_eq!(details["run"]["answer"], "All done.", "{context}");
    }
}

fn has_ended(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Kills the first driver at `first`, the next ones at what `next` says, until one ends the run. How many it took.
#[track_caller]
fn check(engine: Engine, first: When, next: impl Fn(usize) -> Option<When>) -> usize {
    let scene = three_turns(engine);
    scene.home.stn(&["sync", "--quiet"]).done();
    let mut ended = scene.ends_before(&["agent", "run", "worker", "work"], first);
    if scene.home.json(&["runs", "list"])["count"] == 0 {
        // Killed before there was a run.
        scene.home.stn(&["agent", "run", "worker", "work", "--quiet"]).done();
        ended = true;
    }
    let mut drivers = 1;
    while !ended && scene.inspect("1")["run"]["status"] != "completed" {
        let resume = ["runs", "resume", "1"];
        ended = match next(drivers) {
            Some(when) => scene.ends_before(&resume, when),
            None => {
                scene.home.stn(&resume).done();
                true
            }
        };
        drivers += 1;
        assert!(drivers < 40, "{first:?}: it comes to no end");
    }
    scene.is_whole(&format!("{engine:?}, killed at {first:?}, {drivers} drivers"));
    drivers
}

#[test]
fn a_kill_after_any_line() {
    // A run that nobody kills tells 25 lines; near its end it may be over before the kill comes.
    let drivers: usize = (0..=24).map(|line| check(Engine::Sqlite, When::Told(line), |_| None)).sum();
    assert!(drivers > 25 + 12, "nearly every run has a second driver: {drivers}");
}

#[test]
fn a_kill_at_any_call_or_request() {
    let calls = (1..=9).map(When::Called);
    let drivers: usize =
        calls.chain((1..=4).map(When::Asked)).map(|when| check(Engine::Sqlite, when, |_| None)).sum();
    assert!(drivers > 13 + 6, "nearly every run has a second driver: {drivers}");
}

#[test]
fn one_kill_after_the_other() {
    check(Engine::Sqlite, When::Told(2), |drivers| Some(When::Told(drivers + 1)));
    check(Engine::Sqlite, When::Called(1), |_| Some(When::Called(2)));
    check(Engine::Sqlite, When::Asked(1), |_| Some(When::Asked(2)));
}

#[test]
fn kills_on_postgresql() {
    check(Engine::Postgres, When::Told(5), |_| Some(When::Told(4)));
    check(Engine::Postgres, When::Called(2), |_| Some(When::Called(3)));
    check(Engine::Postgres, When::Asked(2), |_| Some(When::Asked(2)));
}
