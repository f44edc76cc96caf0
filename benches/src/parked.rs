//! A hundred thousand runs that wait for a person, as rows, without anybody having driven them there.

use crate::home::Home;
use station_core::run::{Entry, Event, Status, WaitKind, WaitsOn};
use station_core::{Caller, Concurrency, Micros};
use station_store::{
    Append, Appended, Key, LeaseClock, Location, NewRun, Options, Owner, RunUpdate, Store, Wanted,
};
use std::time::{Duration, Instant};

/// Runs that are made, taken and parked at a time.
const BATCH: usize = 500;

const NOW: Micros = Micros(1_700_000_000_000_000);

const LEASE_MS: u64 = 600_000;

/// Makes the store of the real `stn` in `home`, with `n` parked runs of an agent `talker`; how long that took.
///
/// # Panics
/// Where `stn` or the store fails.
pub async fn make(home: &Home, n: usize) -> Duration {
    home.agent("talker", "model: offline");
    crate::process::time(&mut home.stn(&["sync"]));
    let store = open(home).await;
    let agent = store.agents_named("talker", None).await.expect("the store works").remove(0);
    let new = NewRun::new(agent.id, agent.environment, Caller::LOCAL_USER, "say what is new");
    let owner = Owner { worker: "bench".to_owned(), host: "here".to_owned(), pid: 1, pid_start: 1 };
    let wanted = Wanted { n: u32::try_from(BATCH).expect("a few hundred"), at_once: Concurrency::default() };
    let started = Instant::now();
    for _ in 0..n / BATCH {
        let made = (0..BATCH).map(|_| store.enqueue(&new, None, NOW));
        for run in futures::future::join_all(made).await {
            run.expect("the store works");
        }
        let taken = store.claim_next(&owner, LEASE_MS, &wanted, NOW).await.expect("the store works");
        let parked = taken.iter().map(|(run, fence)| store.append(park(run.id, *fence)));
        for appended in futures::future::join_all(parked).await {
            assert!(matches!(appended.expect("the store works"), Appended::Done { .. }));
        }
    }
    let took = started.elapsed();
    store.close().await;
    took
}

fn park(run: station_core::RunId, fence: station_core::Fence) -> Append {
    let event =
        Event::Adopted { fence, worker: "bench".to_owned(), deadline: None, alone: false, process: None };
    Append {
        row: Some(RunUpdate {
            waiting_on: Some(WaitsOn::new(WaitKind::Approval, "`post` of `book`")),
            waiting_since: Some(NOW),
            steps: 1,
            ..RunUpdate::new(Status::Waiting)
        }),
        ..Append::new(run, fence, vec![Entry { seq: 1, at: NOW, event }])
    }
}

async fn open(home: &Home) -> Store {
    let key = std::fs::read_to_string(home.path().join("station.key")).expect("`stn sync` made a key");
    let options = Options {
        location: Location::Sqlite(home.path().join("station.db")),
        key: Key::from_hex(key.trim()).expect("64 hex digits"),
        lease_clock: LeaseClock::System,
    };
    Store::open(options).await.expect("the store opens")
}
