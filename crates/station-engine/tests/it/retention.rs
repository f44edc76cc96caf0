//! `runs.keep_days`: a worker removes what ended long ago.

use crate::home::Home;
use serde_json::json;
use station_core::{Caller, Message};
use station_engine::{Clock, Config, NewRun, RunFilter, Serve};
use station_llm::Script;
use station_llm::script::{calls, reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const DAY: i64 = 86_400_000_000;

#[tokio::test]
async fn a_worker_removes_what_ended_long_ago() {
    let home = Home::new();
    home.agent("default", "boss", "model: script/one\nagents: [helper]").agent(
        "default",
        "helper",
        "model: script/one",
    );
    let clock = Arc::new(AtomicI64::new(20_000 * DAY));
    let config = Config {
        clock: Clock::Manual(Arc::clone(&clock)),
        keep_days: Some(30),
        run_timeout: Duration::from_secs(100 * 86_400),
        ..home.config()
    };
    let script = Script::from_fn(|request| match (request.tools.is_empty(), request.messages.last()) {
        (true, _) => reply("helped"),
        (false, Some(Message::Tool { .. })) => reply("done"),
        (false, _) => calls([("__agent_helper", json!({"task": "a"}))]),
    });
    let open = home.open_with(config, script).await;
    open.sync("default").await;
    let by = Caller::local();
    let old = open.run("boss", "long ago").await.run.id;
    let queued = open.start("default", "boss", NewRun { task: "x".to_owned(), ..NewRun::default() }).await.id;
    open.station.cancel_run(&by, queued).await.expect("it has not ended");
    clock.fetch_add(29 * DAY, Ordering::SeqCst);
    let recent = open.run("boss", "lately").await.run.id;
    assert_eq!(open.station.prunable_runs(&by, Some(30)).await.expect("the store works").runs, 0);
    clock.fetch_add(2 * DAY, Ordering::SeqCst);
    assert_eq!(open.station.prunable_runs(&by, Some(30)).await.expect("the store works").runs, 2);

    let serve = Serve { workers: 1, drain_for: Duration::from_secs(1) };
    let stop = CancellationToken::new();
    let (served, ()) = tokio::join!(open.station.serve(&serve, stop.clone()), async {
        // The queued one ends as cancelled, just now; the old one goes with its sub-agent's.
        while open.station.prunable_runs(&by, Some(30)).await.expect("the store works").runs > 0 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    });
    served.expect("the store works");
    let left = open.station.list_runs(&by, &RunFilter::default(), 100).await.expect("the store works");
    let left: Vec<_> =
        left.into_iter().map(|run| run.id).filter(|id| [old, queued, recent].contains(id)).collect();
    assert_eq!(left, [recent, queued]);
    assert_eq!(open.show(recent).await.run.answer.as_deref(), Some("done"));
    // What the removed run shared with others is still there for the next.
    assert_eq!(open.run("boss", "today").await.run.answer.as_deref(), Some("done"));
    open.close().await;
}
