//! Two processes, one place.

use crate::fixture::{NOW, done, entry, on_both, seed, started};
use station_core::{Origin, RunId};
use station_store::{Append, Store};

/// What a second process sees is what a second store sees: it has connections, a writer and locks of its own.
#[tokio::test]
async fn two_stores_of_one_place_write_at_once_and_see_each_other() {
    on_both(async |home, one| {
        let two = home.open().await;
        let seed = seed(&one).await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..20 {
            let (store, reader) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
            let (run, fence) = started(store, &seed, &format!("task {n}")).await;
            let (store, reader) = (store.clone(), reader.clone());
            tasks.spawn(async move {
                for seq in 1..=10 {
                    let input = Append::new(run, fence, vec![entry(seq, &format!("run {n}"))]);
                    assert_eq!(store.append(input).await.unwrap(), done());
                    assert_eq!(last(&reader, run, seq).await, format!("run {n}"));
                }
            });
        }
        tasks.join_all().await;

        let name = crate::fixture::env_name("made-by-two");
        two.create_environment(&name, "", (Origin::Store, ""), "ada", NOW).await.unwrap();
        assert!(one.environment("made-by-two").await.unwrap().is_some());
        two.close().await;
        assert!(one.environment("made-by-two").await.unwrap().is_some(), "one was closed with two");
    })
    .await;
}

async fn last(store: &Store, run: RunId, seq: i64) -> String {
    let entries = store.journal(run, seq - 1, 10).await.unwrap();
    match entries.first().map(|entry| &entry.event) {
        Some(station_core::run::Event::Refused { sentence, .. }) => sentence.clone(),
        other => panic!("entry {seq} of run {run} is {other:?}"),
    }
}
