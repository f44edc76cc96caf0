//! Who drives a run: one at a time, and a late one changes nothing.

use crate::fixture::{
    Engine, Home, LEASE_MS, NOW, claim_of, claimed, done, entry, kept, new_run, on_both, owner, seed, started,
};
use station_core::run::Status;
use station_core::{Fence, Micros, RunId};
use station_store::{Append, Appended, Claim, LeaseClock, LeaseInfo, Options, Renewed, RunUpdate, Store};

#[tokio::test]
async fn a_run_has_one_driver_and_a_late_one_is_fenced() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let (run, first) = started(&store, &seed, "task").await;
        assert_eq!(store.append(Append::new(run, first, vec![entry(1, "by one")])).await.unwrap(), done());

        let held = LeaseInfo { owner: owner("one"), fence: first, lapsed: false };
        let refused = store.claim(run, &owner("two"), LEASE_MS, None, NOW).await.unwrap();
        assert_eq!(refused, Claim::Held(held.clone()));
        assert_eq!(store.run(run).await.unwrap().unwrap().lease, Some(held.clone()));

        home.pass_ms(30_000);
        assert_eq!(store.run(run).await.unwrap().unwrap().lease, Some(LeaseInfo { lapsed: true, ..held }));
        let later = Micros(NOW.0 + 5);
        let taken = store.claim(run, &owner("two"), LEASE_MS, None, later).await.unwrap();
        let second = Fence(first.0 + 1);
        assert_eq!(taken, claim_of(second.0));
        assert_eq!(store.run(run).await.unwrap().unwrap().started_at, Some(NOW), "it started once");

        let late = Append::new(run, first, vec![entry(2, "by one, too late")]);
        assert_eq!(store.append(late).await.unwrap(), Appended::Fenced);
        assert_eq!(store.renew(run, first, LEASE_MS).await.unwrap(), Renewed::Lost);
        assert_eq!(store.append(Append::new(run, second, vec![entry(2, "by two")])).await.unwrap(), done());
        assert_eq!(store.journal(run, 0, 10).await.unwrap(), [entry(1, "by one"), entry(2, "by two")]);
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_is_renewed_does_not_lapse() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let (run, fence) = started(&store, &seed, "task").await;
        for _ in 0..3 {
            home.pass_ms(29_000);
            assert_eq!(store.renew(run, fence, LEASE_MS).await.unwrap(), kept());
        }
        let refused = store.claim(run, &owner("two"), LEASE_MS, None, NOW).await.unwrap();
        assert!(matches!(refused, Claim::Held(_)), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_dead_driver_is_replaced_before_its_lease_lapses_and_only_it() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = started(&store, &seed, "task").await;
        let other = Some(Fence(fence.0 + 1));
        let refused = store.claim(run, &owner("two"), LEASE_MS, other, NOW).await.unwrap();
        assert!(matches!(refused, Claim::Held(_)), "{refused:?}");
        let taken = store.claim(run, &owner("two"), LEASE_MS, Some(fence), NOW).await.unwrap();
        assert_eq!(taken, claim_of(fence.0 + 1));
        let refused = store.claim(run, &owner("three"), LEASE_MS, Some(fence), NOW).await.unwrap();
        assert!(matches!(refused, Claim::Held(_)), "the same death was used twice: {refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_over_or_unknown_is_not_claimed() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let nobody = store.claim(RunId(404), &owner("one"), LEASE_MS, None, NOW).await.unwrap();
        assert_eq!(nobody, Claim::NotFound);
        for status in Status::ALL {
            let (run, fence) = started(&store, &seed, "task").await;
            let last = Append { row: Some(RunUpdate::new(status)), ..Append::new(run, fence, Vec::new()) };
            assert_eq!(store.append(last).await.unwrap(), done());
            let claim = store.claim(run, &owner("two"), LEASE_MS, None, NOW).await.unwrap();
            let expected = if status.is_final() { Claim::Final(status) } else { claim_of(fence.0 + 1) };
            assert_eq!(claim, expected, "{status:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn of_many_workers_one_gets_the_run() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let other = home.open().await;
        let run = store.enqueue(&new_run(&seed, "task"), None, NOW).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..20 {
            let store = if n % 2 == 0 { store.clone() } else { other.clone() };
            let worker = owner(&format!("worker {n}"));
            tasks.spawn(async move { store.claim(run, &worker, LEASE_MS, None, NOW).await.unwrap() });
        }
        let claims = tasks.join_all().await;
        let winners = claims.iter().filter(|claim| matches!(claim, Claim::Claimed { .. })).count();
        assert_eq!(winners, 1, "{claims:?}");
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_systems_own_clock_lets_a_lease_of_no_time_lapse_and_a_long_one_hold() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = Home::new(engine);
        let store = Store::open(Options { lease_clock: LeaseClock::System, ..home.options() }).await.unwrap();
        let seed = seed(&store).await;
        let run = store.enqueue(&new_run(&seed, "task"), None, NOW).await.unwrap();
        let claim = store.claim(run, &owner("one"), 0, None, NOW).await.unwrap();
        assert_eq!(claim, claim_of(1));
        let claim = store.claim(run, &owner("two"), 3_600_000, None, NOW).await.unwrap();
        assert_eq!(claim, claim_of(2), "{engine:?}");
        let claim = store.claim(run, &owner("three"), LEASE_MS, None, NOW).await.unwrap();
        assert!(matches!(claim, Claim::Held(_)), "{engine:?}: {claim:?}");

        // Another boot: what counted from the last one counts no more. (On PostgreSQL, another clock.)
        let rebooted = home.open().await;
        let fence = claimed(&rebooted, run, "after the reboot").await;
        assert_eq!(fence, Fence(3), "{engine:?}");
        rebooted.close().await;
        store.close().await;
    }
}
