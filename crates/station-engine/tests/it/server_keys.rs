//! Every key under `station` of a server's entry, the rules of the environment and those of the agent, for both
//! transports: what a model is shown at the start of a run, and what a call meets that is made after the files changed.

use crate::home::{Home, Open, outline};
use serde_json::{Value, json};
use station_core::run::{Effect, Event};
use station_core::{Caller, Message};
use station_engine::{Config, NewRun, RunDetails, Seen, Yes};
use station_llm::Script;
use station_llm::script::{calls, reply};
use station_testkit::fake_server::{self, Remote};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Stdio,
    Http,
}

const BOTH: [Over; 2] = [Over::Stdio, Over::Http];

/// A home with a server `fake`, whose files are written anew as a test goes on.
struct Scene {
    home: Home,
    far: Option<Remote>,
    options: Vec<String>,
    /// What the agent is granted.
    tools: &'static str,
}

impl Scene {
    fn new(over: Over, options: &[&str]) -> Self {
        // What `main` does in `stn`.
        drop(rustls::crypto::ring::default_provider().install_default());
        let home = Home::new();
        let mut options: Vec<String> = options.iter().map(ToString::to_string).collect();
        for file in ["log", "trace", "ledger"] {
            options.extend([format!("--{file}"), home.path(file).display().to_string()]);
        }
        let far = (over == Over::Http).then(|| Remote::start(&home.path(""), &options));
        Self { home, far, options, tools: "hang, echo" }
    }

    fn files(&self, station: &str, environment: &str, front: &str) {
        let station: Value = serde_json::from_str(station).expect("a row's JSON");
        let mut entry = match &self.far {
            None => json!({ "command": fake_server::binary(), "args": self.options }),
            Some(far) => json!({ "url": far.url("/mcp") }),
        };
        entry["station"] = station;
        let file = json!({ "mcpServers": { "fake": entry } });
        self.home.write("environments/default/mcp-servers/fake.json", &file.to_string());
        self.home.write("environments/default/environment.yml", environment);
        let front = format!("model: script/one\ntools: [{}]\n{front}", self.tools);
        self.home.agent("default", "worker", &front);
    }

    fn lines(&self, file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.home.path(file)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }
}

/// Hangs until the files have changed, and then makes the calls of `then`.
fn hangs_then<const N: usize>(gate: String, then: [(&'static str, Value); N]) -> Script {
    Script::from_fn(move |request| {
        let n_results =
            request.messages.iter().filter(|message| matches!(message, Message::Tool { .. })).count();
        match n_results {
            0 => calls([("hang", json!({ "file": gate }))]),
            1 => calls(then.clone()),
            _ => reply("done"),
        }
    })
}

/// A run during which the files change as soon as its first call is out, and which then makes the calls of `then`.
async fn run_with_a_change<const N: usize>(
    scene: &Scene,
    then: [(&'static str, Value); N],
    change: impl FnOnce(),
) -> RunDetails {
    let gate = scene.home.path("gate");
    let open = scene.home.open(hangs_then(gate.display().to_string(), then)).await;
    open.sync("default").await;
    let run = open.start("default", "worker", NewRun { task: "t".to_owned(), ..NewRun::default() }).await;
    let mut watch = open.station.watch();
    let (worked, ()) = tokio::join!(open.station.work_off(run.id, CancellationToken::new()), async {
        while let Some(Ok(live)) = watch.next().await {
            if let Seen::Journal(entry) = &live.seen
                && matches!(entry.event, Event::EffectStarted { effect: Effect::Call { .. }, .. })
            {
                break;
            }
        }
        change();
        open.sync("default").await;
        std::fs::write(&gate, "").expect("the folder can be written");
    });
    worked.expect("the store works");
    let details = open.show(run.id).await;
    open.close().await;
    details
}

#[tokio::test]
async fn rules_hold_at_list_and_at_call() {
    const DENIED: &str = "refused: `echo` of `fake` is no longer allowed: it is denied there (`tools.deny`)";
    const NOT_ALLOWED: &str = "refused: `echo` of `fake` is no longer allowed: it is not among the tools allowed there (`tools.allow`)";
    const CLOSED: &str = "refused: `echo` of `fake` is no longer allowed: its server is not open to this agent (`allow_agents`)";
    const RETURNED: &str = r#"returned "echoed""#;
    const PLANNED: &str = "planned fake/echo";
    // The server's key, the environment's file, the agent's front matter; what is offered, what a call comes to.
    let rows = [
        ("{}", "", "", "hang echo", RETURNED),
        (r#"{"tools": {"deny": ["echo"]}}"#, "", "", "hang", DENIED),
        (r#"{"tools": {"deny": ["fake__e*"]}}"#, "", "", "hang", DENIED),
        (r#"{"tools": {"allow": ["hang"]}}"#, "", "", "hang", NOT_ALLOWED),
        (r#"{"tools": {"allow": ["hang", "e?ho"]}}"#, "", "", "hang echo", RETURNED),
        (r#"{"allow_agents": ["other*"]}"#, "", "", "", CLOSED),
        (r#"{"allow_agents": ["other*", "work*"]}"#, "", "", "hang echo", RETURNED),
        ("{}", "tools: {deny: [echo]}\n", "", "hang", DENIED),
        ("{}", "tools: {allow: [hang]}\n", "", "hang", NOT_ALLOWED),
        // The strictest level wins, wherever it is written.
        (r#"{"tools": {"allow": ["echo", "hang"]}}"#, "tools: {deny: [echo]}\n", "", "hang", DENIED),
        (r#"{"tools": {"deny": ["echo"]}}"#, "tools: {allow: [echo, hang]}\n", "", "hang", DENIED),
        (r#"{"tools": {"approve": ["echo"]}}"#, "", "", "hang echo", PLANNED),
        ("{}", "tools: {approve: [echo]}\n", "", "hang echo", PLANNED),
        // An agent can only tighten.
        ("{}", "", "station: {approve: [echo]}\n", "hang echo", PLANNED),
        (r#"{"tools": {"deny": ["echo"]}}"#, "", "station: {approve: [echo]}\n", "hang", DENIED),
    ];
    for over in BOTH {
        for (station, environment, front, offered, came) in rows {
            let scene = Scene::new(over, &[]);
            scene.files(station, environment, front);
            let names = Script::from_fn(|request| {
                let names: Vec<&str> = request.tools.iter().map(|tool| tool.spec.name.as_str()).collect();
                reply(format!("offered: {}", names.join(" ").replace(" read_result", "")))
            });
            let open = scene.home.open(names).await;
            open.sync("default").await;
            let answer = open.run("worker", "x").await.run.answer;
            assert_eq!(
                answer,
                Some(format!("offered: {offered}")),
                "{over:?} {station} {environment} {front}"
            );
            open.close().await;

            let scene = Scene::new(over, &[]);
            scene.files("{}", "", "");
            let echo = [("echo", json!({ "text": "echoed" }))];
            let details = run_with_a_change(&scene, echo, || scene.files(station, environment, front)).await;
            let outline = outline(&details);
            assert!(outline.contains(came), "{over:?} {station} {environment} {front}: {outline}");
            let sent = scene.lines("log").iter().filter(|line| line["tool"] == "echo").count();
            assert_eq!(sent, usize::from(came == RETURNED), "{over:?} {station}");
        }
    }
}

async fn run_once(scene: &Scene, station: &str, tools: &str, script: Script) -> RunDetails {
    scene.files(station, "", "");
    scene.home.agent("default", "worker", &format!("model: script/one\ntools: [{tools}]"));
    let open: Open<'_> = scene.home.open(script).await;
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    open.close().await;
    details
}

#[tokio::test]
async fn limits_of_a_server_hold_for_its_calls() {
    for over in BOTH {
        let scene = Scene::new(over, &[]);
        let script = Script::new(vec![calls([("hang", json!({}))]), reply("done")]);
        let details = run_once(&scene, r#"{"timeout_s": 1}"#, "hang", script).await;
        assert!(outline(&details).contains("unknown TimedOut"), "{over:?}: {}", outline(&details));

        let script = Script::new(vec![calls([("big", json!({ "bytes": 100_000 }))]), reply("done")]);
        let details = run_once(&scene, r#"{"output_bytes_max": 2000}"#, "big", script).await;
        let cut = outline(&details).contains("[cut: 98000 more bytes]");
        assert!(cut, "{over:?}: {}", outline(&details));

        // The first call ends when the second writes to the ledger: they need two places at a time.
        for (concurrency, expected) in [(2, r#"returned "freed""#), (1, "unknown TimedOut")] {
            let scene = Scene::new(over, &[]);
            let ledger = scene.home.path("ledger");
            let script = Script::new(vec![
                calls([("hang", json!({ "file": ledger })), ("post", json!({ "text": "x" }))]),
                reply("done"),
            ]);
            let station = format!(r#"{{"concurrency": {concurrency}, "timeout_s": 3}}"#);
            let details = run_once(&scene, &station, "hang, post", script).await;
            assert!(outline(&details).contains(expected), "{over:?} {concurrency}: {}", outline(&details));
        }
    }
}

#[tokio::test]
async fn limits_of_a_server_change_while_station_runs() {
    const FREED: &str = r#"returned "freed""#;
    // What the file says before and after, a call that is out beside `post`, what comes of that.
    let rows = [
        // `post` frees it where both are out at once.
        (r#"{"concurrency": 1}"#, r#"{"concurrency": 2}"#, "hang", FREED),
        (r#"{"concurrency": 2}"#, r#"{"concurrency": 1, "timeout_s": 3}"#, "hang", "unknown TimedOut"),
        ("{}", r#"{"output_bytes_max": 2000}"#, "big", "[cut: 98000 more bytes]"),
    ];
    for over in BOTH {
        for (before, after, tool, came) in rows {
            let scene = Scene { tools: "hang, big, post", ..Scene::new(over, &[]) };
            scene.files(before, "", "");
            let arguments = match tool {
                "hang" => json!({ "file": scene.home.path("ledger") }),
                _ => json!({ "bytes": 100_000 }),
            };
            let then = [(tool, arguments), ("post", json!({ "text": "x" }))];
            let details = run_with_a_change(&scene, then, || scene.files(after, "", "")).await;
            let outline = outline(&details);
            let (_, since) = outline.split_once(FREED).expect("the first call came back");
            assert!(since.contains(came), "{over:?} {after}: {outline}");
        }
    }
}

#[tokio::test]
async fn where_a_server_runs_and_for_whom_changes_while_station_runs() {
    let echo = || [("echo", json!({ "text": "x" }))];
    for (station, n_processes) in [(json!({}), 1), (json!({ "isolation": "run" }), 2)] {
        let mut scene = Scene::new(Over::Stdio, &[]);
        scene.options.extend(["--pids".to_owned(), scene.home.path("pids").display().to_string()]);
        scene.files("{}", "", "");
        run_with_a_change(&scene, echo(), || scene.files(&station.to_string(), "", "")).await;
        assert_eq!(scene.lines("pids").len(), n_processes, "{station}");
        assert_eq!(scene.lines("log").len(), 2, "{station}");
    }
    let mut scene = Scene::new(Over::Stdio, &[]);
    scene.options = vec!["--log".to_owned(), "here.log".to_owned()];
    std::fs::create_dir(scene.home.path("work")).expect("a folder can be made");
    let moved = json!({ "cwd": scene.home.path("work") }).to_string();
    scene.files("{}", "", "");
    run_with_a_change(&scene, echo(), || scene.files(&moved, "", "")).await;
    let tools: Vec<Value> = scene.lines("work/here.log").iter().map(|line| line["tool"].clone()).collect();
    assert_eq!(tools, ["echo"]);
}

#[tokio::test]
async fn a_server_runs_where_its_file_says() {
    let scene = Scene::new(Over::Stdio, &[]);
    std::fs::create_dir(scene.home.path("work")).expect("a folder can be made");
    let scene = Scene { options: vec!["--log".to_owned(), "here.log".to_owned()], ..scene };
    let folder = scene.home.path("work").display().to_string();
    let station = json!({ "cwd": folder }).to_string();
    let script = Script::new(vec![calls([("echo", json!({ "text": "x" }))]), reply("done")]);
    run_once(&scene, &station, "echo", script).await;
    assert_eq!(scene.lines("work/here.log").len(), 1);
}

#[tokio::test]
async fn runs_share_a_session_unless_they_are_isolated() {
    for (station, sessions) in [("{}", 1), (r#"{"isolation": "run"}"#, 3)] {
        let scene = Scene::new(Over::Http, &["--era", "legacy", "--sessions"]);
        scene.files(station, "", "");
        let script = Script::from_fn(|request| match request.messages.last() {
            Some(Message::Tool { .. }) => reply("done"),
            _ => calls([("echo", json!({ "text": "x" }))]),
        });
        let open = scene.home.open(script).await;
        open.sync("default").await;
        open.run("worker", "x").await;
        open.run("worker", "y").await;
        open.close().await;
        // One for the listing; calls of runs that share use it, too.
        let opened = scene.lines("trace").iter().filter(|line| line["method"] == "initialize").count();
        assert_eq!(opened, sessions, "{station}");
    }
}

#[tokio::test]
async fn a_run_that_waits_for_a_person_keeps_no_server_of_its_own() {
    let scene = Scene::new(Over::Stdio, &["--pids", "/dev/null"]);
    scene.files(r#"{"isolation": "run", "tools": {"approve": ["echo"]}}"#, "", "");
    scene.home.agent("default", "worker", "model: script/one\ntools: [pid, echo]");
    let script = Script::new(vec![calls([("pid", json!({}))]), calls([("echo", json!({ "text": "x" }))])]);
    let open = scene.home.open(script).await;
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    let outline = outline(&details);
    let pid = outline.split("returned \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a number");
    assert!(outline.contains("planned fake/echo"), "{outline}");
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    let gone = async {
        while process.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("its server is closed");
    open.close().await;
}

#[tokio::test]
async fn a_run_that_is_said_yes_to_at_once_finds_its_own_server_as_it_left_it() {
    let scene = Scene::new(Over::Stdio, &["--pids", "/dev/null"]);
    scene.files(r#"{"isolation": "run", "tools": {"approve": ["echo"]}}"#, "", "");
    scene.home.agent("default", "worker", "model: script/one\ntools: [pid, echo]");
    let pid = || calls([("pid", json!({}))]);
    let script = Script::new(vec![pid(), calls([("echo", json!({ "text": "x" }))]), pid(), reply("done")]);
    let open = scene.home.open(script).await;
    open.sync("default").await;
    let run = open.run("worker", "x").await.run.id;
    let by = Caller::local();
    open.station.approve(&by, 1, Yes::Once).await.expect("it waits");
    open.station.resume_run(&by, run, CancellationToken::new()).await.expect("it goes on");
    let outline = outline(&open.station.show_run(&by, run).await.expect("it is there"));
    let pids: Vec<&str> = outline
        .split("returned \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|text| text.parse::<u32>().is_ok())
        .collect();
    assert!(pids.len() == 2 && pids[0] == pids[1], "{outline}");
    open.close().await;
}

#[tokio::test]
async fn a_server_that_goes_down_is_seen_with_its_reason_and_comes_back() {
    let mut scene = Scene::new(Over::Http, &[]);
    scene.files("{}", "", "");
    let echo = || {
        Script::from_fn(|request| match request.messages.last() {
            Some(Message::Tool { text, .. }) => reply(text.clone()),
            _ => calls([("echo", json!({ "text": "x" }))]),
        })
    };
    let open = scene.home.open(echo()).await;
    open.sync("default").await;
    assert_eq!(open.run("worker", "x").await.run.answer.as_deref(), Some("x"));
    scene.far.as_mut().expect("it is remote").kill();
    let told = open.run("worker", "x").await.run.answer.expect("the run goes on");
    assert!(told.contains("`echo` was not called: server `fake` cannot be reached"), "{told}");
    let servers =
        open.station.list_servers(&station_core::Caller::local(), None).await.expect("the store works");
    let server = &servers[0].server;
    assert!(server.problem.as_deref().is_some_and(|it| it.contains("cannot be reached")), "{server:?}");
    assert!(server.down_since.is_some() && !servers[0].tools.is_empty(), "{server:?}");
    open.close().await;

    // Back at another address: it is listed anew, and up.
    scene.far = Some(Remote::start(&scene.home.path(""), &scene.options));
    scene.files("{}", "", "");
    let open = scene.home.open(echo()).await;
    open.sync("default").await;
    assert_eq!(open.run("worker", "x").await.run.answer.as_deref(), Some("x"));
    let servers =
        open.station.list_servers(&station_core::Caller::local(), None).await.expect("the store works");
    assert_eq!((&servers[0].server.problem, servers[0].server.down_since), (&None, None));
    open.close().await;
}

#[tokio::test]
async fn a_session_that_ended_costs_no_call() {
    let scene = Scene::new(Over::Http, &["--era", "legacy", "--sessions"]);
    let forget = scene.home.path("forget");
    let scene = Scene {
        far: Some(Remote::start(
            &scene.home.path(""),
            &[&scene.options[..], &["--forget".to_owned(), forget.display().to_string()]].concat(),
        )),
        ..scene
    };
    scene.files("{}", "", "");
    let script = Script::new(vec![
        calls([("echo", json!({ "text": "x" }))]),
        reply("one"),
        calls([("echo", json!({ "text": "y" }))]),
        calls([("echo", json!({ "text": "z" }))]),
        reply("two"),
    ]);
    let open = scene.home.open(script).await;
    open.sync("default").await;
    open.run("worker", "x").await;
    std::fs::write(&forget, "").expect("the folder can be written");
    let outline = outline(&open.run("worker", "x").await);
    assert!(outline.contains(r#"returned "y""#) && outline.contains(r#"returned "z""#), "{outline}");
    let sent: Vec<Value> = scene.lines("log").iter().map(|line| line["arguments"]["text"].clone()).collect();
    assert_eq!(sent, ["x", "y", "z"], "each was carried out once");
    open.close().await;
}

/// The same as of a program (`pool::an_idle_server_is_closed_and_starts_again`): its session is given back and met anew.
#[tokio::test]
async fn an_idle_session_is_given_back_and_begun_again() {
    let scene = Scene::new(Over::Http, &["--era", "legacy", "--sessions"]);
    scene.files("{}", "", "");
    let config = Config { idle_close: Duration::from_millis(100), ..scene.home.config() };
    let script = Script::from_fn(|request| match request.messages.last() {
        Some(Message::Tool { text, .. }) => reply(text.clone()),
        _ => calls([("echo", json!({ "text": "x" }))]),
    });
    let open = scene.home.open_with(config, script).await;
    open.sync("default").await;
    assert_eq!(open.run("worker", "x").await.run.answer.as_deref(), Some("x"));
    let begun = || scene.lines("trace").iter().filter(|line| line["method"] == "initialize").count();
    let before = begun();
    let ended = async {
        while !scene.lines("trace").iter().any(|line| line["http"]["verb"] == "DELETE") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("an idle session is given back");
    assert_eq!(open.run("worker", "x").await.run.answer.as_deref(), Some("x"));
    assert_eq!(begun(), before + 1);
    open.close().await;
}

/// The same as of a program (`pool::a_server_that_was_only_slow_is_kept`).
#[tokio::test]
async fn a_session_in_which_a_call_hangs_is_kept() {
    let scene = Scene::new(Over::Http, &["--era", "legacy", "--sessions"]);
    let script = Script::new(vec![
        calls([("hang", json!({}))]),
        calls([("echo", json!({ "text": "x" }))]),
        reply("done"),
    ]);
    let details = run_once(&scene, r#"{"timeout_s": 1}"#, "hang, echo", script).await;
    let outline = outline(&details);
    assert!(outline.contains("unknown TimedOut") && outline.contains(r#"returned "x""#), "{outline}");
    let begun = scene.lines("trace").iter().filter(|line| line["method"] == "initialize").count();
    assert_eq!(begun, 1, "for the listing and both calls");
}
