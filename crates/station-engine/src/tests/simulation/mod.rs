//! A simulation of everything that can go wrong around runs: the real machine, `drive`, gate and store (SQLite), with
//! several workers, sub-agents, approvals, looks and people, under a scheduler that a seed decides.
//!
//! A process is a set of drivers that the schedule polls one poll at a time; after any poll it may be dropped (a crash), or
//! left alone until its leases lapse. In a quarter of the seeds it is a whole worker (`workers`), which claims by
//! itself. Answers of tools come late, are lost, or come after the run belongs to another; clocks jump. `rules` says what must hold nevertheless. The tools and the model are played; nothing else is.
//!
//! The same seed gives the same schedule; seeds are tried by as many threads as there are processors. A seed that
//! fails is repeated by `cargo xtask simulate --seed N`; more crashes by `cargo xtask simulate --crashes N`.

mod rules;
pub(super) mod scene;
mod schedule;
mod workers;
pub(super) mod world;

use schedule::Schedule;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// When enough was tried.
#[derive(Clone, Copy)]
enum Enough {
    Steps(u64),
    Crashes(u64),
}

/// Steps that a plain `cargo test` tries, and so CI: some fifty seeds, of each stake, with and without limits.
const STEPS: u64 = 100_000;

impl Enough {
    /// What was asked for, where anything was.
    fn asked() -> Self {
        asked("STATION_SIMULATE_CRASHES").map_or(Self::Steps(STEPS), Self::Crashes)
    }

    fn was_tried(self, total: &schedule::Report) -> bool {
        match self {
            Self::Steps(n) => total.steps >= n,
            Self::Crashes(n) => total.crashes >= n,
        }
    }
}

/// A number that `cargo xtask simulate` gives, where it does.
#[expect(clippy::disallowed_methods, reason = "how many crashes are tried is up to who starts the test")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}

fn run(seed: u64) -> schedule::Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime can be made").block_on(async { Schedule::new(seed).await.run().await })
}

#[test]
fn no_crash_loses_a_step_or_doubles_an_effect() {
    if let Some(seed) = asked("STATION_SIMULATE_SEED") {
        eprintln!("{:?}", run(seed));
        return;
    }
    let enough = Enough::asked();
    let first = asked("STATION_SIMULATE_FROM").unwrap_or(0);
    let next = AtomicU64::new(first);
    let total = Mutex::new(schedule::Report::default());
    let failed = Mutex::new(None);
    let is_over = || {
        let was_enough = enough.was_tried(&total.lock().expect("nobody panics with it"));
        was_enough || failed.lock().expect("nobody panics with it").is_some()
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !is_over() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    match std::panic::catch_unwind(|| run(seed)) {
                        Ok(report) => total.lock().expect("nobody panics with it").add(&report),
                        Err(_) => *failed.lock().expect("nobody panics with it") = Some(seed),
                    }
                }
            });
        }
    });
    if let Some(seed) = failed.into_inner().expect("nobody panicked with it") {
        panic!("seed {seed} failed; repeat it with `cargo xtask simulate --seed {seed}`");
    }
    let (seeds, total) =
        (next.load(Ordering::Relaxed) - first, total.into_inner().expect("nobody panicked with it"));
    eprintln!("simulated {seeds} seeds from {first}: {total:?}");
    // Rules about what never happens are kept by anybody; somebody may ask for few crashes, though.
    let schedule::Report { crashes, unknown, looks, resent, voided, revoked, completed, .. } = total;
    let happened = [crashes, unknown, looks, resent, voided, revoked, completed];
    let may_be_few = matches!(enough, Enough::Crashes(_));
    assert!(may_be_few || happened.iter().all(|n| *n > 0), "something was never tried: {total:?}");
}

#[test]
fn a_seed_gives_the_same_schedule_each_time() {
    // One whose schedule drives runs itself, one with whole workers.
    for seed in [6, 7] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

#[test]
fn a_driver_that_died_before_its_first_word_says_nothing_of_the_one_before_it() {
    // One sent a call and stood still, one claimed the run and was gone at once, and a third took the call of the first for one
    // that was at work nowhere any more: it was sent again, and took effect twice.
    assert!(run(4_521).completed > 0);
}

#[test]
fn a_limit_that_is_set_while_workers_take_turns_wakes_each_run_once() {
    // Runs lay down again as fast as they were woken, and whoever set the limit never came to the end.
    assert!(run(35).completed > 0);
}
