//! What fails stays small: a tool's error, a dead server, a withdrawn grant, a model that says no.

use crate::home::{Home, outline};
use serde_json::json;
use station_core::run::{AskFailure, Status};
use station_core::{Caller, Secret};
use station_engine::Config;
use station_llm::Script;
use station_llm::script::{calls, fails, reply};

#[tokio::test]
async fn a_tools_error_and_an_unknown_tool_go_back_to_the_model() {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent(
        "default",
        "worker",
        "model: script/one\ntools: [fail, echo]",
    );
    let script = Script::new(vec![
        calls([("fail", json!({}))]),
        calls([("no_such_tool", json!({}))]),
        calls([("echo", json!({"text": "still here"}))]),
        reply("done"),
    ]);
    let open = home.open(script).await;
    open.sync("default").await;
    let details = open.run("worker", "try").await;
    assert_eq!(details.run.status, Status::Completed, "{}", outline(&details));
    assert!(outline(&details).contains("returned error"), "{}", outline(&details));
    open.close().await;
}

#[tokio::test]
async fn a_server_that_fails_leaves_its_siblings_their_tools() {
    let home = Home::new();
    home.server("default", "good", &[], &[]).server("default", "bad", &["--exit-at-start", "3"], &[]).agent(
        "default",
        "worker",
        "model: script/one\ntools: [good__echo, bad__read]",
    );
    let open = home.open(Script::new(vec![calls([("echo", json!({"text": "x"}))]), reply("done")])).await;
    let report = open.sync("default").await;
    let failed: Vec<_> = report.discovery.servers.iter().filter(|it| it.result.is_err()).collect();
    assert_eq!(failed.len(), 1);
    let reason = failed[0].result.as_ref().expect_err("it failed");
    assert!(reason.contains("fatal: this server was told to end at once"), "{reason}");
    let details = open.run("worker", "try").await;
    assert_eq!(details.run.status, Status::Completed, "{}", outline(&details));
    assert!(outline(&details).contains("run started, 1 warnings"), "{}", outline(&details));
    open.close().await;
}

#[tokio::test]
async fn a_token_among_a_servers_arguments_is_not_told() {
    let home = Home::new();
    home.server("default", "fake", &["--{{ .TOKEN }}"], &[]);
    let process = [("TOKEN".to_owned(), Secret::new("sk-very-secret"))].into();
    let config = Config { process, ..home.config() };
    let open = home.open_with(config, Script::new(vec![reply("never")])).await;
    let report = open.sync("default").await;
    let reason = report.discovery.servers[0].result.as_ref().expect_err("it knows no such option").clone();
    let servers = open.station.list_servers(&Caller::local(), None).await.expect("the store works");
    let problem = servers[0].server.problem.clone().expect("it was just told");
    for told in [reason, problem] {
        assert!(told.contains("`--[secret]`") && !told.contains("sk-very-secret"), "{told}");
    }
    open.close().await;
}

#[tokio::test]
async fn a_server_that_dies_is_started_again_and_its_call_is_unknown() {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent(
        "default",
        "worker",
        "model: script/one\ntools: [crash, echo]",
    );
    let script = Script::new(vec![
        calls([("crash", json!({}))]),
        calls([("echo", json!({"text": "alive"}))]),
        reply("done"),
    ]);
    let open = home.open(script).await;
    open.sync("default").await;
    let details = open.run("worker", "try").await;
    let outline = outline(&details);
    assert!(
        outline.contains("unknown ConnectionLost") && outline.contains(r#"returned "alive""#),
        "{outline}"
    );
    assert_eq!(details.run.status, Status::Completed);
    let crashes = home.log("default", "fake").iter().filter(|line| line["tool"] == "crash").count();
    assert_eq!(crashes, 1, "a call that may have had an effect is sent once");
    open.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_withdrawn_during_a_run_is_no_longer_allowed() {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent(
        "default",
        "worker",
        "model: script/one\ntools: [echo, read]",
    );
    let (asked, withdraw) = tokio::sync::oneshot::channel::<()>();
    let (withdrawn, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let hands = std::sync::Mutex::new((Some(asked), wait));
    let script = Script::from_fn(move |request| match request.messages.len() {
        2 => calls([("echo", json!({"text": "before"}))]),
        4 => {
            // The model thinks while somebody edits the agent.
            let mut hands = hands.lock().expect("one run at a time");
            hands.0.take().expect("asked once").send(()).expect("somebody waits");
            hands.1.recv().expect("somebody answers");
            calls([("echo", json!({"text": "after"}))])
        }
        _ => reply("done"),
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let station = open.station.clone();
    let prompt = home.path("environments/default/agents/worker.prompt");
    let editor = async move {
        withdraw.await.expect("the model is asked twice");
        std::fs::write(&prompt, "---\nmodel: script/one\ntools: [read]\n---\nx\n").expect("the file is ours");
        station.apply_changed_files(&station_core::EnvironmentName::default()).await.expect("files are read");
        withdrawn.send(()).expect("the model waits");
    };
    let mut editors = tokio::task::JoinSet::new();
    editors.spawn(editor);
    let details = open.run("worker", "t").await;
    editors.join_all().await;
    let outline = outline(&details);
    assert!(
        outline.contains("refused: `echo` of `fake` is no longer allowed: it was withdrawn"),
        "{outline}"
    );
    assert_eq!(home.log("default", "fake").len(), 1, "nothing was sent after the withdrawal");
    assert_eq!(details.run.status, Status::Completed);
    open.close().await;
}

#[tokio::test]
async fn a_failed_run_keeps_its_calls_and_tokens() {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent("default", "worker", "model: script/one\ntools: [echo]");
    let script = Script::new(vec![calls([("echo", json!({"text": "x"}))]), fails(AskFailure::BadKey)]);
    let open = home.open(script).await;
    open.sync("default").await;
    let details = open.run("worker", "try").await;
    assert_eq!(details.run.status, Status::Failed);
    assert!(details.run.error.is_some() && details.run.tool_calls == 1 && details.run.usage.input > 0);
    assert!(outline(&details).contains(r#"returned "x""#), "{}", outline(&details));
    open.close().await;
}

#[tokio::test]
async fn an_agent_that_cannot_be_prepared_ends_with_the_reason() {
    let home = Home::new();
    home.server("default", "fake", &["{{ .NOT_SET }}"], &[]).agent(
        "default",
        "worker",
        "model: script/one\ntools: [echo]",
    );
    let open = home.open(Script::new(vec![reply("never")])).await;
    let report = open.sync("default").await;
    let reason = report.discovery.servers[0].result.as_ref().expect_err("a variable is missing");
    assert!(reason.contains("`NOT_SET`") && reason.contains("fake.json:1:"), "{reason}");
    open.close().await;
}
