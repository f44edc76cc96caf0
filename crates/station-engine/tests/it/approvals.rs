//! Calls that wait for a person: what the model reads of one that nobody let through.

use crate::home::{Home, Open, outline};
use serde_json::json;
use station_core::approval;
use station_core::run::Status;
use station_core::{Caller, Message, RunId};
use station_engine::{ApprovalFilter, Clock, Config, RunDetails, Serve};
use station_llm::Script;
use station_llm::script::{calls, reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const DAY: i64 = 86_400_000_000;

/// A worker drives until `run` has ended.
async fn serve(open: &Open<'_>, run: RunId) -> RunDetails {
    let stop = CancellationToken::new();
    let serve = Serve { workers: 1, drain_for: Duration::from_secs(1) };
    let (served, details) = tokio::join!(open.station.serve(&serve, stop.clone()), async {
        loop {
            let details = open.show(run).await;
            if details.run.status.is_final() {
                stop.cancel();
                return details;
            }
            tokio::task::yield_now().await;
        }
    });
    served.expect("the store works");
    details
}

#[tokio::test]
async fn a_call_that_nobody_decided_about_in_time_is_told_in_another_word_than_a_denied_one() {
    let home = Home::new();
    let front = "model: script/one\ntools: [write]\nstation: {approve: [write]}";
    home.server("default", "fake", &[], &[]).agent("default", "worker", front);
    let clock = Arc::new(AtomicI64::new(20_000 * DAY));
    let config = Config {
        clock: Clock::Manual(Arc::clone(&clock)),
        approval_timeout: Some(Duration::from_secs(30 * 86_400)),
        ..home.config()
    };
    let script = Script::from_fn(|request| match request.messages.last() {
        Some(Message::Tool { text, .. }) => reply(text),
        _ => calls([("write", json!({"text": "a"}))]),
    });
    let open = home.open_with(config, script).await;
    open.sync("default").await;
    let by = Caller::local();
    let pending = async || {
        open.station.list_approvals(&by, &ApprovalFilter::pending(), 10).await.expect("the store works")
    };

    let waits = open.run("worker", "write it").await;
    assert_eq!(waits.run.status, Status::Waiting, "{}", outline(&waits));
    clock.fetch_add(29 * DAY, Ordering::SeqCst);
    assert_eq!(pending().await.len(), 1);
    clock.fetch_add(2 * DAY, Ordering::SeqCst);
    let ended = serve(&open, waits.run.id).await;
    let told = ended.run.answer.as_deref().unwrap_or_default();
    assert!(told.starts_with("timed out: ") && !told.contains("denied"), "{told}");
    assert_eq!(ended.approvals[0].status, approval::Status::TimedOut);

    let waits = open.run("worker", "write it again").await;
    let asked = pending().await[0].id;
    open.station.deny(&by, asked, "not today".to_owned()).await.expect("it waits");
    let ended = serve(&open, waits.run.id).await;
    let told = ended.run.answer.as_deref().unwrap_or_default();
    assert!(told.starts_with("denied: ") && told.contains("not today"), "{told}");
    assert_eq!(home.log("default", "fake").len(), 0, "nothing was sent");
    open.close().await;
}
