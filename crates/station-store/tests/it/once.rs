//! Requests with a key of their sender's.

use crate::fixture::{LEASE_MS, NOW, Seed, new_run, on_both, owner, seed};
use station_core::once::Key;
use station_core::{Caller, Fence, Kind, Micros, Secret};
use station_store::{BegunRequest, KeptRequest, NewRequest, NewRun, RequestClaim, Store};

/// Nothing is too old.
const EVER: Micros = Micros(0);

fn new(key: &str, worker: &str) -> NewRequest {
    NewRequest {
        user: Caller::LOCAL_USER,
        key: Key::parse(key).unwrap(),
        print: "canary-print".to_owned(),
        owner: owner(worker),
        lease_ms: LEASE_MS,
    }
}

async fn claimed(store: &Store, key: &str) -> RequestClaim {
    match store.begin_request(new(key, "one"), EVER, NOW).await.unwrap() {
        BegunRequest::New(claim) => claim,
        BegunRequest::Kept(kept) => panic!("{key} is known: {kept:?}"),
    }
}

async fn kept(store: &Store, key: &str) -> KeptRequest {
    match store.begin_request(new(key, "two"), EVER, NOW).await.unwrap() {
        BegunRequest::New(_) => panic!("{key} is not known"),
        BegunRequest::Kept(kept) => *kept,
    }
}

fn run_of(seed: &Seed, claim: &RequestClaim) -> NewRun {
    NewRun { once: Some(claim.clone()), ..new_run(seed, "task") }
}

#[tokio::test]
async fn a_second_request_finds_the_first_and_what_it_was_answered() {
    on_both(async |home, store| {
        let claim = claimed(&store, "a").await;
        let found = kept(&store, "a").await;
        assert_eq!((found.print.as_str(), found.answer), ("canary-print", None));
        assert_eq!((found.lease.owner.worker.as_str(), found.lease.lapsed), ("one", false));
        // Whoever is at work says so now and then.
        home.pass_ms(20_000);
        assert!(store.renew_request(&claim, LEASE_MS).await.unwrap());
        home.pass_ms(20_000);
        assert!(!kept(&store, "a").await.lease.lapsed);
        home.pass_ms(20_000);
        assert!(kept(&store, "a").await.lease.lapsed);
        store.settle_request(&claim, 201, Some(Secret::new("canary-answer"))).await.unwrap();
        let answer = kept(&store, "a").await.answer;
        assert_eq!(answer, Some((201, Some("canary-answer".to_owned()))));
        let untold = claimed(&store, "b").await;
        store.settle_request(&untold, 201, None).await.unwrap();
        assert_eq!(kept(&store, "b").await.answer, Some((201, None)));
        // One that was not done is forgotten, and one of another user was never known.
        let claim = claimed(&store, "c").await;
        store.release_request(&claim).await.unwrap();
        claimed(&store, "c").await;
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_done_again_starts_one_run() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let first = claimed(&store, "a").await;
        let run = store.enqueue(&run_of(&seed, &first), Some(9), NOW).await.unwrap();
        assert_eq!(store.enqueue(&run_of(&seed, &first), Some(9), NOW).await.unwrap(), run);
        // Its process went away before it answered.
        home.pass_ms(40_000);
        let seen = kept(&store, "a").await.lease.fence;
        let second = store.take_up_request(new("a", "two"), seen).await.unwrap().unwrap();
        assert_eq!(store.take_up_request(new("a", "three"), seen).await.unwrap(), None, "one takes it up");
        assert_eq!(store.enqueue(&run_of(&seed, &second), Some(9), NOW).await.unwrap(), run);
        assert_eq!(store.queue_depth().await.unwrap().queued, 1);
        // It is done, so that it is not forgotten as one that was refused.
        store.release_request(&second).await.unwrap();
        kept(&store, "a").await;
        // The first was only slow: it starts nothing any more, and says nothing of it.
        let late = store.enqueue(&run_of(&seed, &first), Some(9), NOW).await.unwrap_err();
        assert_eq!(late.kind(), Kind::Conflict, "{late}");
        assert_eq!(store.settle_request(&first, 202, None).await.unwrap_err().kind(), Kind::Conflict);
        assert!(!store.renew_request(&first, LEASE_MS).await.unwrap());
        store.settle_request(&second, 202, None).await.unwrap();
        assert_eq!(store.take_up_request(new("a", "three"), second.fence).await.unwrap(), None, "it is over");
        // A queue that is full leaves no run behind, and the request free.
        let third = claimed(&store, "b").await;
        assert_eq!(store.enqueue(&run_of(&seed, &third), Some(1), NOW).await.unwrap_err().kind(), Kind::Busy);
        store.release_request(&third).await.unwrap();
        assert_eq!(claimed(&store, "b").await.fence, Fence(1));
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_of_a_request_goes_when_it_is_old() {
    on_both(async |_, store| {
        for key in ["a", "b"] {
            claimed(&store, key).await;
        }
        let later = Micros(NOW.0 + 1);
        // Whoever begins another takes along what is over.
        let begun = store.begin_request(new("c", "one"), NOW, later).await.unwrap();
        assert!(matches!(begun, BegunRequest::New(_)));
        for key in ["a", "b"] {
            claimed(&store, key).await;
        }
        kept(&store, "c").await;
        assert_eq!(store.prune_requests(later).await.unwrap(), 3);
        assert_eq!(store.prune_requests(later).await.unwrap(), 0);
    })
    .await;
}
