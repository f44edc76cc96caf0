//! Agents as tools: runs of their own, joined by their parent.

use crate::home::{Home, outline};
use expect_test::expect;
use serde_json::json;
use station_core::run::Status;
use station_llm::Script;
use station_llm::script::{calls, fails, reply};

fn home() -> Home {
    let home = Home::new();
    home.agent("default", "boss", "model: script/one\nagents: [left, right]")
        .agent("default", "left", "model: script/one")
        .agent("default", "right", "model: script/one");
    home
}

#[tokio::test]
async fn a_coordinator_gets_what_its_agents_answered() {
    let home = home();
    let script = Script::from_fn(|request| match (request.tools.is_empty(), request.messages.last()) {
        (true, Some(station_core::Message::User { text })) => reply(format!("seen: {text}")),
        (false, Some(station_core::Message::Tool { .. })) => reply("both answered"),
        (false, _) => calls([
            ("__agent_left", json!({"task": "go left"})),
            ("__agent_right", json!({"task": "go right"})),
        ]),
        other => panic!("{other:?}"),
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let details = open.run("boss", "look around").await;
    assert_eq!(details.run.status, Status::Completed, "{}", outline(&details));
    assert_eq!(details.children.len(), 2);
    assert!(details.children.iter().all(|child| child.status == Status::Completed && child.depth == 1));
    expect![[r#"
        adopted 1
        run started, 0 warnings
        ask script/one
        answered "", 2 calls
        spawn left: go left
        spawn right: go right
        adopted 2
        child completed "seen: go left"
        child completed "seen: go right"
        ask script/one
        answered "both answered", 0 calls
        ended completed
    "#]]
    .assert_eq(&outline(&details));
    open.close().await;
}

#[tokio::test]
async fn a_sub_agent_that_fails_is_told_to_its_parent() {
    let home = home();
    let script = Script::from_fn(|request| match (request.tools.is_empty(), request.messages.last()) {
        (true, _) => fails(station_core::run::AskFailure::Rejected),
        (false, Some(station_core::Message::Tool { is_error: true, .. })) => reply("it failed"),
        (false, _) => calls([("__agent_left", json!({"task": "go left"}))]),
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let details = open.run("boss", "look around").await;
    assert_eq!(details.run.answer.as_deref(), Some("it failed"), "{}", outline(&details));
    assert_eq!(details.children[0].status, Status::Failed);
    open.close().await;
}

#[tokio::test]
async fn a_cycle_is_refused_and_its_siblings_are_applied() {
    let home = home();
    home.agent("default", "left", "model: script/one\nagents: [boss]");
    let open = home.open(Script::new(vec![reply("fine")])).await;
    let report = open.sync("default").await;
    let sentences: Vec<String> = report.plan.problems.iter().map(ToString::to_string).collect();
    assert!(sentences.iter().any(|it| it.contains("boss") && it.contains("left")), "{sentences:?}");
    assert_eq!(open.run("right", "x").await.run.status, Status::Completed);
    open.close().await;
}

#[tokio::test]
async fn cancelling_a_coordinator_cancels_its_agents() {
    let home = home();
    home.server("default", "fake", &[], &[]).agent(
        "default",
        "boss",
        "model: script/one\nagents: [left]\ntools: [hang]",
    );
    let script =
        Script::new(vec![calls([("__agent_left", json!({"task": "go left"})), ("hang", json!({}))])]);
    let open = home.open(script).await;
    open.sync("default").await;
    let new = station_engine::NewRun { task: "look".to_owned(), ..Default::default() };
    let run = open.start("default", "boss", new).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let mut watch = open.station.watch();
    let (ended, ()) = tokio::join!(open.station.work_off(run.id, stop.clone()), async {
        while let Some(Ok(live)) = watch.next().await {
            let station_engine::Seen::Journal(entry) = &live.seen else { continue };
            if format!("{:?}", entry.event).contains("\"hang\"") {
                return stop.cancel();
            }
        }
    });
    assert_eq!(ended.expect("the store works").status, Status::Cancelled);
    let details = open.show(run.id).await;
    let left: Vec<Status> = details.children.iter().map(|child| child.status).collect();
    assert_eq!(left, [Status::Cancelled], "{}", outline(&details));
    open.close().await;
}
