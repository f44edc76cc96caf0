//! `stn serve` as something to be asked: how many requests a second, how soon many listeners hear of an event, how soon it is
//! ready, and what it weighs.
//!
//! The real program, over HTTP on loopback, asked by a client that makes its requests beforehand and does not parse. `serve`
//! measures all; a word (`ready`, `requests`, `fanout`, `memory`) measures one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use station_benches::home::Home;
use station_benches::post::{self, Client, Load};
use station_benches::process::{self, Serving};
use station_benches::samples::{Samples, ms};
use station_benches::{floor, report};
use station_testkit::openai::{OpenAi, reply};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What a workspace holds that `stn serve` is ready in.
const AGENTS: usize = 1_000;
const SERVERS: usize = 100;
const STARTS: usize = 20;
const READY_MS: f64 = 50.0;

/// Connections at once, and how many requests over each.
const LOADS: [(usize, usize); 2] = [(1, 2_000), (32, 200)];

/// Who follows one run at a time.
const LISTENERS: usize = 1_000;

/// Runs in flight while memory is looked at, and requests before it is looked at again.
const RUNS: usize = 50;
const REQUESTS: usize = 10_000;
const IDLE_MB: f64 = 30.0;
const AT_WORK_MB: f64 = 60.0;

fn main() {
    let wanted = std::env::args().nth(1);
    let is_wanted = |word: &str| wanted.as_deref().is_none_or(|wanted| wanted == word);
    // A thousand listeners are a thousand sockets, here and in what is started here.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the kernel tells its limits");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("a limit may be raised to what is allowed");
    let place = Home::new();
    report::title("serve: what stn serve does for many, and what it weighs", place.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    if is_wanted("ready") {
        ready();
    }
    if is_wanted("requests") {
        runtime.block_on(requests());
    }
    if is_wanted("fanout") {
        runtime.block_on(fanout());
    }
    if is_wanted("memory") {
        runtime.block_on(memory());
    }
}

/// A model that answers once the gate is open, and a home of one agent that asks it.
struct Gated {
    home: Home,
    gate: Arc<(Mutex<bool>, Condvar)>,
    _model: OpenAi,
}

impl Gated {
    fn new(config: &str) -> Self {
        let gate: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let shut = Arc::clone(&gate);
        let model = OpenAi::from_fn(move |_| {
            let (open, bell) = &*shut;
            let open = open.lock().expect("nobody panics with it");
            drop(bell.wait_while(open, |open| !*open).expect("nobody panics with it"));
            reply("done")
        });
        let home = Home::new();
        home.write_config(&format!(
            "ai_provider: openai\nai_model: stand-in-1\nai_api_key: sk-bench\nai_base_url: {}\n{config}",
            model.base_url()
        ));
        home.agent("talker", "max_steps: 3");
        process::time(&mut home.stn(&["sync"]));
        Self { home, gate, _model: model }
    }

    fn serve(&self) -> Serving {
        Serving::start(self.home.stn(&["serve"]).env("STN_API_PORT", "0"))
    }

    fn open(&self) {
        *self.gate.0.lock().expect("nobody panics with it") = true;
        self.gate.1.notify_all();
    }
}

/// From the start of the program to the first `/ready` that says yes.
fn ready() {
    let home = Home::new();
    for n in 0..SERVERS {
        home.server(&format!("s{n:03}"), &[]);
    }
    for n in 0..AGENTS {
        home.agent(&format!("agent-{n:04}"), "model: offline");
    }
    process::time(&mut home.stn(&["sync", "--no-discover"]));
    let mut samples = Samples::default();
    let mut children = 0;
    for _ in 0..STARTS {
        let started = Instant::now();
        let serving = Serving::listening(home.stn(&["serve"]).env("STN_API_PORT", "0"));
        while !serving.answers("/ready") {}
        samples.add(started.elapsed());
        children = children.max(serving.descendants());
        serving.end();
    }
    report::line(&format!("{AGENTS} agents and {SERVERS} servers: /ready after"), &samples);
    report::aim("  from the start of the program", samples.median_ms(), READY_MS, "ms");
    report::line("  children it started for that, at most", format_args!("{children:8}"));
    report::line(
        "  stn --version, for what a process costs",
        process::samples(STARTS, || home.stn(&["--version"])),
    );
    report::go("  the same", "14.6 s, with 100 children");
    report::gap();
}

/// A read, and a run put in the queue that nobody drives yet.
async fn requests() {
    let gated = Gated::new("execution: { workers: 1, queue: 100000 }\n");
    let serving = gated.serve();
    let enqueue = post::api("POST", "/agents/talker/runs", Some(&json!({ "task": "say what is new" })));
    let read = post::api("GET", "/agents/talker", None);
    let list = post::api("GET", "/runs?limit=20", None);
    for (at_once, each) in LOADS {
        for (what, request, says) in [
            ("GET /agents/talker", &read, "\"name\":\"talker\""),
            ("POST /agents/talker/runs", &enqueue, "\"id\":"),
            ("GET /runs?limit=20", &list, "\"runs\":["),
        ] {
            let load = post::load(serving.port, request, says, at_once, each).await;
            told(&format!("{what}, {at_once} at once"), &load);
        }
    }
    report::line("one flush: an appended page of 4 KiB, fsync", floor::fsync(gated.home.path(), 200));
    gated.open();
    serving.kill();
    report::gap();
}

fn told(what: &str, load: &Load) {
    let (p50, p99) = (ms(load.samples.median()), ms(load.samples.p99()));
    report::line(what, format_args!("{:8.0} a second, p50 {p50:.3} ms, p99 {p99:.3} ms", load.each_second));
}

/// One run, followed by many: how soon each hears of its end, from when the model answers.
async fn fanout() {
    let gated = Gated::new(&format!("http: {{ streams_max: {} }}\n", LISTENERS + 1));
    let serving = gated.serve();
    let mut client = Client::connect(serving.port).await;
    let enqueue = post::api("POST", "/agents/talker/runs", Some(&json!({ "task": "say what is new" })));
    let body: serde_json::Value = serde_json::from_slice(client.send(&enqueue).await).expect("it is JSON");
    let run = body["run"]["id"].as_i64().expect("a run has a number");
    let before = serving.resident_mb();
    let follow = post::api("GET", &format!("/runs/{run}/events"), None);
    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        let mut listener = Client::connect(serving.port).await;
        // What there is to tell so far ends with the model being asked.
        listener.hear(&follow, "effect_started").await;
        listeners.push(listener);
    }
    let following = serving.resident_mb();
    let opened = Instant::now();
    gated.open();
    let mut samples = Samples::default();
    let hearing = listeners.iter_mut().map(|listener| async {
        listener.hear(&[], "run_ended").await;
        opened.elapsed()
    });
    futures::future::join_all(hearing).await.into_iter().for_each(|took| samples.add(took));
    report::line(
        &format!("{LISTENERS} follow a run: its end is heard after"),
        format_args!("{:8.1} ms, the last {:.1} ms", samples.median_ms(), ms(samples.longest())),
    );
    report::line(
        "  resident, before and with all of them",
        format_args!("{before:.1} MB, {following:.1} MB"),
    );
    serving.end();
    report::gap();
}

/// What it weighs: idle, after many requests, and with runs in flight.
async fn memory() {
    let gated = Gated::new("");
    let serving = gated.serve();
    report::aim("stn serve, idle: resident", serving.resident_mb(), IDLE_MB, "MB");
    split(&serving);
    // After what follows its start.
    process::rest(Duration::from_secs(5));
    let rest = Duration::from_secs(20);
    let (wakes, worked) = serving.at_rest(rest);
    report::line("  wake-ups of its threads in 20 s", format_args!("{wakes:8}"));
    report::aim("  of a processor", worked.as_secs_f64() / rest.as_secs_f64() * 100.0, 0.1, "%");
    let read = post::api("GET", "/runs?limit=20", None);
    post::load(serving.port, &read, "\"runs\":", 10, REQUESTS / 10).await;
    report::line(&format!("  after {REQUESTS} requests"), format_args!("{:8.1} MB", serving.resident_mb()));
    split(&serving);
    let mut client = Client::connect(serving.port).await;
    let enqueue = post::api("POST", "/agents/talker/runs", Some(&json!({ "task": "say what is new" })));
    for _ in 0..RUNS {
        client.send(&enqueue).await;
    }
    let running = post::api("GET", "/runs?status=running&limit=200", None);
    while count(client.send(&running).await) < RUNS {}
    gated.open();
    while count(client.send(&running).await) > 0 {}
    report::aim(&format!("  peak, with {RUNS} runs in flight"), serving.peak_mb(), AT_WORK_MB, "MB");
    report::go("  the same", "60 MB");
    serving.end();
    report::gap();
}

fn split(serving: &Serving) {
    for (what, mb) in serving.split_mb() {
        report::line(&format!("    {what}"), format_args!("{mb:8.1} MB"));
    }
}

/// Runs in a list.
fn count(list: &[u8]) -> usize {
    let list: serde_json::Value = serde_json::from_slice(list).expect("it is JSON");
    list["runs"].as_array().map_or(0, Vec::len)
}
