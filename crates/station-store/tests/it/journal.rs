//! Appends: in order, without gaps, and many of them in one commit.

use crate::fixture::{NOW, claimed, done, entry, new_run, on_both, seed, started};
use station_core::budget::{Account, Amounts, Caps, Scope};
use station_core::run::{Entry, Status};
use station_core::{BlobHash, Fence, Kind, RunId};
use station_store::{Append, Appended, Charge, Ledger, RunUpdate, Wait};

#[tokio::test]
async fn a_journal_is_read_in_order_and_in_pages() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = started(&store, &seed, "task").await;
        let texts =
            ["plain", "nul \0 inside", "\u{1f9d1}\u{200d}\u{1f680} ünï \u{10ffff}", "\"quoted\" \\ \n", ""];
        // One to nine entries at a time, so that every statement of the insert is used.
        let mut all: Vec<Entry> = Vec::new();
        for n in 1..=9_i64 {
            let from = i64::try_from(all.len()).unwrap();
            let next: Vec<Entry> = (from + 1..=from + n)
                .map(|seq| entry(seq, texts[usize::try_from(seq).unwrap() % 5]))
                .collect();
            assert_eq!(store.append(Append::new(run, fence, next.clone())).await.unwrap(), done());
            all.extend(next);
        }
        assert_eq!(store.journal(run, 0, 1_000).await.unwrap(), all);
        assert_eq!(store.journal(run, 10, 3).await.unwrap(), all[10..13]);
        assert!(store.journal(run, 45, 10).await.unwrap().is_empty());
        assert!(store.journal(RunId(404), 0, 10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_append_that_does_not_continue_the_journal_is_refused_whole() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = started(&store, &seed, "task").await;
        store.append(Append::new(run, fence, vec![entry(1, "one")])).await.unwrap();
        for (name, entries) in [
            ("twice", vec![entry(1, "again")]),
            ("a hole before", vec![entry(3, "x")]),
            ("a hole inside", vec![entry(2, "x"), entry(4, "x")]),
        ] {
            let error = store.append(Append::new(run, fence, entries)).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Internal, "{name}");
        }
        assert_eq!(store.journal(run, 0, 10).await.unwrap(), [entry(1, "one")]);
        let nowhere = store.append(Append::new(RunId(404), Fence(1), vec![entry(1, "x")])).await.unwrap_err();
        assert_eq!((nowhere.kind(), nowhere.sentence()), (Kind::NotFound, "run 404 does not exist"));
    })
    .await;
}

#[tokio::test]
async fn a_body_is_stored_once_and_found_by_its_hash() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let body = vec![0, 159, 146, 150, 0];
        let hash = BlobHash::of(&body);
        for task in ["one", "two"] {
            let (run, fence) = started(&store, &seed, task).await;
            let input = Append {
                blobs: vec![(hash.clone(), body.clone())],
                ..Append::new(run, fence, vec![entry(1, task)])
            };
            assert_eq!(store.append(input).await.unwrap(), done());
        }
        assert_eq!(store.blob(&hash).await.unwrap(), body);
        assert_eq!(store.blob(&BlobHash::of(b"other")).await.unwrap_err().kind(), Kind::NotFound);
    })
    .await;
}

#[tokio::test]
async fn fifty_runs_share_commits_and_a_fenced_one_disturbs_nobody() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let mut runs = Vec::new();
        for n in 0..50 {
            runs.push(started(&store, &seed, &format!("task {n}")).await);
        }
        let commits = store.commits();
        let mut tasks = tokio::task::JoinSet::new();
        for (n, (run, fence)) in runs.iter().copied().enumerate() {
            let store = store.clone();
            // Every tenth driver comes too late.
            let fence = if n % 10 == 0 { Fence(fence.0 - 1) } else { fence };
            tasks.spawn(async move {
                let mut outcomes = Vec::new();
                for seq in 1..=4 {
                    let input = Append::new(run, fence, vec![entry(seq, &format!("run {n}"))]);
                    outcomes.push(store.append(input).await.unwrap());
                }
                (n, outcomes)
            });
        }
        for (n, outcomes) in tasks.join_all().await {
            let expected = if n % 10 == 0 { Appended::Fenced } else { done() };
            assert!(outcomes.iter().all(|outcome| *outcome == expected), "run {n}: {outcomes:?}");
            let journal = store.journal(runs[n].0, 0, 10).await.unwrap();
            let expected: Vec<Entry> = (1..=4).map(|seq| entry(seq, &format!("run {n}"))).collect();
            assert_eq!(journal, if n % 10 == 0 { Vec::new() } else { expected }, "run {n}");
        }
        let spent = store.commits() - commits;
        assert!(spent <= 60, "200 appends of 50 runs took {spent} commits");
    })
    .await;
}

#[tokio::test]
async fn a_write_that_fails_does_not_take_its_group_with_it() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = started(&store, &seed, "task").await;
        let mut broken = new_run(&seed, "of nobody");
        broken.agent.0 = 404;
        let (failed, fine, queued) = tokio::join!(
            store.enqueue(&broken, None, NOW),
            store.append(Append::new(run, fence, vec![entry(1, "fine")])),
            async { store.enqueue(&new_run(&seed, "also fine"), None, NOW).await },
        );
        assert_eq!(failed.unwrap_err().kind(), Kind::Internal, "a foreign key holds");
        assert_eq!(fine.unwrap(), done());
        assert!(store.run(queued.unwrap()).await.unwrap().is_some());
        assert_eq!(store.journal(run, 0, 10).await.unwrap(), [entry(1, "fine")]);
    })
    .await;
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_found_and_counted_once() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = started(&store, &seed, "task").await;
        let told = Append::new(run, fence, vec![entry(1, "x")]);
        assert!(!store.has_appended(&told).await.unwrap());
        store.append(told.clone()).await.unwrap();
        assert!(store.has_appended(&told).await.unwrap());
        let other = Append::new(run, fence, vec![entry(1, "y")]);
        assert!(!store.has_appended(&other).await.unwrap(), "that is another's");

        // A run that is let go of while others have reserved what it needs: nothing to tell, and time to count.
        let account = Account { scope: Scope::Run(run), day: None };
        let spend = Amounts { time_ms: 7, ..Amounts::default() };
        let charge = Charge {
            account,
            caps: Caps::default(),
            reserve: Amounts::default(),
            spend,
            add: Amounts::default(),
        };
        let silent = Append {
            row: Some(RunUpdate::new(Status::Waiting)),
            ledger: Ledger { charges: vec![charge], wait: Wait::Keep },
            ..Append::new(run, fence, Vec::new())
        };
        assert!(!store.has_appended(&silent).await.unwrap());
        store.append(silent.clone()).await.unwrap();
        if !store.has_appended(&silent).await.unwrap() {
            store.append(silent.clone()).await.unwrap();
        }
        let standing = store.account(account).await.unwrap().unwrap().standing;
        assert_eq!(standing.spent.time_ms, 7);
        claimed(&store, run, "two").await;
        assert!(!store.has_appended(&silent).await.unwrap(), "who comes late is refused anyway");
    })
    .await;
}
