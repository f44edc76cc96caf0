//! Durable appends to journals per second: one writer after the other, and fifty at once that share commits.

use station_benches::samples::Samples;
use station_benches::{floor, report};
use station_core::run::{Entry, Event};
use station_core::sync::{AgentRow, Change};
use station_core::{AgentName, Caller, EffectId, EnvironmentName, Fence, Micros, RunId};
use station_store::{Append, Appended, Claim, Key, LeaseClock, Location, NewRun, Options, Owner, Store};
use std::time::{Duration, Instant};

/// The time of everything here: no figure depends on it.
const NOW: Micros = Micros(1_700_000_000_000_000);

/// Appends of the single writer, and of each of the many.
const ALONE: usize = 2_000;
const TOGETHER: usize = 100;

const WRITERS: usize = 50;

const FLUSHES: usize = 500;

const LEASE_MS: u64 = 600_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let store = open(&folder.path().join("station.db")).await;
    let mut journals = Vec::new();
    for _ in 0..=WRITERS {
        journals.push(Journal::begin(&store).await);
    }
    report::title("appends: durable appends to journals, one event each", folder.path());
    let mut alone = journals.pop().expect("one more than the writers was begun");
    alone.append(&store, ALONE / 20).await;

    let before = floor::fsync(folder.path(), FLUSHES);
    let started = Instant::now();
    let each = alone.append(&store, ALONE).await;
    let one_by_one = per_second(ALONE, started.elapsed());

    let commits = store.commits();
    let started = Instant::now();
    futures::future::join_all(journals.iter_mut().map(|journal| journal.append(&store, TOGETHER))).await;
    let grouped = per_second(WRITERS * TOGETHER, started.elapsed());
    let commits = store.commits() - commits;
    let after = floor::fsync(folder.path(), FLUSHES);
    let floor_ms = before.median_ms().midpoint(after.median_ms());

    report::line("one append", &each);
    report::line("one flush: an appended page of 4 KiB, fsync", format_args!("{floor_ms:8.3} ms"));
    report::line("one append, in flushes", format_args!("{:8.3} ×", each.median_ms() / floor_ms));
    report::gap();
    report::line("one by one", format_args!("{one_by_one:8.0} per second"));
    report::line(
        "the most that one by one could be, by the flush",
        format_args!("{:8.0} per second", 1e3 / floor_ms),
    );
    report::line(&format!("{WRITERS} writers at once"), format_args!("{grouped:8.0} per second"));
    #[expect(clippy::cast_precision_loss, reason = "a few thousand appends")]
    let per_commit = (WRITERS * TOGETHER) as f64 / commits as f64;
    report::line("  appends of one commit", format_args!("{per_commit:8.1}"));
    store.close().await;
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand appends")]
fn per_second(n: usize, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64()
}

async fn open(path: &std::path::Path) -> Store {
    let store = Store::open(Options {
        location: Location::Sqlite(path.to_owned()),
        keys: Key::generate().expect("the system has random bytes").into(),
        lease_clock: LeaseClock::System,
    });
    let store = store.await.expect("a store opens in an empty folder");
    let agent = AgentRow {
        name: AgentName::parse("worker").expect("a name"),
        description: String::new(),
        model: None,
        tags: Vec::new(),
        source: "---\nmodel: offline\n---\n".to_owned(),
        path: None,
        tools: Vec::new(),
        agents: Vec::new(),
        existed: false,
    };
    let changes = [Change::CreateEnvironment, Change::PutAgent(Box::new(agent))];
    store.apply(&EnvironmentName::default(), "bench", &changes, "ada", NOW).await.expect("the plan fits");
    store
}

/// A run that this process drives.
struct Journal {
    run: RunId,
    fence: Fence,
    seq: i64,
}

impl Journal {
    async fn begin(store: &Store) -> Self {
        let agents = store.agents_named("worker", None).await.expect("the store works");
        let agent = agents.first().expect("the agent was made");
        let new = NewRun::new(agent.id, agent.environment, Caller::LOCAL_USER, "append");
        let run = store.enqueue(&new, None, NOW).await.expect("the store works");
        let pid = std::process::id();
        let owner = Owner { worker: "bench".to_owned(), host: "here".to_owned(), pid, pid_start: 1 };
        match store.claim(run, &owner, LEASE_MS, None, NOW).await.expect("the store works") {
            Claim::Claimed { fence, .. } => Self { run, fence, seq: 0 },
            other => panic!("a new run could not be claimed: {other:?}"),
        }
    }

    /// Appends `n` answers of a tool, each durable before the next.
    async fn append(&mut self, store: &Store, n: usize) -> Samples {
        let mut samples = Samples::default();
        for _ in 0..n {
            self.seq += 1;
            let event = Event::Returned {
                id: EffectId(uuid::Uuid::now_v7()),
                text: "a result of about the length that a small tool gives back".to_owned(),
                structured: None,
                is_error: false,
                cut_bytes: 0,
                whole: None,
                images: Vec::new(),
                ms: 1,
            };
            let append = Append::new(self.run, self.fence, vec![Entry { seq: self.seq, at: NOW, event }]);
            let started = Instant::now();
            let appended = store.append(append).await.expect("the store works");
            samples.add(started.elapsed());
            assert!(matches!(appended, Appended::Done { .. }), "nobody else has the run");
        }
        samples
    }
}
