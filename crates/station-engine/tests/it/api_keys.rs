//! How long an API key is good.

use crate::home::Home;
use futures::StreamExt as _;
use serde_json::json;
use station_core::run::Status;
use station_core::{Caller, EnvironmentName, Kind, Role};
use station_engine::{Clock, Config, EnvironmentRef, KeyWish, NewRun, NewUser, RunEvent, UserRef};
use station_llm::Script;
use station_llm::script::calls;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

#[tokio::test]
async fn a_key_is_good_until_its_time_is_over_and_so_is_what_was_begun_with_it() {
    let home = Home::new();
    home.server("default", "fake", &[], &[])
        .write("environments/default/environment.yml", "tools: {approve: [echo]}\n")
        .agent("default", "worker", "model: script/one\ntools: [echo]");
    let clock = Arc::new(AtomicI64::new(1_000_000));
    let config = Config { clock: Clock::Manual(Arc::clone(&clock)), ..home.config() };
    let open = home.open_with(config, Script::new(vec![calls([("echo", json!({"text": "hi"}))])])).await;
    open.sync("default").await;
    let (station, local) = (&open.station, Caller::local());
    let default = EnvironmentRef::Name(EnvironmentName::parse("default").expect("a name"));
    for (name, role) in [("root", Role::Admin), ("ann", Role::Viewer)] {
        let new =
            NewUser { name: name.to_owned(), role, environments: vec![default.clone()], password: None };
        station.create_user(&local, new).await.expect("there is none of that name");
    }
    let wish =
        KeyWish { name: "ci".to_owned(), scopes: BTreeSet::new(), valid_for: Some(Duration::from_secs(60)) };
    let ann = UserRef::Name("ann".to_owned());
    let (key, secret) = station.create_api_key(&local, &ann, wish).await.expect("she is there");
    let over = key.expires_at.expect("it ends");
    assert_eq!(over.0, 61_000_000);
    let run =
        open.start("default", "worker", NewRun { task: "say it".to_owned(), ..NewRun::default() }).await;
    assert_eq!(open.work_off(run.id).await.run.status, Status::Waiting, "for a person, all the while");

    clock.store(over.0 - 1, Ordering::SeqCst);
    let by = station.know_key(&secret, "192.0.2.7").await.expect("it is good for a moment still");
    let mut events = station.run_events(&by, run.id, 0).await.expect("she sees the run");
    while !matches!(events.next().await, Some(Ok(RunEvent::Parked(_)))) {}

    clock.store(over.0, Ordering::SeqCst);
    let refused = station.know_key(&secret, "192.0.2.7").await.expect_err("its time is over");
    assert_eq!(refused.kind(), Kind::Unauthenticated);
    let told = events.next().await.expect("it does not end without a word").expect_err("it hears no more");
    assert_eq!(told.kind(), Kind::Unauthenticated);
    assert!(events.next().await.is_none());
    drop(events);
    open.close().await;
}
