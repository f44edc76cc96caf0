//! Connections as users feel them: shared where they may be, apart where they must be, closed when nobody needs them.

use crate::home::{Home, outline};
use serde_json::json;
use station_core::run::Status;
use station_core::{Caller, EnvironmentName};
use station_engine::Config;
use station_llm::Script;
use station_llm::script::{calls, reply};
use std::time::Duration;

/// Calls one tool and answers with what it returned.
fn caller(tool: &'static str, arguments: serde_json::Value) -> Script {
    Script::from_fn(move |request| match request.messages.last() {
        Some(station_core::Message::Tool { text, .. }) => reply(text.clone()),
        _ => calls([(tool, arguments.clone())]),
    })
}

fn home(station_key: &str) -> Home {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent(
        "default",
        "worker",
        "model: script/one\ntools: [pid, echo]",
    );
    let path = "environments/default/mcp-servers/fake.json";
    let text = std::fs::read_to_string(home.path(path)).expect("it was written above");
    let mut file: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    file["mcpServers"]["fake"]["station"] = serde_json::from_str(station_key).expect("a row's JSON");
    home.write(path, &file.to_string());
    home
}

#[tokio::test]
async fn runs_share_a_server_unless_it_is_isolated() {
    for (station, shared) in
        [("{}", true), (r#"{"isolation": "environment"}"#, true), (r#"{"isolation": "run"}"#, false)]
    {
        let home = home(station);
        let open = home.open(caller("pid", json!({}))).await;
        open.sync("default").await;
        let (one, other) =
            (open.run("worker", "x").await.run.answer, open.run("worker", "x").await.run.answer);
        assert_eq!(one == other, shared, "{station}: {one:?} {other:?}");
        open.close().await;
    }
}

#[tokio::test]
async fn an_idle_server_is_closed_and_starts_again() {
    let home = home("{}");
    let config = Config { idle_close: Duration::from_millis(100), ..home.config() };
    let open = home.open_with(config, caller("pid", json!({}))).await;
    open.sync("default").await;
    let before = open.run("worker", "x").await.run.answer.expect("it answered");
    let ended = format!("/proc/{before}");
    tokio::time::timeout(Duration::from_secs(20), async {
        while std::path::Path::new(&ended).exists() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("an idle server is closed");
    assert_ne!(open.run("worker", "x").await.run.answer, Some(before));
    open.close().await;
}

#[tokio::test]
async fn a_run_keeps_the_server_that_is_its_own() {
    let home = home(r#"{"isolation": "run"}"#);
    for name in ["b", "c"] {
        home.server("default", name, &[], &[]);
    }
    home.agent("default", "worker", "model: script/one\ntools: [fake__pid, b__slow, c__echo]");
    // Time goes by, and then its place is wanted.
    let config = Config { processes_max: 2, idle_close: Duration::from_millis(50), ..home.config() };
    let script = Script::new(vec![
        calls([("pid", json!({}))]),
        calls([("slow", json!({"ms": 600}))]),
        calls([("echo", json!({"text": "x"}))]),
        calls([("pid", json!({}))]),
        reply("done"),
    ]);
    let open = home.open_with(config, script).await;
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    let outline = outline(&details);
    let returned: Vec<&str> = outline.lines().filter(|line| line.starts_with("returned")).collect();
    assert!(returned.len() == 4 && returned[0] == returned[3], "{outline}");
    open.close().await;
}

#[tokio::test]
async fn a_call_that_takes_longer_than_idle_close_is_not_cut() {
    let home = home("{}");
    home.agent("default", "worker", "model: script/one\ntools: [slow]");
    let config = Config { idle_close: Duration::from_millis(50), ..home.config() };
    let open =
        home.open_with(config, Script::new(vec![calls([("slow", json!({"ms": 600}))]), reply("done")])).await;
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    assert!(!outline(&details).contains("unknown"), "{}", outline(&details));
    open.close().await;
}

#[tokio::test]
async fn a_full_pool_closes_what_is_idle() {
    let home = Home::new();
    for name in ["a", "b", "c"] {
        home.server("default", name, &[], &[]);
    }
    home.agent("default", "worker", "model: script/one\ntools: [a__echo, b__echo, c__echo]");
    let config = Config { processes_max: 1, ..home.config() };
    let script = Script::new(vec![
        calls([("a__echo", json!({"text": "1"}))]),
        calls([("b__echo", json!({"text": "2"}))]),
        calls([("c__echo", json!({"text": "3"}))]),
        reply("done"),
    ]);
    let open = home.open_with(config, script).await;
    let report = open.sync("default").await;
    assert!(report.discovery.servers.iter().all(|it| it.result.is_ok()), "{:?}", report.discovery);
    let details = open.run("worker", "x").await;
    assert_eq!(details.run.status, Status::Completed);
    assert!(!outline(&details).contains("returned error"), "{}", outline(&details));
    open.close().await;
}

#[tokio::test]
async fn a_run_does_not_wait_for_its_own_idle_server_to_make_room() {
    let home = home(r#"{"isolation": "run"}"#);
    let fake = std::fs::read_to_string(home.path("environments/default/mcp-servers/fake.json"));
    let other = fake.expect("it was written above").replace(r#""fake""#, r#""other""#);
    home.write("environments/default/mcp-servers/other.json", &other);
    home.agent("default", "worker", "model: script/one\ntools: [fake__pid, other__pid]");
    let config = Config { processes_max: 1, ..home.config() };
    let script = Script::new(vec![
        calls([("fake__pid", json!({}))]),
        // Side by side: one of them waits for the other.
        calls([("other__pid", json!({})), ("fake__pid", json!({}))]),
        reply("done"),
    ]);
    let open = home.open_with(config, script).await;
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    let outline = outline(&details);
    let returned = outline.lines().filter(|line| line.starts_with("returned")).count();
    assert!(returned == 3 && !outline.contains("error"), "{outline}");
    open.close().await;
}

#[tokio::test]
async fn a_slow_call_is_unknown_after_its_servers_time() {
    let home = home(r#"{"timeout_s": 1}"#);
    home.agent("default", "worker", "model: script/one\ntools: [hang]");
    let open = home.open(Script::new(vec![calls([("hang", json!({}))]), reply("done")])).await;
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    assert!(outline(&details).contains("unknown TimedOut"), "{}", outline(&details));
    assert_eq!(details.run.status, Status::Completed);
    open.close().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_started_again_for_the_next_call() {
    let home = home(r#"{"timeout_s": 1}"#);
    home.agent("default", "worker", "model: script/one\ntools: [hang, echo]");
    let open = home
        .open(Script::new(vec![
            calls([("hang", json!({"mute": true}))]),
            calls([("echo", json!({"text": "alive"}))]),
            reply("done"),
        ]))
        .await;
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    let outline = outline(&details);
    assert!(outline.contains("unknown TimedOut") && outline.contains(r#"returned "alive""#), "{outline}");
    open.close().await;
}

#[tokio::test]
async fn a_server_that_was_only_slow_is_kept() {
    let home = home(r#"{"timeout_s": 1}"#);
    home.agent("default", "worker", "model: script/one\ntools: [hang, pid]");
    let open = home
        .open(Script::new(vec![
            calls([("pid", json!({}))]),
            calls([("hang", json!({}))]),
            calls([("pid", json!({}))]),
            reply("done"),
        ]))
        .await;
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    let outline = outline(&details);
    let pids: Vec<&str> = outline.lines().filter(|line| line.starts_with("returned")).collect();
    assert!(pids.len() == 2 && pids[0] == pids[1], "{outline}");
    open.close().await;
}

#[tokio::test]
async fn a_long_result_is_cut_where_the_servers_file_says() {
    let home = home(r#"{"output_bytes_max": 2000}"#);
    home.agent("default", "worker", "model: script/one\ntools: [big]");
    let open = home.open(caller("big", json!({"bytes": 100_000}))).await;
    open.sync("default").await;
    let answer = open.run("worker", "x").await.run.answer.expect("it answered");
    assert!(answer.len() < 3_000, "{} bytes", answer.len());
    open.close().await;
}

#[tokio::test]
async fn rules_of_server_and_environment_hold_at_list_and_at_call() {
    let home = home(r#"{"tools": {"deny": ["pid"]}}"#);
    home.write("environments/default/environment.yml", "tools:\n  allow: [echo, pid]\n");
    let script = Script::from_fn(|request| {
        let names: Vec<&str> = request.tools.iter().map(|tool| tool.spec.name.as_str()).collect();
        reply(names.join(" "))
    });
    let open = home.open(script).await;
    open.sync("default").await;
    assert_eq!(open.run("worker", "x").await.run.answer.as_deref(), Some("echo read_result"));
    open.close().await;
}

#[tokio::test]
async fn tools_that_a_server_adds_are_listed_after_the_run() {
    let home = Home::new();
    home.server("default", "fake", &["--list-changed-after-call"], &[]).agent(
        "default",
        "worker",
        "model: script/one\ntools: [echo]",
    );
    let open = home.open(caller("echo", json!({"text": "x"}))).await;
    open.sync("default").await;
    let count = async || {
        let name = EnvironmentName::default();
        open.station.list_tools(&Caller::local(), &name, None, None).await.expect("it is there").len()
    };
    let before = count().await;
    // The notice may arrive after its call's answer, and then counts for the next run.
    for _ in 0..20 {
        open.run("worker", "x").await;
        if count().await > before {
            return open.close().await;
        }
    }
    panic!("a changed list was never read: {before} tools");
}
