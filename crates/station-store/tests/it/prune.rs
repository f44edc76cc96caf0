//! Retention: whole trees that ended long ago go, children first, and a body only with the last run that needs it.

use crate::fixture::{NOW, Seed, claimed, done, entry, new_run, on_both, seed, started};
use station_core::run::Status;
use station_core::run::fork::ForkedFrom;
use station_core::{BlobHash, EffectId, Fence, Kind, Micros, RunId};
use station_store::{Append, Appended, NewFork, NewRun, Prunable, PruneCursor, Pruned, RunUpdate, Store};

/// Later than every end of these tests.
const LATER: Micros = Micros(NOW.0 + 1_000_000);

async fn end(store: &Store, run: RunId, fence: Fence, at: Micros) {
    let row = RunUpdate { ended_at: Some(at), ..RunUpdate::new(Status::Completed) };
    let input = Append { row: Some(row), ..Append::new(run, fence, Vec::new()) };
    assert_eq!(store.append(input).await.unwrap(), done());
}

/// A run with a body, begun and not ended.
async fn with_blob(store: &Store, seed: &Seed, body: &[u8]) -> (RunId, Fence) {
    let (run, fence) = started(store, seed, "task").await;
    let blobs = vec![(BlobHash::of(body), body.to_vec())];
    let input = Append { blobs, ..Append::new(run, fence, vec![entry(1, "x")]) };
    assert_eq!(store.append(input).await.unwrap(), done());
    (run, fence)
}

async fn child(store: &Store, seed: &Seed, (parent, fence): (RunId, Fence), n: u128) -> RunId {
    let effect = EffectId(format!("{n:032x}").parse().unwrap());
    let spawns = vec![(effect, NewRun { depth: 1, ..new_run(seed, "child") })];
    let appended = store.append(Append { spawns, ..Append::new(parent, fence, Vec::new()) }).await.unwrap();
    let Appended::Done { children } = appended else { panic!("fenced") };
    children[0].1
}

/// Removes all there is to remove.
async fn prune(store: &Store, before: Micros) -> Pruned {
    let (mut all, mut next) = (Pruned::default(), Some(PruneCursor::default()));
    while let Some(from) = next {
        let (pruned, cursor) = store.prune(before, from).await.unwrap();
        all = Pruned { runs: all.runs + pruned.runs, blobs: all.blobs + pruned.blobs };
        next = cursor;
    }
    all
}

async fn exists(store: &Store, run: RunId) -> bool {
    store.run(run).await.unwrap().is_some()
}

#[tokio::test]
async fn only_trees_that_ended_whole_and_long_ago_go() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let old = started(&store, &seed, "old").await;
        let of_old = child(&store, &seed, old, 1).await;
        let fence = claimed(&store, of_old, "one").await;
        end(&store, of_old, fence, NOW).await;
        end(&store, old.0, old.1, NOW).await;
        // Its root has ended, which should not be, and a child has not.
        let open = started(&store, &seed, "open").await;
        let of_open = child(&store, &seed, open, 2).await;
        end(&store, open.0, open.1, NOW).await;
        // A child that has ended of a root that has not.
        let long = started(&store, &seed, "long").await;
        let of_long = child(&store, &seed, long, 3).await;
        let fence = claimed(&store, of_long, "one").await;
        end(&store, of_long, fence, NOW).await;
        let recent = started(&store, &seed, "recent").await;
        end(&store, recent.0, recent.1, LATER).await;

        assert_eq!(store.prunable(LATER).await.unwrap(), Prunable { runs: 2, oldest: Some(NOW) });
        assert_eq!(prune(&store, LATER).await, Pruned { runs: 2, blobs: 0 });
        for (run, is_there) in [
            (old.0, false),
            (of_old, false),
            (open.0, true),
            (of_open, true),
            (long.0, true),
            (of_long, true),
            (recent.0, true),
        ] {
            assert_eq!(exists(&store, run).await, is_there, "run {run}");
        }
        assert!(store.journal(old.0, 0, 10).await.unwrap().is_empty());
        assert_eq!(prune(&store, LATER).await, Pruned::default());
    })
    .await;
}

#[tokio::test]
async fn many_go_in_small_transactions_and_those_that_stay_do_not_stop_it() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        // A hundred trees that must stay stand before those that go.
        for n in 0..25 {
            let open = started(&store, &seed, "open").await;
            child(&store, &seed, open, 100 + n).await;
            end(&store, open.0, open.1, Micros(NOW.0 - 10)).await;
        }
        let big = started(&store, &seed, "big").await;
        for n in 0..120 {
            let run = child(&store, &seed, big, 1_000 + n).await;
            let fence = claimed(&store, run, "one").await;
            end(&store, run, fence, NOW).await;
        }
        end(&store, big.0, big.1, NOW).await;
        for _ in 0..30 {
            let (run, fence) = with_blob(&store, &seed, b"shared").await;
            end(&store, run, fence, NOW).await;
        }
        let commits = store.commits();
        assert_eq!(prune(&store, LATER).await, Pruned { runs: 151, blobs: 1 });
        assert!(store.commits() - commits >= 4, "not all at once");
        assert_eq!(store.prunable(LATER).await.unwrap(), Prunable::default());
    })
    .await;
}

#[tokio::test]
async fn a_body_goes_with_the_last_run_that_needs_it() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let one = with_blob(&store, &seed, b"shared").await;
        let two = with_blob(&store, &seed, b"shared").await;
        let own = with_blob(&store, &seed, b"own").await;
        let blob = async |body: &[u8]| store.blob(&BlobHash::of(body)).await.map_err(|error| error.kind());
        end(&store, one.0, one.1, NOW).await;
        end(&store, own.0, own.1, NOW).await;
        assert_eq!(prune(&store, LATER).await, Pruned { runs: 2, blobs: 1 });
        assert_eq!(
            (blob(b"shared").await, blob(b"own").await),
            (Ok(b"shared".to_vec()), Err(Kind::NotFound))
        );
        end(&store, two.0, two.1, NOW).await;
        assert_eq!(prune(&store, LATER).await, Pruned { runs: 1, blobs: 1 });
        assert_eq!(blob(b"shared").await, Err(Kind::NotFound));
        let (again, _) = with_blob(&store, &seed, b"shared").await;
        assert_eq!((exists(&store, again).await, blob(b"shared").await), (true, Ok(b"shared".to_vec())));
    })
    .await;
}

/// Runs begin with a body in the very moments in which the last that needed it is removed, by another instance: none of
/// them is ever without it.
#[tokio::test]
async fn a_body_that_is_being_removed_is_not_lost_to_who_begins_to_need_it() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let other = home.open().await;
        for round in 0..30_u32 {
            let body = format!("body {}", round % 3).into_bytes();
            let (run, fence) = with_blob(&store, &seed, &body).await;
            end(&store, run, fence, NOW).await;
            let mut beginning = tokio::task::JoinSet::new();
            for _ in 0..6 {
                let (run, fence) = started(&store, &seed, "begins").await;
                let (store, body) = (store.clone(), body.clone());
                beginning.spawn(async move {
                    let blobs = vec![(BlobHash::of(&body), body)];
                    let input = Append { blobs, ..Append::new(run, fence, vec![entry(1, "x")]) };
                    assert_eq!(store.append(input).await.unwrap(), done());
                    (run, fence)
                });
            }
            let (pruned, began) = tokio::join!(prune(&other, LATER), beginning.join_all());
            assert!(pruned.runs >= 1);
            assert_eq!(store.blob(&BlobHash::of(&body)).await.unwrap(), body, "round {round}");
            for (run, fence) in began {
                end(&store, run, fence, NOW).await;
            }
        }
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_fork_keeps_the_bodies_of_the_run_that_it_began_with() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = with_blob(&store, &seed, b"a long result").await;
        let from = ForkedFrom { run, step: 1 };
        let entries = vec![entry(1, "x")];
        let fork = NewFork { run: new_run(&seed, "again"), from, entries, blobs: Vec::new() };
        store.enqueue_fork(fork, None, NOW).await.unwrap();
        end(&store, run, fence, NOW).await;
        assert_eq!(prune(&store, LATER).await, Pruned { runs: 1, blobs: 0 });
        assert_eq!(store.blob(&BlobHash::of(b"a long result")).await.unwrap(), b"a long result");
    })
    .await;
}

#[tokio::test]
async fn a_run_that_nobody_wants_to_keep_goes_once_it_has_ended() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = with_blob(&store, &seed, b"a result").await;
        assert_eq!(store.remove_run(run).await.unwrap(), 0, "it is still at work");
        end(&store, run, fence, NOW).await;
        assert_eq!(store.remove_run(run).await.unwrap(), 1);
        assert_eq!(store.run(run).await.unwrap(), None);
        assert_eq!(store.remove_run(run).await.unwrap(), 0);
    })
    .await;
}
