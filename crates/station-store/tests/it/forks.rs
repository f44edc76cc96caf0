//! Runs that begin with the journal of another one.

use crate::fixture::{NOW, claimed, done, entry, new_run, on_both, seed, started};
use station_core::run::fork::ForkedFrom;
use station_core::{BlobHash, Kind, RunId};
use station_store::{Append, NewFork};

#[tokio::test]
async fn a_fork_has_its_history_and_goes_on_like_any_run() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (other, _) = started(&store, &seed, "other").await;
        let body = b"a long result".to_vec();
        let fork = NewFork {
            run: new_run(&seed, "again"),
            from: ForkedFrom { run: other, step: 2 },
            entries: (1..=6).map(|seq| entry(seq, "history")).collect(),
            blobs: vec![(BlobHash::of(&body), body.clone())],
        };
        let id = store.enqueue_fork(fork.clone(), None, NOW).await.unwrap();
        let run = store.run(id).await.unwrap().unwrap();
        assert_eq!(run.forked_from, Some(fork.from));
        assert_eq!(store.journal(id, 0, 100).await.unwrap(), fork.entries);
        assert_eq!(store.blob(&BlobHash::of(&body)).await.unwrap(), body);
        let fence = claimed(&store, id, "one").await;
        let more = Append::new(id, fence, vec![entry(7, "history")]);
        assert_eq!(store.append(more).await.unwrap(), done());
        assert_eq!(store.journal(id, 0, 100).await.unwrap().len(), 7);
        let plain = store.enqueue(&new_run(&seed, "new"), None, NOW).await.unwrap();
        assert_eq!(store.run(plain).await.unwrap().unwrap().forked_from, None);
    })
    .await;
}

#[tokio::test]
async fn a_fork_that_finds_no_room_leaves_nothing_behind() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (other, _) = started(&store, &seed, "other").await;
        let from = ForkedFrom { run: other, step: 0 };
        let entries = vec![entry(1, "history")];
        let fork = NewFork { run: new_run(&seed, "again"), from, entries, blobs: Vec::new() };
        store.enqueue_fork(fork.clone(), Some(1), NOW).await.unwrap();
        let refused = store.enqueue_fork(fork, Some(1), NOW).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Busy);
        assert_eq!(store.runs(&Default::default(), 10).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_fork_of_a_run_that_was_removed_meanwhile_is_refused() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let from = ForkedFrom { run: RunId(4_711), step: 2 };
        let fork = NewFork { run: new_run(&seed, "again"), from, entries: Vec::new(), blobs: Vec::new() };
        let refused = store.enqueue_fork(fork, None, NOW).await.unwrap_err();
        assert_eq!((refused.kind(), refused.sentence()), (Kind::NotFound, "run 4711 does not exist"));
        assert!(store.runs(&Default::default(), 10).await.unwrap().is_empty());
    })
    .await;
}
