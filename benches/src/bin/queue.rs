//! The queue and its workers: how many runs go through, how soon one begins, how many are in flight at a time, how soon a
//! worker lets go, and what a parked run costs.
//!
//! The model is scripted, so what is measured is Station; every step is durable. What goes through the queue goes through a
//! Station in this process, without the doors of `stn serve` and a provider's HTTP; `idle` and `parked` measure the real one.
//! `queue` measures all; a word (`through`, `dispatch`, `flight`, `drain`, `parked`, `idle`) measures one.

use serde_json::json;
use station_benches::home::{Home, Open};
use station_benches::rows::Parked;
use station_benches::samples::{Samples, ms};
use station_benches::{floor, process, programs, report, rows};
use station_core::run::{Event, Status, WaitKind};
use station_core::{Caller, EnvironmentName, RunId};
use station_engine::{AgentRef, Driver, NewRun, RunFilter, Seen, Serve, Station, Watch};
use station_llm::Script;
use station_llm::script::reply;
use station_testkit::openai::{self, OpenAi};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Runs that go through the queue, and those that are sent one by one.
const THROUGH: usize = 3_000;
const ONE_BY_ONE: usize = 300;

/// How long the model of runs in flight takes.
const MODEL_TAKES: Duration = Duration::from_secs(30);

/// Runs that are parked.
const PARKED: usize = 100_000;

/// No bench lists more.
const RUNS_MAX: u32 = 20_000;

fn main() {
    let wanted = std::env::args().nth(1);
    let is_wanted = |word: &str| wanted.as_deref().is_none_or(|wanted| wanted == word);
    let home = Home::new();
    report::title(
        "queue: runs through the queue of a Station in this process, the model scripted; idle and parked: `stn serve`",
        home.path(),
    );
    // As `stn serve` has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    if is_wanted("through") {
        runtime.block_on(through());
    }
    if is_wanted("dispatch") {
        runtime.block_on(dispatch());
    }
    for n in [1_000, 5_000] {
        if is_wanted("flight") {
            runtime.block_on(flight(n));
        }
    }
    if is_wanted("drain") {
        runtime.block_on(drain());
    }
    if is_wanted("idle") {
        idle();
    }
    if is_wanted("parked") {
        runtime.block_on(parked_runs());
    }
}

async fn open(home: &Home, latency: Duration) -> Open {
    home.agent("talker", "model: script/one");
    let open = home.open(Script::from_fn(move |_| reply("done").after(latency))).await;
    open.sync().await;
    open
}

async fn enqueue(station: &Station) {
    let agent = AgentRef::parse("talker", Some(EnvironmentName::default()));
    let new = NewRun { task: "say what is new".to_owned(), driver: Driver::Caller, ..NewRun::default() };
    station.start_run(&Caller::local(), &agent, new).await.expect("the queue has room");
}

/// Fills the queue from fifty callers at once.
async fn fill(station: &Station, n: usize) -> Duration {
    let started = Instant::now();
    let each = n / 50;
    let callers = (0..50).map(|_| async move {
        for _ in 0..each {
            enqueue(station).await;
        }
    });
    futures::future::join_all(callers).await;
    started.elapsed()
}

fn serve(station: &Station, workers: usize) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let serve =
        Serve { workers: u32::try_from(workers).expect("a few thousand"), drain_for: Serve::DRAIN_FOR };
    let (station, told) = (station.clone(), stop.clone());
    let working = tokio::spawn(async move { station.serve(&serve, told).await.expect("the store works") });
    (stop, working)
}

/// Waits until `n` runs have ended; how long each took beyond `beyond`, from its start to its end.
async fn ended(station: &Station, watch: &mut Watch, n: usize) -> usize {
    let mut seen = 0;
    while seen < n {
        match watch.next().await {
            Some(Ok(live)) => {
                let is_end = matches!(&live.seen, Seen::Journal(entry) if matches!(entry.event, Event::RunEnded { .. }));
                seen += usize::from(is_end);
            }
            // Too many at once to be told: the store knows.
            Some(Err(_)) => {
                let all = RunFilter { status: Some(Status::Completed), ..RunFilter::default() };
                seen = station.list_runs(&Caller::local(), &all, RUNS_MAX).await.expect("it reads").len();
            }
            None => break,
        }
    }
    seen
}

async fn through() {
    let home = Home::new();
    let open = open(&home, Duration::ZERO).await;
    let station = &open.station;
    let flush = floor::fsync(home.path(), 200);
    let filled = fill(station, THROUGH).await;
    let (mut watch, before) = (station.watch(), station.commits());
    let started = Instant::now();
    let (stop, working) = serve(station, 50);
    ended(station, &mut watch, THROUGH).await;
    let took = started.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let (n, commits) = (THROUGH as f64, (station.commits() - before) as f64);
    report::line(
        "runs put in the queue, per second, 50 callers",
        format_args!("{:8.0}", n / filled.as_secs_f64()),
    );
    report::line(
        "runs through the queue, per second, 50 slots",
        format_args!("{:8.0}  (aim ≥ 1,000)", n / took.as_secs_f64()),
    );
    report::line("  their commits, for each run", format_args!("{:8.3}", commits / n));
    report::line("  one flush: an appended page of 4 KiB, fsync", &flush);
    stop.cancel();
    working.await.expect("the worker does not panic");
    station.close().await;
    report::gap();
}

async fn dispatch() {
    let home = Home::new();
    let open = open(&home, Duration::ZERO).await;
    let station = &open.station;
    let (stop, working) = serve(station, 50);
    let mut samples = Samples::default();
    let mut watch = station.watch();
    for _ in 0..ONE_BY_ONE {
        let started = Instant::now();
        enqueue(station).await;
        let mut begun = None;
        loop {
            let Some(Ok(live)) = watch.next().await else { break };
            let Seen::Journal(entry) = &live.seen else { continue };
            begun.get_or_insert_with(|| started.elapsed());
            if matches!(entry.event, Event::RunEnded { .. }) {
                break;
            }
        }
        samples.add(begun.unwrap_or_default());
    }
    report::aim("from being put in the queue to the first event, p50", samples.median_ms(), 2.0, "ms");
    report::line("  p99", format_args!("{:8.3} ms", ms(samples.p99())));
    stop.cancel();
    working.await.expect("the worker does not panic");
    station.close().await;
    report::gap();
}

/// A worker with `n` slots and as many runs, each of which asks a model that takes its time.
struct Flight {
    home: Home,
    open: Open,
    watch: Watch,
    stop: CancellationToken,
    working: JoinHandle<()>,
}

impl Flight {
    /// All of them are in flight.
    async fn start(n: usize) -> Self {
        let home = Home::new();
        let open = open(&home, MODEL_TAKES).await;
        let mut watch = open.station.watch();
        let (stop, working) = serve(&open.station, n);
        let started = Instant::now();
        fill(&open.station, n).await;
        asked(&open.station, &mut watch, n).await;
        report::line(
            &format!("{n} runs, a model of 30 s: all put in the queue and in flight after"),
            format_args!("{:8.0} ms", ms(started.elapsed())),
        );
        Self { home, open, watch, stop, working }
    }

    async fn end(self) {
        self.stop.cancel();
        self.working.await.expect("the worker does not panic");
        self.open.station.close().await;
        drop(self.home);
        report::gap();
    }
}

/// Waits until `n` runs wait for their model.
async fn asked(station: &Station, watch: &mut Watch, n: usize) {
    let mut asked = 0;
    while asked < n {
        match watch.next().await {
            Some(Ok(live)) => {
                let is_ask = matches!(&live.seen, Seen::Journal(entry) if matches!(entry.event, Event::EffectStarted { .. }));
                asked += usize::from(is_ask);
            }
            // Too many at once to be told: the store knows.
            Some(Err(_)) => {
                let running = RunFilter { status: Some(Status::Running), ..RunFilter::default() };
                let runs = station.list_runs(&Caller::local(), &running, RUNS_MAX).await.expect("it reads");
                asked = runs.iter().filter(|run| run.waiting_kind == Some(WaitKind::Model)).count();
            }
            None => break,
        }
    }
}

/// `n` runs in flight, to the end of all of them.
async fn flight(n: usize) {
    let before = process::resident_mb("self");
    process::forget_peak();
    let mut flight = Flight::start(n).await;
    ended(&flight.open.station, &mut flight.watch, n).await;
    let peak = process::own_peak_mb();
    if n == 5_000 {
        report::aim("  resident, at its peak", peak, 400.0, "MB");
    } else {
        report::line("  resident, at its peak", format_args!("{peak:8.1} MB"));
    }
    report::line("  resident, before", format_args!("{before:8.1} MB"));
    let all = RunFilter { status: Some(Status::Completed), ..RunFilter::default() };
    let runs = flight.open.station.list_runs(&Caller::local(), &all, RUNS_MAX).await.expect("it reads");
    let mut samples = Samples::default();
    for run in &runs {
        let ended = run.ended_at.expect("it ended");
        samples.add(Duration::from_millis(ended.ms_since(run.created_at)));
    }
    report::line("  completed", format_args!("{:8}", runs.len()));
    report::line(
        "  from being put in the queue to their end, p50",
        format_args!("{:8.0} ms", ms(samples.median())),
    );
    report::line("  p99", format_args!("{:8.0} ms", ms(samples.p99())));
    flight.end().await;
}

/// A worker is told to stop while a thousand runs wait for their model.
async fn drain() {
    let mut flight = Flight::start(1_000).await;
    let told = Instant::now();
    flight.stop.cancel();
    (&mut flight.working).await.expect("the worker does not panic");
    report::aim("  told to stop: all let go of after", ms(told.elapsed()), 1_000.0, "ms");
    flight.open.station.close().await;
    report::gap();
}

/// The real `stn serve` with nothing to do.
fn idle() {
    let home = Home::new();
    let child = process::Serving::start(&mut home.stn(&["serve"]));
    report::aim("stn serve, idle: resident", child.resident_mb(), 30.0, "MB");
    for (what, mb) in child.split_mb() {
        report::line(&format!("  {what}"), format_args!("{mb:8.1} MB"));
    }
    // After what follows its start.
    process::rest(Duration::from_secs(10));
    let (wakes, worked) = child.at_rest(Duration::from_secs(60));
    report::line("  in a minute: wake-ups of its threads", format_args!("{wakes:8}"));
    report::line("  in a minute: processor time", format_args!("{:8.2} ms", ms(worked)));
    child.end();
    report::gap();
}

/// What a run that waits for a person costs: one is made by the real program, and then the same many times over.
async fn parked_runs() {
    let home = Home::new();
    let model = OpenAi::from_fn(|_| openai::calls([("post", r#"{"text":"the tenth is a holiday"}"#)]));
    home.write_config(&format!(
        "ai_provider: openai\nai_model: stand-in-1\nai_base_url: {}\nai_api_key: a-key\n",
        model.base_url()
    ));
    let entry = json!({
        "command": programs::fake_server(), "args": ["--ledger", home.work("ledger.jsonl")],
        "station": { "tools": { "approve": ["post"] } },
    });
    home.write("mcp-servers/book.json", &json!({ "mcpServers": { "book": entry } }).to_string());
    home.agent("talker", "tools: [post]");
    process::time(&mut home.stn(&["sync"]));
    let waits =
        home.stn(&["agent", "run", "talker", "say what is new"]).output().expect("stn can be started");
    assert_eq!(waits.status.code(), Some(5), "it waits for a person: {waits:?}");
    let before = home.store_bytes();
    let store = rows::open(&home).await;
    let parked = Parked::of(&store, RunId(1)).await;
    let again = |run, fence| parked.again(run, fence);
    let made = rows::runs(&store, PARKED, parked.request(), again).await;
    store.close().await;
    #[expect(clippy::cast_precision_loss, reason = "a hundred thousand")]
    let each = (home.store_bytes() - before) as f64 / PARKED as f64;
    report::line(&format!("{PARKED} parked runs, made in"), format_args!("{:8.0} ms", ms(made)));
    report::line("  in the database, each", format_args!("{each:8.0} bytes"));
    report::line("  of these, its journal", format_args!("{:8} bytes", parked.journal_bytes()));
    let started = Instant::now();
    let child = process::Serving::start(&mut home.stn(&["serve"]));
    report::line("  stn serve works after", format_args!("{:8.1} ms", ms(started.elapsed())));
    report::line("  resident", format_args!("{:8.1} MB", child.resident_mb()));
    child.end();
}
