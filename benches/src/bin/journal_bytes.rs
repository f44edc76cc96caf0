//! What a long run leaves in the store: 100 tool calls whose results fill a context of 200,000 tokens.
//!
//! Beside it stands, from the same run, what a journal of requests would hold: each request to the model, whole, as it
//! was sent. And the same with results that are too long to be told at once.

use serde_json::json;
use station_benches::home::Home;
use station_benches::report;
use station_core::run::Event;
use station_core::{Caller, Message};
use station_engine::Run;
use station_llm::Script;
use station_llm::script::{calls, reply};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A run takes 25 turns at most, the last of which is the answer.
const TURNS: usize = 20;
const CALLS: usize = 5;

/// 100 of these are 200,000 tokens of four bytes.
const RESULT_BYTES: u64 = 8_000;

/// Too long to be told at once: kept by hash, and told in 64 KiB.
const LONG_BYTES: u64 = 500_000;

/// What a journal may hold.
const MEGABYTES_MAX: f64 = 2.0;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    report::title("journal_bytes: what a run of 100 tool calls leaves in the store", folder.path());
    run("results of 8 KB, 200,000 tokens", RESULT_BYTES, Some(MEGABYTES_MAX)).await;
    report::gap();
    run("results of 500 KB", LONG_BYTES, None).await;
}

async fn run(what: &str, bytes: u64, aim_megabytes: Option<f64>) {
    let home = Home::new();
    home.server("fake", &[]);
    home.agent("worker", "model: script/one\nmax_steps: 25\ntools: [big]");
    let requests = Arc::new(AtomicU64::new(0));
    let open = home.open(script(bytes, Arc::clone(&requests))).await;
    open.sync().await;
    let run = open.run("worker").await;
    assert_eq!(usize::try_from(run.tool_calls), Ok(TURNS * CALLS), "every call was made");
    let details = open.station.show_run(&Caller::local(), run.id).await.expect("it is there");
    let (journal, by_hash) = kept(&details.journal);
    tell(what, &run, (journal, by_hash, requests.load(Ordering::Relaxed)), aim_megabytes);
    open.station.close().await;
}

/// Calls until all are made, then an answer. Counts the bytes of each request on the way.
fn script(bytes: u64, requests: Arc<AtomicU64>) -> Script {
    Script::from_fn(move |request| {
        let tools: Vec<_> = request.tools.iter().map(|tool| &tool.spec).collect();
        let body = json!({"messages": request.messages, "tools": tools}).to_string();
        requests.fetch_add(body.len() as u64, Ordering::Relaxed);
        let turns = request.messages.iter().filter(|it| matches!(it, Message::Assistant { .. })).count();
        let call = |n: u64| ("big", json!({"bytes": bytes + n + turns as u64 * 5}));
        if turns < TURNS { calls([call(0), call(1), call(2), call(3), call(4)]) } else { reply("done") }
    })
}

/// Bytes of the events, and of what they name by hash, each body once.
fn kept(journal: &[station_core::run::Entry]) -> (u64, u64) {
    let events = journal.iter().map(|entry| json!(entry.event).to_string().len() as u64);
    let mut bodies = BTreeMap::new();
    for entry in journal {
        if let Event::Returned { whole: Some(whole), .. } = &entry.event {
            bodies.insert(whole.blob.clone(), whole.bytes);
        }
    }
    (events.sum(), bodies.values().sum())
}

#[expect(clippy::cast_precision_loss, reason = "megabytes")]
fn tell(what: &str, run: &Run, (journal, by_hash, requests): (u64, u64, u64), aim_megabytes: Option<f64>) {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    report::line(what, format_args!("{:8} calls in {} turns", run.tool_calls, run.steps));
    match aim_megabytes {
        Some(most) => report::aim("  the journal", megabytes(journal), most, "MB"),
        None => report::line("  the journal", format_args!("{:8.3} MB", megabytes(journal))),
    }
    report::line("  results kept by hash, each once", format_args!("{:8.3} MB", megabytes(by_hash)));
    report::line(
        "  a journal of the requests as they were sent",
        format_args!("{:8.3} MB", megabytes(requests)),
    );
    report::line(
        "  that is so many times the journal",
        format_args!("{:8.1} ×", requests as f64 / journal as f64),
    );
}
