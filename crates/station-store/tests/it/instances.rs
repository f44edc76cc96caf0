//! Workers that are there: seen while they say so, and forgotten.

use crate::fixture::{NOW, on_both};
use station_core::Micros;
use station_store::{Instance, Owner, Store};

fn instance(id: &str, after: i64) -> Instance {
    Instance {
        id: id.to_owned(),
        owner: Owner { worker: format!("worker {id}"), host: "here".to_owned(), pid: 7, pid_start: 1_234 },
        started_at: Micros(NOW.0 + after),
    }
}

async fn seen(store: &Store) -> Vec<String> {
    store.instances(15_000).await.unwrap().into_iter().map(|it| it.id).collect()
}

#[tokio::test]
async fn a_worker_is_seen_while_it_says_that_it_is_there() {
    on_both(async |home, store| {
        assert!(seen(&store).await.is_empty());
        let other = home.open().await;
        other.renew_instance(&instance("late", 5)).await.unwrap();
        store.renew_instance(&instance("early", 0)).await.unwrap();
        assert_eq!(seen(&store).await, ["early", "late"]);
        assert_eq!(store.instances(15_000).await.unwrap()[0], instance("early", 0));
        home.pass_ms(14_000);
        store.renew_instance(&instance("early", 0)).await.unwrap();
        home.pass_ms(1_000);
        assert_eq!(seen(&store).await, ["early"], "the other said nothing for 15 s");
        other.renew_instance(&instance("late", 5)).await.unwrap();
        assert_eq!(seen(&store).await, ["early", "late"], "it was only slow");
        store.remove_instance("early").await.unwrap();
        assert_eq!(seen(&store).await, ["late"]);
        // One that never said goodbye is forgotten.
        home.pass_ms(2 * 3_600_000);
        store.renew_instance(&instance("new", 9)).await.unwrap();
        assert_eq!(store.instances(u64::from(u32::MAX)).await.unwrap(), [instance("new", 9)]);
        other.close().await;
    })
    .await;
}
