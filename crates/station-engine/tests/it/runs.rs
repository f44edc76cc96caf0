//! Runs as people see them: they end, they keep what happened, and each answers its own task.

use crate::home::{Home, outline};
use expect_test::expect;
use serde_json::json;
use station_core::Message;
use station_core::run::{Event, Status};
use station_engine::NewRun;
use station_llm::Script;
use station_llm::script::{calls, reply};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TOOLS: &str = "model: script/one\ntools: [echo, read, write]";

fn home() -> Home {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent("default", "worker", TOOLS);
    home
}

#[tokio::test]
async fn a_run_uses_real_tools_and_keeps_every_step() {
    let home = home();
    let script = Script::new(vec![
        calls([("echo", json!({"text": "one"})), ("write", json!({"text": "two"}))]),
        reply("done"),
    ]);
    let open = home.open(script).await;
    open.sync("default").await;
    let details = open.run("worker", "do it").await;
    assert_eq!(details.run.status, Status::Completed);
    assert_eq!(details.run.answer.as_deref(), Some("done"));
    assert_eq!((details.run.steps, details.run.tool_calls), (2, 2));
    assert!(details.run.usage.input > 0 && details.run.lease.is_none());
    expect![[r#"
        adopted 1
        run started, 0 warnings
        ask script/one
        answered "", 2 calls
        call fake/echo #1
        call fake/write #1
        returned "3 bytes kept"
        returned "one"
        ask script/one
        answered "done", 0 calls
        ended completed
    "#]]
    .assert_eq(&sorted_results(&outline(&details)));
    let effects: Vec<_> = home.log("default", "fake").iter().map(|line| line["effect"].clone()).collect();
    let started: Vec<_> = details
        .journal
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::EffectStarted { id, effect: station_core::run::Effect::Call { .. } } => {
                Some(json!(id.to_string()))
            }
            _ => None,
        })
        .collect();
    assert!(
        effects.iter().all(|effect| started.contains(effect)) && effects.len() == 2,
        "{effects:?} {started:?}"
    );
    open.close().await;
}

/// Two results of one turn arrive in either order.
fn sorted_results(outline: &str) -> String {
    let mut lines: Vec<&str> = outline.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("returned")).expect("there are results");
    lines[first..first + 2].sort_unstable();
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn ten_tool_turns_are_twenty_four_commits() {
    let home = home();
    let turns =
        (0..10).map(|n| calls([("echo", json!({"text": n.to_string()}))])).chain([reply("done")]).collect();
    let open = home.open(Script::new(turns)).await;
    home.agent("default", "worker", &format!("{TOOLS}\nmax_steps: 15"));
    open.sync("default").await;
    let before = open.station.commits();
    let details = open.run("worker", "ten times").await;
    assert_eq!(details.run.tool_calls, 10);
    assert_eq!(open.station.commits() - before, 24);
    open.close().await;
}

#[tokio::test]
async fn fifty_runs_at_once_answer_their_own_tasks() {
    let home = home();
    let script = Script::from_fn(|request| {
        let task = request.messages.iter().find_map(|message| match message {
            Message::User { text } => Some(text.clone()),
            _ => None,
        });
        let task = task.expect("every request carries its task");
        match request.messages.last() {
            Some(Message::Tool { text, .. }) => reply(format!("answer to {text}")),
            _ => calls([("echo", json!({"text": task}))]),
        }
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let tasks: Vec<String> = (0..50).map(|n| format!("task number {n}")).collect();
    let runs = tasks.iter().map(|task| open.run("worker", task));
    let ended = futures::future::join_all(runs).await;
    for (task, details) in tasks.iter().zip(ended) {
        let answer = details.run.answer.expect("every run answers");
        assert!(answer.ends_with(task.as_str()), "{task}: {answer}");
    }
    open.close().await;
}

#[tokio::test]
async fn an_edited_prompt_counts_from_the_next_run_on() {
    let home = home();
    let seen = |request: &station_llm::Request<'_>| match request.messages.first() {
        Some(Message::System { text }) => text.trim().to_owned(),
        other => format!("{other:?}"),
    };
    let open = home.open(Script::from_fn(move |request| reply(seen(request)))).await;
    open.sync("default").await;
    assert_eq!(open.run("worker", "x").await.run.answer.as_deref(), Some("You are worker."));
    home.write("environments/default/agents/worker.prompt", "---\nmodel: script/one\n---\nYou are new.\n");
    let problems =
        open.station.apply_changed_files(&"default".parse_name()).await.expect("the files are read");
    assert_eq!(problems, []);
    assert_eq!(open.run("worker", "x").await.run.answer.as_deref(), Some("You are new."));
    open.close().await;
}

trait ParseName {
    fn parse_name(&self) -> station_core::EnvironmentName;
}

impl ParseName for str {
    fn parse_name(&self) -> station_core::EnvironmentName {
        station_core::EnvironmentName::parse(self).expect("a name")
    }
}

#[tokio::test]
async fn a_cancelled_run_keeps_what_happened() {
    let home = home();
    home.agent("default", "worker", "model: script/one\ntools: [echo, hang]");
    let script = Script::new(vec![calls([("echo", json!({"text": "kept"}))]), calls([("hang", json!({}))])]);
    let open = home.open(script).await;
    open.sync("default").await;
    let run = open.start("default", "worker", NewRun { task: "wait".to_owned(), ..NewRun::default() }).await;
    let stop = CancellationToken::new();
    let mut watch = open.station.watch();
    let (ended, ()) = tokio::join!(open.station.work_off(run.id, stop.clone()), async {
        while let Some(Ok(live)) = watch.next().await {
            let station_engine::Seen::Journal(entry) = &live.seen else { continue };
            if format!("{:?}", entry.event).contains("hang")
                && matches!(entry.event, Event::EffectStarted { .. })
            {
                return stop.cancel();
            }
        }
    });
    assert_eq!(ended.expect("the store works").status, Status::Cancelled);
    let outline = outline(&open.show(run.id).await);
    assert!(outline.contains("kept") && outline.contains("unknown Stopped"), "{outline}");
    assert!(outline.ends_with("ended cancelled\n"), "{outline}");
    open.close().await;
}

#[tokio::test]
async fn a_run_whose_time_is_over_is_timed_out() {
    let home = home();
    home.agent("default", "worker", "model: script/one\ntools: [hang]");
    let open = home.open(Script::new(vec![calls([("hang", json!({}))])])).await;
    open.sync("default").await;
    let new =
        NewRun { task: "wait".to_owned(), timeout: Some(Duration::from_millis(300)), ..NewRun::default() };
    let details = open.run_in("default", "worker", new).await;
    assert_eq!(details.run.status, Status::TimedOut);
    assert!(outline(&details).contains("unknown Stopped"), "{}", outline(&details));
    open.close().await;
}
