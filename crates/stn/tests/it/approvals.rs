//! Calls that wait for a person, and calls of which only a person knows what became of them.

use crate::at_server::{ask, url};
use crate::home::Home;
use crate::http::Served;
use crate::watch::{effects, log, until};
use serde_json::{Value, json};
use station_testkit::fake_server;
use station_testkit::openai::{self, OpenAi, Seen, Turn};
use std::path::{Path, PathBuf};

/// A home with the ledger's server and a model.
pub(crate) struct Scene {
    pub(crate) home: Home,
    _model: OpenAi,
}

impl Scene {
    pub(crate) fn new(rules: &Value, choose: impl Fn(&Seen, &Path) -> Turn + Send + Sync + 'static) -> Self {
        let home = Home::new();
        let gate = home.work("gate");
        let model = OpenAi::from_fn(move |seen| choose(seen, &gate));
        let home = home.asking(&model).set("STN_AI_API_KEY", "a-key");
        home.stn(&["init", "--yes"]).done();
        let scene = Self { home, _model: model };
        scene.rules(rules);
        scene
    }

    /// Writes the server's file with these rules over its tools.
    pub(crate) fn rules(&self, tools: &Value) {
        self.server(tools, "book");
    }

    /// As `rules`, of a server that calls itself `name`.
    fn server(&self, tools: &Value, name: &str) {
        let (log, ledger, says) = (self.file("calls.jsonl"), self.file("ledger.jsonl"), self.file("says"));
        let entry = json!({
            "command": fake_server::binary(),
            "args": ["--log", log, "--ledger", ledger, "--echo-says", says, "--name", name],
            "station": { "tools": tools },
        });
        let file = json!({ "mcpServers": { "book": entry } });
        self.home.write("environments/default/mcp-servers/book.json", &file.to_string());
    }

    pub(crate) fn agent(self, front: &str) -> Self {
        self.home.agent("default", "clerk", &format!("tools: [__post, __echo]\n{front}"));
        self
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.work(name)
    }

    fn sent(&self, tool: &str) -> usize {
        effects(&log(&self.file("calls.jsonl")), tool).len()
    }

    fn posted(&self) -> usize {
        log(&self.file("ledger.jsonl")).len()
    }

    /// A run that was killed while `post` was out.
    pub(crate) fn killed_while_posting(&self) {
        let mut child = self.home.start(&["agent", "run", "clerk", "post it"]);
        until("the call is out", || self.sent("post") == 1);
        child.kill().unwrap();
        self.home.said(child);
    }

    pub(crate) fn inspect(&self, run: &str) -> Value {
        self.home.json(&["runs", "inspect", run])
    }

    fn last_result(&self, run: &str) -> String {
        let events = self.inspect(run)["journal"].clone();
        events
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["event"].to_string())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Posts once, then says what came of it.
pub(crate) fn posts(seen: &Seen, _gate: &Path) -> Turn {
    match seen.results().last() {
        None => openai::calls([("post", r#"{"text": "hello"}"#), ("echo", r#"{"text": "meanwhile"}"#)]),
        Some(_) => openai::reply(&format!("I was told: {}", seen.results()[0])),
    }
}

#[test]
fn a_call_waits_for_a_person_and_is_sent_once_when_approved() {
    let scene = Scene::new(&json!({"approve": ["po*"]}), posts).agent("");
    let said = scene.home.stn(&["agent", "run", "clerk", "post it"]);
    said.exits(5);
    let waits = "approval of `post` of `book` by a user or an admin";
    assert!(said.stderr.contains(&format!("run 1 waits for {waits} since ")), "{}", said.shown());
    assert_eq!(scene.inspect("1")["run"]["waiting_on"], waits);
    assert!(said.stderr.contains("stn approvals approve 1"), "{}", said.shown());
    assert_eq!((scene.sent("post"), scene.sent("echo")), (0, 1), "its sibling did not wait");

    let waiting = scene.home.json(&["approvals", "list"]);
    assert_eq!(waiting["count"], 1);
    assert_eq!(waiting["approvals"][0]["arguments"], json!({"text": "hello"}));
    assert_eq!(waiting["approvals"][0]["rule"], "`po*` in `tools.approve` of the server");
    let shown = scene.home.stn(&["approvals", "show", "1"]).done().shown();
    assert!(shown.contains("\"text\": \"hello\"") && shown.contains("  decides  user or admin\n"), "{shown}");

    scene.home.stn(&["runs", "resume", "1"]).exits(5);
    assert_eq!(scene.sent("post"), 0, "to resume is not to approve");
    scene.home.stn(&["approvals", "approve", "1"]).done();
    let said = scene.home.stn(&["runs", "resume", "1"]);
    said.done();
    assert_eq!(said.stdout, "I was told: posted\n");
    assert_eq!((scene.sent("post"), scene.posted()), (1, 1));
    scene.home.stn(&["approvals", "approve", "1"]).exits(1);

    assert!(scene.home.json(&["approvals", "show", "1"])["approval"]["used_at"].is_string());
}

#[test]
fn a_rule_over_what_may_destroy_parks_such_a_call_alone() {
    let scene = Scene::new(&json!({}), |seen, gate| match seen.results().as_slice() {
        [] => openai::calls([
            // Says nothing of itself; the next says that it destroys nothing, the last that it only reads.
            ("hang", json!({ "file": gate }).to_string().as_str()),
            ("post", r#"{"text": "hello"}"#),
            ("echo", r#"{"text": "meanwhile"}"#),
        ]),
        told => openai::reply(&told.join(", ")),
    });
    scene.home.write("environments/default/environment.yml", "tools: {approve: [\"@destructive\"]}\n");
    scene.home.agent("default", "clerk", "tools: [__hang, __post, __echo]\n");
    std::fs::write(scene.file("gate"), "").unwrap();
    scene.home.stn(&["agent", "run", "clerk", "do it"]).exits(5);
    assert_eq!((scene.sent("hang"), scene.sent("post"), scene.sent("echo")), (0, 1, 1));
    assert_eq!(scene.inspect("1")["run"]["waiting_on"], "approval of `hang` of `book` by a user or an admin");
    let waiting = scene.home.json(&["approvals", "list"]);
    assert_eq!(waiting["approvals"][0]["rule"], "`@destructive` in `tools.approve` of the environment");
    scene.home.stn(&["approvals", "approve", "1"]).done();
    assert_eq!(scene.home.stn(&["runs", "resume", "1"]).done().stdout, "freed, posted, meanwhile\n");
    assert_eq!((scene.sent("hang"), scene.sent("post")), (1, 1));
}

#[test]
fn a_denied_call_is_told_to_the_model_and_the_run_goes_on() {
    let scene = Scene::new(&json!({}), posts).agent("station: {approve: [\"post\"]}\n");
    scene.home.stn(&["agent", "run", "clerk", "post it"]).exits(5);
    scene.home.stn(&["approvals", "deny", "1", "--reason", "not on a Friday"]).done();
    let said = scene.home.stn(&["runs", "resume", "1"]);
    said.done();
    assert!(
        said.stdout.contains("denied: a person did not approve this call: not on a Friday"),
        "{}",
        said.stdout
    );
    assert_eq!(scene.sent("post"), 0);
}

#[test]
fn always_holds_for_later_runs_until_it_is_revoked() {
    let scene = Scene::new(&json!({"approve": ["post"]}), posts).agent("");
    scene.home.stn(&["agent", "run", "clerk", "post it"]).exits(5);
    scene.home.stn(&["approvals", "approve", "1", "--always"]).done();
    scene.home.stn(&["runs", "resume", "1"]).done();
    scene.home.stn(&["agent", "run", "clerk", "post it again"]).done();
    assert_eq!(scene.posted(), 2);
    let standing = scene.home.json(&["approvals", "list", "--always"]);
    assert_eq!(standing["standing_approvals"][0]["uses"], 1, "{standing}");
    scene.home.stn(&["approvals", "revoke", "1"]).done();
    scene.home.stn(&["agent", "run", "clerk", "and again"]).exits(5);
    assert_eq!(scene.posted(), 2);
}

#[test]
fn an_approval_is_void_where_the_rule_has_changed() {
    let scene = Scene::new(&json!({"approve": ["post"]}), posts).agent("");
    scene.home.stn(&["agent", "run", "clerk", "post it"]).exits(5);
    scene.home.stn(&["approvals", "approve", "1"]).done();
    scene.rules(&json!({"approve": ["p*"]}));
    scene.home.stn(&["sync"]).done();
    scene.home.stn(&["runs", "resume", "1"]).exits(5);
    assert_eq!(scene.sent("post"), 0);
    assert!(scene.last_result("1").contains("another rule asks for it"), "{}", scene.last_result("1"));
    let all = scene.home.json(&["approvals", "list", "--all"]);
    assert_eq!(
        (&all["approvals"][0]["status"], &all["approvals"][1]["status"]),
        (&json!("pending"), &json!("void"))
    );
    scene.home.stn(&["approvals", "approve", "2"]).done();
    scene.home.stn(&["runs", "resume", "1"]).done();
    assert_eq!(scene.posted(), 1);
}

#[test]
fn an_approval_is_void_where_the_tool_or_the_way_to_its_server_has_changed() {
    let rules = json!({"approve": ["echo"]});
    let changes: [&dyn Fn(&Scene); 2] = [
        &|scene| {
            scene.server(&rules, "another");
            scene.home.stn(&["sync"]).done();
        },
        &|scene| {
            std::fs::write(scene.file("says"), "Sends what it is given to everybody.").unwrap();
            scene.home.stn(&["mcp", "sync"]).done();
        },
    ];
    for change in changes {
        let scene = Scene::new(&rules, |seen, _| match seen.results().last() {
            None => openai::calls([("echo", r#"{"text": "hello"}"#)]),
            Some(told) => openai::reply(&format!("I was told: {told}")),
        });
        let scene = scene.agent("");
        scene.home.stn(&["agent", "run", "clerk", "say it"]).exits(5);
        scene.home.stn(&["approvals", "approve", "1"]).done();
        change(&scene);
        scene.home.stn(&["runs", "resume", "1"]).exits(5);
        assert_eq!(scene.sent("echo"), 0);
        let all = scene.home.json(&["approvals", "list", "--all"])["approvals"].clone();
        assert_eq!((&all[0]["status"], &all[1]["status"]), (&json!("pending"), &json!("void")));
        assert_ne!(all[0]["definition_hash"], all[1]["definition_hash"]);
        let why = "the tool's definition, or where its server is, changed";
        assert!(scene.last_result("1").contains(why), "{}", scene.last_result("1"));
        scene.home.stn(&["approvals", "approve", "2"]).done();
        assert_eq!(scene.home.stn(&["runs", "resume", "1"]).done().stdout, "I was told: hello\n");
        assert_eq!(scene.sent("echo"), 1);
    }
}

#[test]
fn a_sub_agents_call_waits_and_its_parent_with_it() {
    let scene = Scene::new(&json!({"approve": ["post"]}), |seen, gate| {
        if !seen.body["messages"].to_string().contains("You are boss") {
            return posts(seen, gate);
        }
        match seen.results().last() {
            None => openai::calls([("__agent_clerk", r#"{"task": "post it"}"#)]),
            Some(told) => openai::reply(&format!("clerk: {told}")),
        }
    });
    let scene = scene.agent("");
    scene.home.agent("default", "boss", "agents: [clerk]\n");
    let said = scene.home.stn(&["agent", "run", "boss", "have it posted"]);
    said.exits(5);
    assert!(said.stderr.contains("stn approvals approve 1"), "{}", said.shown());
    scene.home.stn(&["approvals", "approve", "1"]).done();
    let said = scene.home.stn(&["runs", "resume", "1"]);
    assert_eq!(said.done().stdout, "clerk: I was told: posted\n");
    assert_eq!(scene.posted(), 1);
}

/// Posts, and is killed before or after the line is written.
pub(crate) fn posts_and_hangs(when: &'static str) -> impl Fn(&Seen, &Path) -> Turn + Send + Sync + 'static {
    move |seen, gate| match seen.results().last() {
        None => openai::calls([("post", &json!({"text": "hello", when: gate}).to_string())]),
        Some(told) => openai::reply(&format!("I was told: {told}")),
    }
}

#[test]
fn a_verify_tool_finds_out_what_a_killed_station_never_heard() {
    let verify = json!({"verify": {"post": {"tool": "posted", "args": {"effect": "$effect_id"}}}});
    for (when, told, sent) in [("after", "this call took effect", 1), ("before", "I was told: posted", 2)] {
        let scene = Scene::new(&verify, posts_and_hangs(when)).agent("");
        scene.killed_while_posting();
        std::fs::write(scene.file("gate"), "").unwrap();
        let said = scene.home.stn(&["runs", "resume", "1"]);
        said.done();
        assert!(said.stdout.contains(told), "{when}: {}", said.shown());
        assert_eq!((scene.posted(), scene.sent("post"), scene.sent("posted")), (1, sent, 1), "{when}");
        let ids = effects(&log(&scene.file("calls.jsonl")), "post");
        assert!(ids.iter().all(|id| *id == ids[0]), "sent again under the id it had: {ids:?}");
    }
}

#[test]
fn a_person_settles_what_nobody_else_can_know() {
    for (outcome, told, posted) in [("done", "so says a person", 0), ("not-done", "I was told: posted", 1)] {
        let scene = Scene::new(&json!({}), posts_and_hangs("before")).agent("station: {unknown: park}\n");
        scene.killed_while_posting();
        std::fs::write(scene.file("gate"), "").unwrap();
        let said = scene.home.stn(&["runs", "resume", "1"]);
        said.exits(5);
        assert!(
            said.stderr.contains("a person: the outcome of `post` of `book` is unknown"),
            "{}",
            said.shown()
        );
        let effect = scene.inspect("1")["unsettled"][0].as_str().unwrap().to_owned();
        scene.home.stn(&["runs", "settle", "1", "nothing", outcome]).exits(1);
        let end = &effect[effect.len() - 8..];
        scene.home.stn(&["runs", "settle", "1", end, outcome, "--note", "I looked"]).done();
        let said = scene.home.stn(&["runs", "resume", "1"]);
        assert!(said.done().stdout.contains(told), "{}", said.shown());
        assert_eq!(scene.posted(), posted, "{outcome}");
        scene.home.stn(&["runs", "settle", "1", end, outcome]).exits(1);
    }
}

#[test]
fn a_person_settles_at_a_server_what_nobody_else_can_know() {
    let scene = Scene::new(&json!({}), posts_and_hangs("before")).agent("station: {unknown: park}\n");
    scene.killed_while_posting();
    std::fs::write(scene.file("gate"), "").unwrap();
    let made = |name: &str, role: &str| scene.home.key_of(name, &["--role", role, "--env", "default"]);
    let (root, ann) = (made("root", "admin"), made("ann", "viewer"));
    let served = Served::start(&scene.home);
    let by = |key: &str, args: &[&str]| ask(&scene.home, &url(&served), key, args);
    until("it waits for a person", || scene.inspect("1")["unsettled"][0].is_string());
    let effect = scene.inspect("1")["unsettled"][0].as_str().unwrap().to_owned();
    let end = &effect[effect.len() - 8..];
    let said = by(&ann, &["runs", "settle", "1", end, "done"]);
    assert!(said.exits(1).stderr.contains("may not decide"), "{}", said.shown());
    let said = by(&root, &["runs", "settle", "1", "nothing", "done"]);
    assert!(said.exits(1).stderr.contains(&effect), "{}", said.shown());
    let said = by(&root, &["runs", "settle", "1", end, "done", "--note", "I looked"]);
    assert_eq!(
        said.done().stderr,
        "The call of run 1 was settled.\nhint: it goes on there: follow it with `stn runs follow 1 --server URL`\n"
    );
    let said = by(&root, &["runs", "follow", "1"]);
    assert!(said.done().stdout.contains("so says a person"), "{}", said.shown());
    assert_eq!(scene.posted(), 0);
    by(&root, &["runs", "settle", "1", end, "done"]).exits(1);
    assert!(scene.home.json(&["audit", "list"]).to_string().contains("settle_effect"));
    served.stop();
}

#[test]
fn a_run_that_waits_for_a_yes_is_cancelled_although_no_worker_is_there() {
    let scene = Scene::new(&json!({"approve": ["po*"]}), posts).agent("");
    scene.home.agent("default", "boss", "model: offline\nagents: [clerk]\n");
    scene.home.stn(&["agent", "run", "clerk", "post it"]).exits(5);
    scene.home.stn(&["runs", "cancel", "1"]).done();
    assert_eq!(scene.inspect("1")["run"]["status"], "cancelled");
    assert_eq!(scene.home.json(&["approvals", "list"])["count"], 0);
    assert_eq!(scene.posted(), 0);

    // With the run that waits for it.
    scene.home.stn(&["agent", "run", "boss", "Let clerk post it", "--model", "offline"]).exits(5);
    let said = scene.home.stn(&["runs", "cancel", "2"]);
    said.done();
    assert!(said.stderr.contains("run 2 was cancelled"), "{}", said.shown());
    for run in ["2", "3"] {
        assert_eq!(scene.inspect(run)["run"]["status"], "cancelled", "run {run}");
    }
    assert_eq!(scene.home.json(&["approvals", "list"])["count"], 0);
}
