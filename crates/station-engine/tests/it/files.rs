//! Files as people leave them: links that lead nowhere, bytes that are no text, agents that are gone.

use crate::home::{Home, outline};
use serde_json::json;
use station_core::file::edit::{AgentEdit, Names};
use station_core::run::{Event, Status};
use station_core::sync::Change;
use station_core::{Caller, EnvironmentName, Secret};
use station_engine::{AgentRef, Clock, Config, NewRun, Seen, Serve, SyncOptions};
use station_llm::Script;
use station_llm::script::{calls, reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_problem_and_no_removal() {
    for spoil in [
        |home: &Home| {
            let path = home.path("environments/default/agents/worker.prompt");
            std::fs::remove_file(&path).expect("it is there");
            std::os::unix::fs::symlink("/nowhere/at/all", &path).expect("a link can be made");
        },
        |home: &Home| {
            home.write("environments/default/agents/worker.prompt", "---\nmodel: one\n---\na\0b\n");
        },
    ] {
        let home = Home::new();
        home.agent("default", "worker", "model: one").agent("default", "other", "model: one");
        let open = home.open(Script::new(Vec::new())).await;
        open.sync("default").await;
        spoil(&home);
        home.agent("default", "other", "model: two");
        let report = open.sync("default").await;
        let removed = report.plan.changes.iter().any(|change| matches!(change, Change::RemoveAgent { .. }));
        assert!(!removed, "{:?}", report.plan.changes);
        assert_eq!(report.plan.changes.len(), 1, "the sibling is applied");
        let sentences: Vec<String> = report.plan.problems.iter().map(ToString::to_string).collect();
        assert!(sentences.iter().any(|it| it.contains("agents/worker.prompt")), "{sentences:?}");
        open.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_agent_was_removed_still_ends() {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent("default", "worker", "model: one\ntools: [echo]");
    let (asked, remove) = tokio::sync::oneshot::channel::<()>();
    let (removed, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let hands = std::sync::Mutex::new((Some(asked), wait));
    let script = Script::from_fn(move |request| {
        if matches!(request.messages.last(), Some(station_core::Message::Tool { .. })) {
            return reply("done without it");
        }
        // The model thinks while somebody removes the agent.
        let mut hands = hands.lock().expect("one run at a time");
        hands.0.take().expect("asked once").send(()).expect("somebody waits");
        hands.1.recv().expect("somebody answers");
        calls([("echo", json!({"text": "x"}))])
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let path = home.path("environments/default/agents/worker.prompt");
    let station = open.station.clone();
    let mut editors = tokio::task::JoinSet::new();
    editors.spawn(async move {
        remove.await.expect("the model is asked");
        std::fs::remove_file(path).expect("it is there");
        let options = SyncOptions { dry_run: false, discover: false };
        station.sync(&Caller::local(), &EnvironmentName::default(), options).await.expect("files are read");
        removed.send(()).expect("the model waits");
    });
    let details = open.run("worker", "t").await;
    editors.join_all().await;
    assert_eq!(details.run.status, Status::Completed, "{}", outline(&details));
    assert!(outline(&details).contains("refused"), "{}", outline(&details));
    open.close().await;
}

#[tokio::test]
async fn a_run_that_is_resumed_late_has_the_time_it_had_left() {
    let home = Home::new();
    home.agent("default", "worker", "model: one");
    let clock = Arc::new(AtomicI64::new(1_000_000));
    let config = || Config {
        clock: Clock::Manual(Arc::clone(&clock)),
        run_timeout: Duration::from_secs(600),
        ..home.config()
    };
    let open =
        home.open_with(config(), Script::new(vec![reply("never").after(Duration::from_secs(600))])).await;
    open.sync("default").await;
    let run = open.start("default", "worker", NewRun { task: "t".to_owned(), ..NewRun::default() }).await;
    // A worker that is stopped while the model is asked lets go of the run.
    let stop = CancellationToken::new();
    let mut watch = open.station.watch();
    let serve = Serve { workers: 1, drain_for: Duration::ZERO };
    let (served, ()) = tokio::join!(open.station.serve(&serve, stop.clone()), async {
        while let Some(Ok(live)) = watch.next().await {
            if let Seen::Journal(entry) = &live.seen
                && matches!(entry.event, Event::EffectStarted { .. })
            {
                return stop.cancel();
            }
        }
    });
    served.expect("the store works");
    open.close().await;
    clock.fetch_add(3_600_000_000, Ordering::SeqCst);
    let open = home.open_with(config(), Script::new(vec![reply("in time")])).await;
    let resumed = open.station.resume_run(&Caller::local(), run.id, CancellationToken::new()).await;
    assert_eq!(resumed.expect("it has not ended").answer.as_deref(), Some("in time"));
    open.close().await;
}

#[tokio::test]
async fn another_workspace_changes_neither_rules_nor_variables() {
    let home = Home::new();
    home.write("environments/default/variables.yml", "TOKEN: ours\n")
        .write("environments/default/environment.yml", "tools:\n  deny: [write]\n");
    let open = home.open(Script::new(Vec::new())).await;
    open.sync("default").await;
    open.close().await;

    let other = Home::new();
    other.write("environments/default/variables.yml", "TOKEN: theirs\nMORE: theirs\n");
    let theirs = other.path("");
    let workspace = station_engine::Workspace::new(theirs.clone(), theirs, Some("another".to_owned()), false);
    let open = home.open_with(Config { workspace, ..home.config() }, Script::new(Vec::new())).await;
    let report = open.sync("default").await;
    assert_eq!(report.plan.changes, []);
    let sentences: Vec<String> = report.plan.problems.iter().map(ToString::to_string).collect();
    assert!(sentences.iter().any(|it| it.contains("belongs to another workspace")), "{sentences:?}");
    open.close().await;
}

#[tokio::test]
async fn six_variables_set_at_once_are_all_set() {
    let home = Home::new();
    home.agent("default", "worker", "model: one");
    let open = home.open(Script::new(Vec::new())).await;
    open.sync("default").await;
    let (by, environment) = (Caller::local(), EnvironmentName::default());
    // The file is not there when they begin: one of them makes it.
    let names = ["P1", "P2", "P3", "P4", "P5", "P6"];
    let value = Secret::new("x");
    let set = names.map(|name| open.station.set_variable(&by, &environment, name, &value));
    for set in futures::future::join_all(set).await {
        set.expect("another edit of the same file is waited for");
    }
    let text = std::fs::read_to_string(home.path("environments/default/variables.yml")).expect("it is there");
    let stored = open.station.list_variables(&by, &environment).await.expect("the environment is there");
    let stored: Vec<&str> = stored.iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!((stored, text.lines().count()), (names.to_vec(), 6), "{text}");

    let agent = AgentRef::parse("worker", None);
    let tools = ["t1", "t2", "t3", "t4"];
    let add = |tool: &str| Names { add: vec![tool.to_owned()], ..Names::default() };
    let edits = tools.map(|tool| AgentEdit { tools: add(tool), ..AgentEdit::default() });
    let updates = edits.iter().map(|edit| open.station.update_agent(&by, &agent, edit));
    for update in futures::future::join_all(updates).await {
        update.expect("another edit of the same file is waited for");
    }
    let shown = open.station.show_agent(&by, &agent).await.expect("it is there");
    let mut granted: Vec<String> = shown.tools.into_iter().map(|(written, _)| written).collect();
    granted.sort();
    assert_eq!(granted, tools);
    open.close().await;
}
