//! A run that waits for its children: queued again by the last that ends, whichever way they race.

use crate::fixture::{LEASE_MS, NOW, Seed, claimed, new_run, on_both, owner, seed, started};
use station_core::run::{Status, WaitKind, WaitsOn};
use station_core::{Concurrency, EffectId, Fence, RunId};
use station_store::{Append, Appended, Cancelled, NewRun, RunUpdate, Store, Wanted};

fn effect(n: i64) -> EffectId {
    format!("{n:032x}").parse().unwrap()
}

fn parked() -> RunUpdate {
    RunUpdate {
        waits_for_children: true,
        waiting_on: Some(WaitsOn::new(WaitKind::Agent, "children")),
        ..RunUpdate::new(Status::Waiting)
    }
}

/// Spawns `n` children in one append, and parks in it or not.
async fn spawned(
    store: &Store,
    seed: &Seed,
    (parent, fence): (RunId, Fence),
    n: i64,
    row: Option<RunUpdate>,
) -> Vec<RunId> {
    let of = |n| (effect(parent.0 * 1_000 + n), NewRun { depth: 1, ..new_run(seed, "child") });
    let input = Append { spawns: (0..n).map(of).collect(), row, ..Append::new(parent, fence, Vec::new()) };
    let Appended::Done { children } = store.append(input).await.unwrap() else { panic!("fenced") };
    children.into_iter().map(|(_, child)| child).collect()
}

async fn become_(store: &Store, run: RunId, fence: Fence, row: RunUpdate) {
    let input = Append { row: Some(row), ..Append::new(run, fence, Vec::new()) };
    assert_ne!(store.append(input).await.unwrap(), Appended::Fenced);
}

async fn status(store: &Store, run: RunId) -> (Status, Option<String>) {
    let run = store.run(run).await.unwrap().unwrap();
    (run.status, run.waiting_on)
}

#[tokio::test]
async fn the_last_child_that_ends_wakes_its_parent() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let parent = started(&store, &seed, "coordinate").await;
        let waiting = (Status::Waiting, Some("children".to_owned()));
        let children = spawned(&store, &seed, parent, 3, Some(parked())).await;
        for end in [Status::Completed, Status::Failed, Status::Cancelled] {
            assert_eq!(status(&store, parent.0).await, waiting);
            let child =
                children[usize::from(end != Status::Completed) + usize::from(end == Status::Cancelled)];
            let fence = claimed(&store, child, "one").await;
            become_(&store, child, fence, RunUpdate::new(end)).await;
        }
        assert_eq!(status(&store, parent.0).await, (Status::Queued, None));
        let claimed = store
            .claim_next(&owner("two"), LEASE_MS, &Wanted { n: 9, at_once: Concurrency::UNLIMITED }, NOW)
            .await
            .unwrap();
        assert_eq!(claimed.iter().map(|(run, _)| run.id).collect::<Vec<_>>(), [parent.0]);
    })
    .await;
}

#[tokio::test]
async fn who_parks_after_its_children_ended_or_for_something_else_is_told_apart() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        for (row, ends_first, expected) in [
            (parked(), true, Status::Queued),
            (parked(), false, Status::Queued),
            // It waits for an approval, say: children are not what wakes it.
            (RunUpdate::new(Status::Waiting), true, Status::Waiting),
            (RunUpdate::new(Status::Waiting), false, Status::Waiting),
        ] {
            let parent = started(&store, &seed, "coordinate").await;
            let children = spawned(&store, &seed, parent, 1, None).await;
            let fence = claimed(&store, children[0], "one").await;
            if !ends_first {
                become_(&store, parent.0, parent.1, row.clone()).await;
                assert_eq!(status(&store, parent.0).await.0, Status::Waiting);
            }
            become_(&store, children[0], fence, RunUpdate::new(Status::Completed)).await;
            if ends_first {
                become_(&store, parent.0, parent.1, row.clone()).await;
            }
            assert_eq!(status(&store, parent.0).await.0, expected, "{row:?} {ends_first}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_wake_up_is_lost_between_two_instances() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let other = home.open().await;
        // In each round parents park while their children end, in groups of two stores that cross each other.
        for round in 0..10 {
            let mut parents = Vec::new();
            let mut tasks = tokio::task::JoinSet::new();
            for n in 0..8_usize {
                let parent = started(&store, &seed, &format!("parent {round}.{n}")).await;
                parents.push(parent.0);
                let children = spawned(&store, &seed, parent, 3, None).await;
                let mut ends = vec![(parent.0, parent.1, parked())];
                for child in children {
                    ends.push((
                        child,
                        claimed(&store, child, "one").await,
                        RunUpdate::new(Status::Completed),
                    ));
                }
                for (at, (run, fence, row)) in ends.into_iter().enumerate() {
                    let store = if (at + n) % 2 == 0 { store.clone() } else { other.clone() };
                    tasks.spawn(async move { become_(&store, run, fence, row).await });
                }
            }
            tasks.join_all().await;
            for parent in parents {
                assert_eq!(status(&store, parent).await.0, Status::Queued, "run {parent} in round {round}");
            }
        }
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_wish_for_an_end_goes_down_the_tree_and_a_child_inherits_it_and_the_priority() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let new = NewRun { priority: 9, ..new_run(&seed, "coordinate") };
        let root = store.enqueue(&new, None, NOW).await.unwrap();
        let root = (root, claimed(&store, root, "one").await);
        let children = spawned(&store, &seed, root, 3, Some(parked())).await;
        let middle = (children[0], claimed(&store, children[0], "one").await);
        let grandchild = spawned(&store, &seed, middle, 1, Some(parked())).await[0];
        let busy = (children[1], claimed(&store, children[1], "one").await);
        let over = claimed(&store, children[2], "one").await;
        become_(&store, children[2], over, RunUpdate::new(Status::Completed)).await;

        assert_eq!(store.request_cancel(root.0, "ann", NOW).await.unwrap(), Cancelled::Queued);
        let late = spawned(&store, &seed, busy, 1, None).await[0];
        for (run, expected, is_marked) in [
            (root.0, Status::Queued, true),
            (middle.0, Status::Queued, true),
            (grandchild, Status::Queued, true),
            (busy.0, Status::Running, true),
            (late, Status::Queued, true),
            (children[2], Status::Completed, false),
        ] {
            let run = store.run(run).await.unwrap().unwrap();
            assert_eq!(
                (run.status, run.cancel_requested_by.is_some()),
                (expected, is_marked),
                "run {}",
                run.id
            );
            assert_eq!(run.priority, 9, "run {}", run.id);
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_is_called_back_by_the_kind_of_what_it_waits_for_and_not_by_its_words() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let mut parked = Vec::new();
        for on in [
            WaitsOn::new(WaitKind::NewerStation, "entry 3 is new"),
            WaitsOn::new(WaitKind::Budget, "a newer Station: is what this budget is called"),
        ] {
            let (run, fence) = started(&store, &seed, "task").await;
            assert!(store.let_go(run, fence, Some(&on), NOW).await.unwrap());
            let read = store.run(run).await.unwrap().unwrap();
            assert_eq!((read.waits_on_kind(), read.waiting_on), (Some(on.kind), Some(on.words)));
            parked.push(run);
        }
        assert_eq!(store.call_back(WaitKind::NewerStation, NOW).await.unwrap(), 1);
        assert_eq!(status(&store, parked[0]).await, (Status::Queued, None));
        assert_eq!(status(&store, parked[1]).await.0, Status::Waiting);
    })
    .await;
}
