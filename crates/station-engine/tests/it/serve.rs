//! The worker of `stn serve`: it works off what is queued, lets go when it is told to stop, and ends what is cancelled.

use crate::home::{Home, Open, outline};
use serde_json::json;
use station_core::run::Status;
use station_core::{Caller, Concurrency, ModelMax, RunId};
use station_engine::{Config, NewRun, RunDetails, Seen, Serve};
use station_llm::Script;
use station_llm::script::{calls, reply};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn serving() -> Serve {
    Serve { workers: 4, drain_for: Duration::from_millis(200) }
}

/// Queues `n` runs of `agent`.
async fn queue(open: &Open<'_>, agent: &str, n: usize) -> Vec<RunId> {
    let mut ids = Vec::new();
    for i in 0..n {
        let new = NewRun { task: format!("task {i}"), ..NewRun::default() };
        ids.push(open.start("default", agent, new).await.id);
    }
    ids
}

/// Serves until every run of `ids` is as `wanted` says, and gives them.
async fn serve_until(
    serve: &Serve,
    open: &Open<'_>,
    ids: &[RunId],
    wanted: impl Fn(&RunDetails) -> bool,
) -> Vec<RunDetails> {
    let stop = CancellationToken::new();
    let mut watch = open.station.watch();
    let (served, details) = tokio::join!(open.station.serve(serve, stop.clone()), async {
        loop {
            let mut all = Vec::new();
            for id in ids {
                all.push(open.show(*id).await);
            }
            if all.iter().all(&wanted) {
                stop.cancel();
                return all;
            }
            drop(tokio::time::timeout(Duration::from_millis(50), watch.next()).await);
        }
    });
    served.expect("the store works");
    details
}

#[tokio::test]
async fn a_coordinator_that_waits_holds_no_slot() {
    let home = Home::new();
    home.agent("default", "boss", "model: script/one\nagents: [helper]").agent(
        "default",
        "helper",
        "model: script/one",
    );
    let script = Script::from_fn(|request| match (request.tools.is_empty(), request.messages.last()) {
        (true, _) => reply("helped"),
        (false, Some(station_core::Message::Tool { .. })) => reply("done"),
        (false, _) => calls([
            ("__agent_helper", json!({"task": "a"})),
            ("__agent_helper", json!({"task": "b"})),
            ("__agent_helper", json!({"task": "c"})),
        ]),
    });
    let open = home.open(script).await;
    open.sync("default").await;
    // Ten times as many as there are slots, each with three sub-agents.
    let ids = queue(&open, "boss", 40).await;
    let ended = serve_until(&serving(), &open, &ids, |details| details.run.status.is_final()).await;
    for details in ended {
        assert_eq!(details.run.answer.as_deref(), Some("done"), "{}", outline(&details));
        assert_eq!(details.children.len(), 3);
    }
    open.close().await;
}

#[tokio::test]
async fn a_worker_that_stops_leaves_nothing_running() {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent("default", "thinker", "model: script/one").agent(
        "default",
        "waiter",
        "model: script/one\ntools: [hang]",
    );
    let script = Script::from_fn(|request| match (request.tools.is_empty(), request.messages.last()) {
        (true, _) => reply("thought").after(Duration::from_secs(600)),
        (false, Some(station_core::Message::Tool { .. })) => reply("went on"),
        (false, _) => calls([("hang", json!({}))]),
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let ids = [queue(&open, "thinker", 1).await, queue(&open, "waiter", 1).await].concat();
    // Both are out: a request to a model, and a call.
    let is_out = |details: &RunDetails| {
        let last =
            if details.run.agent_name == "thinker" { "ask script/one\n" } else { "call fake/hang #1\n" };
        outline(details).ends_with(last) && home.log("default", "fake").len() == 1
    };
    serve_until(&serving(), &open, &ids, is_out).await;
    for id in &ids {
        let details = open.show(*id).await;
        assert_eq!(details.run.status, Status::Queued, "{}", outline(&details));
        assert!(details.run.lease.is_none());
    }
    // The next worker goes on: the call is told as unknown, because it may have had an effect.
    let waiter = &ids[1..];
    let ended = serve_until(&serving(), &open, waiter, |details| details.run.status.is_final()).await;
    assert_eq!(ended[0].run.answer.as_deref(), Some("went on"), "{}", outline(&ended[0]));
    assert!(outline(&ended[0]).contains("unknown Interrupted"), "{}", outline(&ended[0]));
    assert_eq!(home.log("default", "fake").len(), 1, "the call was sent once");
    open.close().await;
}

/// A server that takes one call at a time, and an agent that may let it hang.
fn one_at_a_time() -> Home {
    let home = Home::new();
    let log = home.path("default.fake.log").display().to_string();
    let server = json!({"mcpServers": {"fake": {
        "command": station_testkit::fake_server::binary(),
        "args": ["--log", log],
        "station": {"concurrency": 1},
    }}});
    home.write("environments/default/mcp-servers/fake.json", &server.to_string());
    home.agent("default", "worker", "model: script/one\ntools: [hang, write]");
    home.agent("default", "writer", "model: script/one\ntools: [write]\nagents: [helper]");
    home.agent("default", "helper", "model: script/one");
    home
}

#[tokio::test]
async fn a_call_that_waited_for_its_turn_when_the_worker_stopped_is_not_unknown() {
    let home = one_at_a_time();
    let script = Script::from_fn(|request| match request.messages.last() {
        Some(station_core::Message::Tool { .. }) => reply("went on"),
        _ => calls([("hang", json!({})), ("write", json!({"text": "a"}))]),
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let ids = queue(&open, "worker", 1).await;
    let is_out = |_: &RunDetails| home.log("default", "fake").len() == 1;
    serve_until(&serving(), &open, &ids, is_out).await;
    let told = outline(&open.show(ids[0]).await);
    assert!(told.ends_with("call fake/hang #1\nunknown Interrupted\n"), "{told}");
    let ended = serve_until(&serving(), &open, &ids, |details| details.run.status.is_final()).await;
    assert_eq!(ended[0].run.answer.as_deref(), Some("went on"), "{}", outline(&ended[0]));
    let sent: Vec<_> = home.log("default", "fake").iter().map(|line| line["tool"].clone()).collect();
    assert_eq!(sent, ["hang", "write"], "{}", outline(&ended[0]));
    open.close().await;
}

#[tokio::test]
async fn a_run_that_waits_for_its_turn_at_a_server_says_so_and_has_started_nothing() {
    let home = one_at_a_time();
    let script = Script::from_fn(|request| {
        let has = |name: &str| request.tools.iter().any(|tool| tool.spec.name == name);
        match (has("hang"), has("write")) {
            (true, _) => calls([("hang", json!({}))]),
            // The sub-agent does not wait, and keeps nobody busy.
            (false, true) => {
                calls([("write", json!({"text": "a"})), ("__agent_helper", json!({"task": "help"}))])
            }
            (false, false) => reply("helped"),
        }
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let first = queue(&open, "worker", 1).await;
    let stop = CancellationToken::new();
    let serve = serving();
    let (served, ()) = tokio::join!(open.station.serve(&serve, stop.clone()), async {
        let mut watch = open.station.watch();
        let mut until = async |id: RunId, wanted: &dyn Fn(&RunDetails) -> bool| loop {
            let details = open.show(id).await;
            if wanted(&details) {
                return details;
            }
            drop(tokio::time::timeout(Duration::from_millis(50), watch.next()).await);
        };
        until(first[0], &|_| home.log("default", "fake").len() == 1).await;
        let second = queue(&open, "writer", 1).await[0];
        let waits = "its turn at server `fake`";
        let details = until(second, &|it| it.run.waiting_on.as_deref() == Some(waits)).await;
        assert_eq!(details.run.status, Status::Running);
        open.station.cancel_run(&Caller::local(), second).await.expect("it has not ended");
        let details = until(second, &|it| it.run.status.is_final()).await;
        let told = outline(&details);
        assert!(!told.contains("call fake/write") && !told.contains("unknown"), "{told}");
        assert_eq!(home.log("default", "fake").len(), 1);
        open.station.cancel_run(&Caller::local(), first[0]).await.expect("it has not ended");
        until(first[0], &|it| it.run.status.is_final()).await;
        stop.cancel();
    });
    served.expect("the store works");
    open.close().await;
}

#[tokio::test]
async fn calls_of_one_turn_that_are_more_than_their_server_takes_go_one_after_the_other() {
    let home = one_at_a_time();
    let script = Script::from_fn(|request| match request.messages.last() {
        Some(station_core::Message::Tool { .. }) => reply("done"),
        _ => calls(["a", "b", "c"].map(|text| ("write", json!({"text": text})))),
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let run = open.run("writer", "x").await;
    let told = outline(&run);
    let one = told.matches("call fake/write #1\nreturned").count();
    assert_eq!((one, run.run.answer.as_deref()), (3, Some("done")), "{told}");
    open.close().await;
}

#[tokio::test]
async fn a_cancelled_run_ends_also_when_nobody_had_it() {
    let home = Home::new();
    home.agent("default", "worker", "model: script/one");
    let open = home.open(Script::new(Vec::new())).await;
    open.sync("default").await;
    let ids = queue(&open, "worker", 1).await;
    open.station.cancel_run(&Caller::local(), ids[0]).await.expect("it has not ended");
    let ended = serve_until(&serving(), &open, &ids, |details| details.run.status.is_final()).await;
    assert_eq!(ended[0].run.status, Status::Cancelled, "{}", outline(&ended[0]));
    let again = open.station.cancel_run(&Caller::local(), ids[0]).await.expect_err("it has ended");
    assert_eq!(again.sentence(), "run 1 has ended as cancelled already");
    open.close().await;
}

#[tokio::test]
async fn a_cancelled_coordinator_lets_its_sub_agents_end_first_on_the_only_slot() {
    for at_once in
        [Concurrency::UNLIMITED, Concurrency { environment_max: Some(1), ..Concurrency::UNLIMITED }]
    {
        let home = Home::new();
        home.server("default", "fake", &[], &[])
            .agent("default", "boss", "model: script/one\nagents: [helper]")
            .agent("default", "helper", "model: script/one\ntools: [echo]\nstation: {limits: {tokens: 1}}");
        let script = Script::from_fn(|request| match request.tools[0].spec.name.as_str() {
            "echo" => calls([("echo", json!({"text": "a"}))]),
            _ => calls([("__agent_helper", json!({"task": "a"}))]),
        });
        let open = home.open_with(Config { at_once, ..home.config() }, script).await;
        open.sync("default").await;
        let parked = open.run("boss", "look around").await;
        assert_eq!(parked.run.status, Status::Waiting, "{}", outline(&parked));
        open.station.cancel_run(&Caller::local(), parked.run.id).await.expect("it has not ended");
        let one_slot = Serve { workers: 1, ..serving() };
        let ids = [parked.run.id, parked.children[0].id];
        let ended = serve_until(&one_slot, &open, &ids, |details| details.run.status.is_final()).await;
        let adopted = outline(&ended[0]).matches("adopted").count();
        assert!(adopted <= 3, "{}", outline(&ended[0]));
        open.close().await;
    }
}

#[tokio::test]
async fn a_person_and_a_worker_share_a_store() {
    let home = Home::new();
    home.agent("default", "boss", "model: script/one\nagents: [helper]").agent(
        "default",
        "helper",
        "model: script/one",
    );
    let script = Script::from_fn(|request| match (request.tools.is_empty(), request.messages.last()) {
        (true, _) => reply("helped"),
        (false, Some(station_core::Message::Tool { .. })) => reply("done"),
        (false, _) => calls([("__agent_helper", json!({"task": "a"}))]),
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let stop = CancellationToken::new();
    let serve = serving();
    let (served, ()) = tokio::join!(open.station.serve(&serve, stop.clone()), async {
        for _ in 0..20 {
            let run =
                open.start("default", "boss", NewRun { task: "x".to_owned(), ..NewRun::default() }).await;
            match open.station.work_off(run.id, CancellationToken::new()).await {
                Ok(_) => {}
                // The worker was first; it is its run then.
                Err(error) => assert_eq!(error.kind(), station_core::Kind::Busy, "{error}"),
            }
        }
        stop.cancel();
    });
    served.expect("the store works");
    open.close().await;
}

#[tokio::test]
async fn a_model_is_asked_by_as_many_runs_as_it_may() {
    let home = Home::new();
    home.agent("default", "big", "model: script/big").agent("default", "small", "model: script/small");
    let model_max = ModelMax { each: None, named: [("script/big".to_owned(), 1)].into() };
    let at_once = Concurrency { model_max, ..Concurrency::UNLIMITED };
    let script = Script::from_fn(|_| reply("done").after(Duration::from_millis(5)));
    let open = home.open_with(Config { at_once, ..home.config() }, script).await;
    open.sync("default").await;
    let ids = [queue(&open, "big", 5).await, queue(&open, "small", 1).await].concat();
    let queued = open.show(ids[0]).await.run;
    assert_eq!(queued.model.as_deref(), Some("script/big"), "it is known when the run is queued");
    let ended = serve_until(&serving(), &open, &ids, |details| details.run.status.is_final()).await;
    one_after_the_other(&ended[..5]);
    open.close().await;
}

fn one_after_the_other(runs: &[RunDetails]) {
    let mut spans: Vec<_> =
        runs.iter().map(|it| (it.run.started_at.expect("claimed"), it.run.ended_at)).collect();
    spans.sort();
    for pair in spans.windows(2) {
        assert!(pair[0].1 <= Some(pair[1].0), "two at once: {spans:?}");
    }
}

#[tokio::test]
async fn what_people_drive_keeps_to_the_limits_too_and_says_what_it_waits_for() {
    for (at_once, waits) in [
        (Concurrency { environment_max: Some(1), ..Concurrency::UNLIMITED }, "1 run in its environment is"),
        (Concurrency { agent_max: Some(1), ..Concurrency::UNLIMITED }, "1 run of its agent is"),
        (
            Concurrency {
                model_max: ModelMax { each: Some(1), ..ModelMax::default() },
                ..Concurrency::UNLIMITED
            },
            "1 run with model script/one is",
        ),
    ] {
        let home = Home::new();
        home.agent("default", "talker", "model: script/one");
        let script = Script::from_fn(|_| reply("done").after(Duration::from_millis(50)));
        let open = home.open_with(Config { at_once, ..home.config() }, script).await;
        open.sync("default").await;
        let ids = queue(&open, "talker", 3).await;
        let mut watch = open.station.watch();
        let ended = tokio::join!(open.work_off(ids[0]), open.work_off(ids[1]), open.work_off(ids[2]));
        one_after_the_other(&[ended.0, ended.1, ended.2]);
        let mut told = Vec::new();
        while let Some(live) = watch.try_next() {
            if let Seen::Hands(words) = &live.seen {
                told.push(words.clone());
            }
        }
        assert!(told.len() >= 2 && told.iter().all(|told| told.contains(waits)), "{told:?}");
        open.close().await;
    }
}

#[tokio::test]
async fn a_coordinator_at_the_limit_is_not_in_the_way_of_its_sub_agents() {
    let home = Home::new();
    home.agent("default", "boss", "model: script/one\nagents: [helper]").agent(
        "default",
        "helper",
        "model: script/one",
    );
    let script = Script::from_fn(|request| match (request.tools.is_empty(), request.messages.last()) {
        (true, _) => reply("helped"),
        (false, Some(station_core::Message::Tool { .. })) => reply("done"),
        (false, _) => {
            calls([("__agent_helper", json!({"task": "a"})), ("__agent_helper", json!({"task": "b"}))])
        }
    });
    let at_once = Concurrency { environment_max: Some(1), ..Concurrency::UNLIMITED };
    let open = home.open_with(Config { at_once, ..home.config() }, script).await;
    open.sync("default").await;
    let run = open.run("boss", "look around").await;
    assert_eq!(run.run.answer.as_deref(), Some("done"), "{}", outline(&run));
    let children = [open.show(run.children[0].id).await, open.show(run.children[1].id).await];
    one_after_the_other(&children);
    open.close().await;
}

#[tokio::test]
async fn a_run_that_waits_for_its_turn_ends_when_it_is_told_to() {
    let home = Home::new();
    home.agent("default", "talker", "model: script/one");
    let script = Script::from_fn(|_| reply("done").after(Duration::from_secs(3_600)));
    let at_once = Concurrency { environment_max: Some(1), ..Concurrency::UNLIMITED };
    let open = home.open_with(Config { at_once, ..home.config() }, script).await;
    open.sync("default").await;
    let ids = queue(&open, "talker", 3).await;
    let (stop_first, stop_second) = (CancellationToken::new(), CancellationToken::new());
    let mut watch = open.station.watch();
    let (first, second, ()) = tokio::join!(
        open.station.work_off(ids[0], stop_first.clone()),
        open.station.work_off(ids[1], stop_second.clone()),
        async {
            while !matches!(watch.next().await, Some(Ok(live)) if matches!(live.seen, Seen::Hands(_))) {}
            // Whoever leaves does not wait: the run stays in the queue.
            let leave = CancellationToken::new();
            leave.cancel();
            let left = open.station.work_off_until(ids[2], CancellationToken::new(), leave).await;
            assert_eq!(left.expect("the store works").status, Status::Queued);
            stop_second.cancel();
            while open.show(ids[1]).await.run.status != Status::Cancelled {
                tokio::task::yield_now().await;
            }
            stop_first.cancel();
        }
    );
    for ended in [first, second] {
        assert_eq!(ended.expect("the store works").status, Status::Cancelled);
    }
    open.close().await;
}
