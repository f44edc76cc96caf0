//! Rates: who asks too often waits for its turn, visibly, and heeds what happens meanwhile.

use crate::home::{Home, Open, outline};
use serde_json::json;
use station_core::file::config::{ProviderRate, RateLimits};
use station_core::run::Status;
use station_core::{Caller, RunId};
use station_engine::{Config, Followed, NewRun, Seen, Serve};
use station_llm::Script;
use station_llm::script::{calls, reply};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

fn home() -> Home {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent("default", "worker", "model: script/one\ntools: [echo]");
    home
}

/// One request a minute: the second waits longer than any test.
fn slow(home: &Home) -> Config {
    let rate = ProviderRate { requests_per_min: Some(1), tokens_per_min: None };
    let providers = [("script".to_owned(), rate)].into();
    Config { rate_limits: RateLimits { providers, ..RateLimits::default() }, ..home.config() }
}

fn script() -> Script {
    Script::new(vec![calls([("echo", json!({"text": "one"}))]), reply("done")])
}

/// Resolves when a run waits for its turn.
async fn paced(open: &Open<'_>) -> String {
    let mut watch = open.station.watch();
    loop {
        match watch.next().await {
            Some(Ok(live)) => {
                if let Seen::Paced { on, .. } = &live.seen {
                    return on.clone();
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn start(open: &Open<'_>, timeout: Option<Duration>) -> RunId {
    let new = NewRun { task: "x".to_owned(), timeout, ..NewRun::default() };
    open.start("default", "worker", new).await.id
}

#[tokio::test]
async fn a_run_that_waits_for_its_turn_says_so_and_can_be_cancelled() {
    let home = home();
    let open = home.open_with(slow(&home), script()).await;
    open.sync("default").await;
    let run = start(&open, None).await;
    let stop = CancellationToken::new();
    let (ended, ()) = tokio::join!(open.station.work_off(run, stop.clone()), async {
        let on = paced(&open).await;
        assert_eq!(on, "rate limit of provider `script`: 1 request a minute");
        let shown = open.show(run).await.run;
        assert_eq!((shown.status, shown.waiting_on), (Status::Running, Some(on)));
        stop.cancel();
    });
    assert_eq!(ended.expect("the store works").status, Status::Cancelled);
    let outline = outline(&open.show(run).await);
    assert_eq!(outline.matches("ask script/one").count(), 1, "nothing was said to be sent: {outline}");
    open.close().await;
}

#[tokio::test]
async fn the_end_of_a_runs_time_and_of_its_worker_end_the_wait() {
    let home = home();
    let open = home.open_with(slow(&home), script()).await;
    open.sync("default").await;
    let short = start(&open, Some(Duration::from_millis(300))).await;
    assert_eq!(open.work_off(short).await.run.status, Status::TimedOut);

    let left = start(&open, None).await;
    let stop = CancellationToken::new();
    let serve = Serve { workers: 1, drain_for: Duration::from_secs(600) };
    let (served, ()) = tokio::join!(open.station.serve(&serve, stop.clone()), async {
        paced(&open).await;
        stop.cancel();
    });
    served.expect("the store works");
    let details = open.show(left).await;
    let on = "rate limit of provider `script`: 1 request a minute".to_owned();
    assert_eq!((details.run.status, details.run.waiting_on), (Status::Waiting, Some(on)));
    open.station.cancel_run(&Caller::local(), left).await.expect("it has not ended");
    open.close().await;
}

#[tokio::test]
async fn a_run_that_waits_for_its_turn_keeps_no_slot_from_others() {
    let home = home();
    home.agent("default", "other", "model: offline");
    let open = home.open_with(slow(&home), script()).await;
    open.sync("default").await;
    let (slow, stop) = (start(&open, None).await, CancellationToken::new());
    let serve = Serve { workers: 1, drain_for: Duration::from_secs(600) };
    let (served, ()) = tokio::join!(open.station.serve(&serve, stop.clone()), async {
        paced(&open).await;
        let new = NewRun { task: "x".to_owned(), ..NewRun::default() };
        let other = open.start("default", "other", new).await.id;
        let followed = open.station.follow_run(&Caller::local(), other).await;
        assert_eq!(followed.expect("the store works"), Followed::Ended);
        stop.cancel();
    });
    served.expect("the store works");
    assert_eq!(open.show(slow).await.run.status, Status::Waiting);
    open.station.cancel_run(&Caller::local(), slow).await.expect("it has not ended");
    let ended = open.station.end_cancelled(&Caller::local(), slow).await.expect("the store works");
    assert_eq!(ended.status, Status::Cancelled);
    open.close().await;
}

#[tokio::test]
async fn calls_of_a_server_wait_for_their_turn_and_are_all_made() {
    let home = home();
    // Thirty at once, and one each fifth of a second.
    let servers = [("default/fake".to_owned(), 300), ("fake".to_owned(), 1)].into();
    let config = Config { rate_limits: RateLimits { servers, ..RateLimits::default() }, ..home.config() };
    let all: [(&str, serde_json::Value); 32] =
        std::array::from_fn(|n| ("echo", json!({"text": n.to_string()})));
    let open = home.open_with(config, Script::new(vec![calls(all), reply("done")])).await;
    open.sync("default").await;
    let started = Instant::now();
    let details = open.run("worker", "many").await;
    assert_eq!((details.run.status, details.run.tool_calls), (Status::Completed, 32));
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    open.close().await;
}
