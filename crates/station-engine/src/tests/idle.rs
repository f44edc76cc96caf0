//! A worker with nothing to do, by a clock that only the test moves: how often it looks, how soon it sees what is due, and when what
//! waited for it is said to have begun.

use super::simulation::scene::{Scene, Stakes};
use super::simulation::world::Shared;
use crate::Serve;
use crate::lease::{LEASE, millis};
use crate::worker::{self, Limits, Ours};
use station_core::run::Status;
use station_core::{Caller, Error, Kind, Micros, RunId};
use station_store::{Append, Claim, Ledger, NewRun, Owner, RunUpdate, Wait};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3_600);

/// Looks of an hour: one each half a minute, the one at the start, and those that follow the first words of the store.
const LOOKS: std::ops::RangeInclusive<u64> = 118..=124;

/// Lets time pass in small steps, until `is_over` says so or all of it is over; how long that was.
async fn pass(scene: &Scene, all: Duration, step: Duration, is_over: impl AsyncFn() -> bool) -> Duration {
    let mut passed = Duration::ZERO;
    while passed < all && !is_over().await {
        scene.pass(step).await;
        passed += step;
        // The worker's turn, and that of its store.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    passed
}

/// A run of the queue.
async fn queued(scene: &Scene) -> RunId {
    let new = NewRun::new(scene.agents[0], scene.environment, Caller::LOCAL_USER, "do it");
    scene.store.enqueue(&new, None, scene.now()).await.expect("the store works")
}

/// Another process takes the run and parks it, until then or until somebody acts.
async fn park(scene: &Scene, run: RunId, wait: Wait) {
    let store = &scene.store;
    let owner = Owner { worker: "other".to_owned(), host: "elsewhere".to_owned(), pid: 1, pid_start: 1 };
    let claim = store.claim(run, &owner, millis(LEASE), None, scene.now()).await.expect("the store works");
    let Claim::Claimed { fence, .. } = claim else { panic!("nobody has it: {claim:?}") };
    let park = Append {
        row: Some(RunUpdate::new(Status::Waiting)),
        ledger: Ledger { charges: Vec::new(), wait },
        ..Append::new(run, fence, Vec::new())
    };
    store.append(park).await.expect("the store works");
}

#[test]
fn an_idle_worker_looks_twice_a_minute_and_sees_in_time_what_is_due() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime can be made").block_on(async {
        let scene = Scene::new(Stakes::High).await;
        let (first, second) = (queued(&scene).await, queued(&scene).await);
        let at = |after_ms: i64| Wait::Until(Micros(scene.now().0 + after_ms * 1_000));
        park(&scene, first, at(2 * 3_600_000 + 7_300)).await;
        park(&scene, second, Wait::Keep).await;
        let station = scene.station(&Shared::new(1), "worker");
        let stop = CancellationToken::new();
        let serve = Serve { workers: 4, drain_for: Duration::ZERO };
        let (worker, told) = (station.clone(), stop.clone());
        let working = tokio::spawn(async move { worker.serve(&serve, told).await });
        let is_parked = async |run| {
            scene.store.run(run).await.expect("the store works").expect("it is there").status
                == Status::Waiting
        };

        // Each look asks for work in one transaction; nothing else writes.
        for hour in 0..2 {
            let before = station.commits();
            pass(&scene, HOUR, Duration::from_millis(500), async || false).await;
            let looks = station.commits() - before;
            assert!(LOOKS.contains(&looks), "{looks} looks in hour {hour}");
        }
        assert!(is_parked(first).await && is_parked(second).await);
        let step = Duration::from_millis(10);
        let waited = pass(&scene, HOUR, step, async || !is_parked(first).await).await;
        assert!((7_300..7_400).contains(&waited.as_millis()), "its time came after 7.3 s, not {waited:?}");

        // One that is parked while the worker sleeps, for a shorter time than that sleep.
        park(&scene, second, at(3_200)).await;
        let waited = pass(&scene, HOUR, step, async || !is_parked(second).await).await;
        assert!((3_200..3_300).contains(&waited.as_millis()), "its time came after 3.2 s, not {waited:?}");
        stop.cancel();
        working.await.expect("it does not panic").expect("the store works");
        station.close().await;
    });
}

#[test]
fn a_run_that_waited_in_the_queue_is_not_told_to_have_taken_that_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime can be made").block_on(async {
        let scene = Scene::new(Stakes::High).await;
        let run = queued(&scene).await;
        scene.pass(HOUR).await;
        let station = scene.station(&Shared::new(1), "worker");
        let claimed = worker::claim(&station, run, Limits::Hold).await.expect("the store works");
        let Ours::Claimed(claimed) = claimed else { panic!("nobody has it") };
        assert_eq!(claimed.0.started_at, Some(scene.now()));
        station.close().await;
    });
}

/// Revoked between the gate and the commit, it refused the commit, and the run was parked as a fault, for a person to look at.
#[test]
fn a_run_whose_standing_yes_was_revoked_in_the_last_moment_goes_on_and_asks() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime can be made").block_on(async {
        let scene = Scene::new(Stakes::High).await;
        let station = scene.station(&Shared::new(1), "worker");
        for (error, expected) in [
            (Error::conflict("standing approval 3 was revoked"), Status::Queued),
            (Error::new(Kind::Upstream, "the database is away"), Status::Queued),
            (Error::internal("reading a row of the database", "it is none"), Status::Waiting),
        ] {
            let run = queued(&scene).await;
            let claimed = worker::claim(&station, run, Limits::Hold).await.expect("the store works");
            let Ours::Claimed(claimed) = claimed else { panic!("nobody has it") };
            worker::let_go(&station, run, &claimed.1, &error).await;
            let status = scene.store.run(run).await.expect("the store works").expect("it is there").status;
            assert_eq!(status, expected, "{error}");
        }
        station.close().await;
    });
}
