//! A run with its descendants, as whoever follows it sees them.

use crate::fixture::{claimed, entry, new_run, on_both, seed, started};
use station_core::run::Status;
use station_core::{Fence, RunId};
use station_store::{Append, Appended, NewRun, Store};

/// Spawns a child of `parent`.
async fn child(store: &Store, seed: &crate::fixture::Seed, parent: (RunId, Fence), n: u32) -> RunId {
    let effect = format!("{n:032x}").parse().unwrap();
    let new = NewRun { depth: n, ..new_run(seed, "child") };
    let spawn = Append { spawns: vec![(effect, new)], ..Append::new(parent.0, parent.1, Vec::new()) };
    let Appended::Done { children } = store.append(spawn).await.unwrap() else { panic!("fenced") };
    children[0].1
}

#[tokio::test]
async fn a_family_is_told_from_any_of_its_members_down() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let other = started(&store, &seed, "other").await;
        let root = started(&store, &seed, "root").await;
        let first = child(&store, &seed, root, 1).await;
        let fence = claimed(&store, first, "one").await;
        let below = child(&store, &seed, (first, fence), 2).await;
        store.append(Append::new(first, fence, vec![entry(1, "a"), entry(2, "b")])).await.unwrap();
        let told = async |run: RunId| {
            let family = store.family(run).await.unwrap();
            let rows = family.into_iter().map(|it| (it.id, it.depth, it.status, it.journal_seq));
            rows.collect::<Vec<_>>()
        };
        let (running, queued) = (Status::Running, Status::Queued);
        assert_eq!(
            told(root.0).await,
            [(root.0, 0, running, 0), (first, 1, running, 2), (below, 2, queued, 0)]
        );
        assert_eq!(told(first).await, [(first, 1, running, 2), (below, 2, queued, 0)]);
        assert_eq!(told(other.0).await, [(other.0, 0, running, 0)]);
        assert_eq!(told(RunId(404)).await, []);
    })
    .await;
}
