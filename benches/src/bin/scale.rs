//! What a large installation costs that a small one does not: the commands people type, in a home and in one ten times
//! its size.
//!
//! Two homes are made. In each the same commands are timed as whole processes. Where a command says or reads everything
//! (every agent's file at a sync), what is compared is the time for one of them; elsewhere the time itself. A command is
//! flat where the large home costs at most [`FLAT`] of the small one.

use station_benches::home::Home;
use station_benches::samples::{Samples, ms};
use station_benches::{process, report, rows};
use station_testkit::openai::{OpenAi, reply};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the large home may cost, of the small one.
const FLAT: f64 = 1.2;

/// A sync of everything at once, without discovery.
const SYNC_MS_MAX: f64 = 500.0;

/// Processes that are timed of each command.
const N: usize = 30;

struct Size {
    agents: usize,
    servers: usize,
    environments: usize,
    runs: usize,
}

const SMALL: Size = Size { agents: 100, servers: 10, environments: 1_000, runs: 10_000 };
const LARGE: Size = Size { agents: 1_000, servers: 100, environments: 10_000, runs: 100_000 };

/// Tools of each server.
const TOOLS_EACH: usize = 100;

/// A command, in one of the homes.
struct Timed {
    what: &'static str,
    /// How many things it reads or says, where it goes over everything.
    of: usize,
    samples: Samples,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(measure());
}

async fn measure() {
    let small = world(&SMALL).await;
    report::title("scale: commands in a home, and in one ten times its size", small.home.path());
    let before = small.timed();
    let large = world(&LARGE).await;
    let after = large.timed();
    for (before, after) in before.iter().zip(&after) {
        compare(before, after);
    }
    report::gap();
    let what = format!("stn sync of {} new agents and {} new servers", LARGE.agents, LARGE.servers);
    report::aim(&format!("{what}, once"), ms(large.first_sync), SYNC_MS_MAX, "ms");
    report::go("  with discovery, which ours starts afterwards", "9,800 ms");
}

#[expect(clippy::cast_precision_loss, reason = "a thousand")]
fn compare(before: &Timed, after: &Timed) {
    report::line(after.what, format_args!("{:8.2} ms", after.samples.median_ms()));
    let a_tenth = format!("  in the home of a tenth ({})", before.samples);
    report::line(&a_tenth, format_args!("{:8.2} ms", before.samples.median_ms()));
    let each = |timed: &Timed| timed.samples.median_ms() / timed.of as f64;
    let times =
        if after.of > 1 { "  for one agent of them, the large home is" } else { "  the large home is" };
    report::aim(times, each(after) / each(before), FLAT, "×");
}

/// A home with everything in it, and what its first sync took.
struct World {
    home: Home,
    model: OpenAi,
    asked: Arc<Mutex<Option<Instant>>>,
    size: &'static Size,
    first_sync: Duration,
}

async fn world(size: &'static Size) -> World {
    let asked = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&asked);
    let model = OpenAi::from_fn(move |_| {
        *seen.lock().expect("nobody panics with it") = Some(Instant::now());
        reply("nothing is new")
    });
    let home = Home::new();
    home.write_config(&format!(
        "ai_provider: openai\nai_model: stand-in-1\nai_api_key: sk-bench\nai_base_url: {}\n",
        model.base_url()
    ));
    for n in 0..size.servers {
        home.server(&format!("inventory-{n:03}"), &[]);
    }
    home.agent("talker", "max_steps: 3");
    for n in 1..size.agents {
        let granted = n % size.servers;
        home.agent(&format!("agent-{n:04}"), &format!("tools: [inventory-{granted:03}_007]"));
    }
    let first_sync = process::time(&mut home.stn(&["sync", "--no-discover"]));
    let store = rows::open(&home).await;
    let default = store.environment("default").await.expect("the store works").expect("it was synced");
    rows::tools(&store, default.id, TOOLS_EACH).await;
    rows::environments(&store, size.environments).await;
    rows::runs(&store, size.runs, "{}", rows::ended).await;
    store.close().await;
    World { home, model, asked, size, first_sync }
}

impl World {
    fn timed(&self) -> [Timed; 5] {
        let agents = self.size.agents;
        let stn = |args: &'static [&'static str]| process::samples(N, || self.home.stn(args));
        [
            Timed { what: "stn agent list", of: agents, samples: stn(&["agent", "list"]) },
            Timed {
                what: "stn sync, nothing changed",
                of: agents,
                samples: stn(&["sync", "default", "--no-discover"]),
            },
            Timed { what: "stn sync, one agent changed", of: agents, samples: self.changed_syncs() },
            Timed { what: "stn runs list", of: 1, samples: stn(&["runs", "list"]) },
            Timed { what: "stn agent run, until the model is asked", of: 1, samples: self.first_requests() },
        ]
    }

    fn changed_syncs(&self) -> Samples {
        let mut samples = Samples::default();
        for n in 0..N {
            self.home.agent("talker", &format!("max_steps: {}", 3 + n % 2));
            samples.add(process::time(&mut self.home.stn(&["sync", "default", "--no-discover"])));
        }
        samples
    }

    fn first_requests(&self) -> Samples {
        let mut samples = Samples::default();
        for _ in 0..N {
            let mut command: Command = self.home.stn(&["agent", "run", "talker", "say what is new"]);
            let started = Instant::now();
            process::time(&mut command);
            let asked = self.asked.lock().expect("nobody panics with it").take();
            samples.add(asked.expect("the model was asked").duration_since(started));
        }
        assert!(self.model.requests().len() >= N, "each run asks the model");
        samples
    }
}
