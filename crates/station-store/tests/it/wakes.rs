//! Waking: by this store and by another, and never too early to be heard.

use crate::fixture::{LEASE_MS, NOW, Seed, new_run, on_both, owner, seed, started};
use futures::FutureExt as _;
use station_core::run::Status;
use station_core::{Concurrency, Fence, RunId};
use station_store::{Append, RunUpdate, Store, Wake, Wakes, Wanted};
use std::time::Duration;

/// Far above what a wake-up takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn heard(wakes: &mut Wakes, what: &str) {
    tokio::time::timeout(PATIENCE, wakes.next()).await.unwrap_or_else(|_| panic!("{what} was not heard"));
}

/// Listens; its beginning is heard as well, because something may have been said just before.
async fn listening(store: &Store) -> Wakes {
    let mut wakes = store.wakes();
    heard(&mut wakes, "the beginning").await;
    wakes
}

fn is_heard_now(wakes: &mut Wakes) -> bool {
    wakes.next().now_or_never().is_some()
}

async fn enqueue(store: &Store, seed: &Seed) {
    store.enqueue(&new_run(seed, "task"), None, NOW).await.unwrap();
}

async fn end(store: &Store, (run, fence): (RunId, Fence)) {
    let last = Append { row: Some(RunUpdate::new(Status::Completed)), ..Append::new(run, fence, Vec::new()) };
    store.append(last).await.unwrap();
}

#[tokio::test]
async fn what_was_queued_before_the_wait_began_is_heard_once() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let mut wakes = listening(&store).await;
        assert!(!is_heard_now(&mut wakes));
        enqueue(&store, &seed).await;
        enqueue(&store, &seed).await;
        assert!(is_heard_now(&mut wakes), "said between the asking and the waiting");
        assert!(!is_heard_now(&mut wakes));
    })
    .await;
}

#[tokio::test]
async fn a_waiting_worker_hears_this_store_and_another() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let other = home.open().await;
        let mut wakes = listening(&store).await;
        for teller in [&other, &other, &store] {
            tokio::join!(heard(&mut wakes, "a queued run"), enqueue(teller, &seed));
        }
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_end_is_news_only_while_others_wait() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let first = started(&store, &seed, "first").await;
        let second = started(&store, &seed, "second").await;
        enqueue(&store, &seed).await;
        let mut wakes = listening(&store).await;
        end(&store, first).await;
        assert!(is_heard_now(&mut wakes), "there is room for the one that waits");
        let wanted = Wanted { n: 1, at_once: Concurrency::UNLIMITED };
        assert_eq!(store.claim_next(&owner("one"), LEASE_MS, &wanted, NOW).await.unwrap().len(), 1);
        end(&store, second).await;
        assert!(!is_heard_now(&mut wakes), "nobody waits for the room");
    })
    .await;
}

#[tokio::test]
async fn a_wish_for_an_end_is_told_apart_from_work() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let run = started(&store, &seed, "first").await;
        let other = home.open().await;
        let (mut wakes, mut cancels) = (store.wakes(), store.cancels());
        tokio::join!(heard(&mut wakes, "the beginning"), heard(&mut cancels, "the beginning"));
        enqueue(&store, &seed).await;
        assert!(!is_heard_now(&mut cancels), "work is no wish");
        assert!(is_heard_now(&mut wakes));
        let wish = async { other.request_cancel(run.0, "ann", NOW).await.unwrap() };
        tokio::join!(heard(&mut cancels, "the wish"), heard(&mut wakes, "what may be work"), wish);
        assert_eq!(store.wishes().await.unwrap(), [(run.0, "ann".to_owned())]);
        end(&store, run).await;
        assert_eq!(store.wishes().await.unwrap(), []);
        // Another process said so by a way of its own.
        store.wake(Wake::Cancel);
        assert!(is_heard_now(&mut cancels) && is_heard_now(&mut wakes));
        store.wake(Wake::Work);
        assert!(is_heard_now(&mut wakes));
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn closing_wakes_once_more_and_then_never() {
    on_both(async |_, store| {
        let mut wakes = listening(&store).await;
        tokio::join!(store.close(), heard(&mut wakes, "the close"));
        assert!(!is_heard_now(&mut wakes));
        assert!(!is_heard_now(&mut store.wakes()));
    })
    .await;
}
