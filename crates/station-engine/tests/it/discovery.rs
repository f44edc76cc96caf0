//! When servers are asked anew for what they offer, by a clock of the test's own.

use crate::home::Home;
use station_core::{Caller, EnvironmentName, Micros};
use station_engine::{Clock, Config, Station};
use station_llm::Script;
use station_llm::script::reply;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const START: i64 = 1_800_000_000_000_000;
const TTL_S: i64 = 3_600;

/// When the one server was listed last, and when asking it failed last.
async fn asked(station: &Station) -> (Option<Micros>, Option<Micros>) {
    let servers = station.list_servers(&Caller::local(), None).await.expect("the store works");
    (servers[0].server.discovered_at, servers[0].server.problem_at)
}

#[tokio::test]
async fn tools_are_listed_again_when_they_were_listed_longer_ago_than_discovery_ttl() {
    let home = Home::new();
    home.server("default", "fake", &[], &[]);
    let now = Arc::new(AtomicI64::new(START));
    let config = Config {
        clock: Clock::Manual(Arc::clone(&now)),
        discovery_ttl: Duration::from_secs(TTL_S.unsigned_abs()),
        ..home.config()
    };
    let open = home.open_with(config, Script::from_fn(|_| reply("Done."))).await;
    open.sync("default").await;
    let at = |s: i64| Micros(START + s * 1_000_000);
    let mut listed = at(0);
    for (after_s, is_asked) in [
        (0, false),
        (TTL_S - 1, false),
        (TTL_S, false),
        (TTL_S + 1, true),
        (TTL_S + 2, false),
        (2 * TTL_S + 1, false),
        (2 * TTL_S + 2, true),
    ] {
        now.store(at(after_s).0, Ordering::SeqCst);
        let found = open.station.refresh_catalog(&EnvironmentName::default()).await.expect("it is there");
        assert_eq!(found.servers.len(), usize::from(is_asked), "after {after_s} s");
        listed = if is_asked { at(after_s) } else { listed };
        assert_eq!(asked(&open.station).await, (Some(listed), None), "after {after_s} s");
    }
    open.close().await;
}

#[tokio::test]
async fn a_server_that_failed_rests_before_a_run_asks_it_again() {
    let home = Home::new();
    home.server("default", "broken", &["--exit-at-start", "3"], &[]);
    let now = Arc::new(AtomicI64::new(START));
    let config = Config { clock: Clock::Manual(Arc::clone(&now)), ..home.config() };
    let open = home.open_with(config, Script::from_fn(|_| reply("Done."))).await;
    open.sync("default").await;
    let at = |s: i64| Micros(START + s * 1_000_000);
    for (after_s, is_asked) in [(1, false), (299, false), (300, true), (301, false)] {
        now.store(at(after_s).0, Ordering::SeqCst);
        let found = open.station.refresh_catalog(&EnvironmentName::default()).await.expect("it is there");
        assert_eq!(found.servers.len(), usize::from(is_asked), "after {after_s} s");
    }
    assert_eq!(asked(&open.station).await, (None, Some(at(300))));
    open.close().await;
}

#[tokio::test]
async fn what_many_want_listed_at_once_is_listed_for_all_of_them() {
    const MANY: usize = 8;
    let home = Home::new();
    let trace = home.path("trace");
    home.server("default", "fake", &["--trace", &trace.display().to_string()], &[]);
    let open = home.open_with(home.config(), Script::from_fn(|_| reply("Done."))).await;
    let lists = || {
        let text = std::fs::read_to_string(&trace).unwrap_or_default();
        text.lines().filter(|line| line.contains("\"tools/list\"")).count()
    };
    open.sync("default").await;
    let once = lists();
    let (by, name) = (Caller::local(), EnvironmentName::default());
    let wanted = (0..MANY).map(|_| open.station.discover_tools(&by, &name));
    for found in futures::future::join_all(wanted).await {
        let found = found.expect("it is there");
        assert!(found.servers[0].result.is_ok(), "{:?}", found.servers);
    }
    // The one that was under way may have been too early for what the others heard of; theirs is one.
    assert!(lists() <= 3 * once, "{} lists of {once} each, for {MANY}", lists());
    // Tools that were found count as before.
    assert!(asked(&open.station).await.0.is_some());
    open.close().await;
}
