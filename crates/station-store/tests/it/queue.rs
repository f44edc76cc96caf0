//! The queue: what is claimed, in which order, how much of it, and how it is refused.

use crate::fixture::{
    Home, LEASE_MS, NOW, Seed, WORKSPACE, agent_row, claim_of, env_name, kept, new_run, on_both, owner,
    put_agent, seed, started,
};
use station_core::run::Status;
use station_core::sync::Change;
use station_core::{Concurrency, Fence, Kind, Micros, ModelMax, RunId};
use station_store::{
    Append, Appended, Bound, Cancelled, Claim, NewRun, QueueDepth, Renewed, Run, RunUpdate, Store, Wanted,
};

const ANY: Wanted = Wanted { n: 100, at_once: Concurrency::UNLIMITED };

/// Five runs, at most so many of one environment and of one agent at a time.
fn at_most(environment_max: Option<u32>, agent_max: Option<u32>) -> Wanted {
    Wanted { n: 5, at_once: Concurrency { environment_max, agent_max, ..Concurrency::UNLIMITED } }
}

/// Another environment with an agent of its own.
async fn seed_in(store: &Store, environment: &str, agent: &str) -> Seed {
    let changes = [Change::CreateEnvironment, put_agent(agent_row(agent))];
    let env = store.apply(&env_name(environment), WORKSPACE, &changes, "ada", NOW).await.unwrap();
    let agent = store.agents_named(agent, Some(env)).await.unwrap()[0].id;
    Seed { env, agent }
}

async fn queued(store: &Store, seed: &Seed, task: &str, priority: i64) -> RunId {
    let new = NewRun { priority, ..new_run(seed, task) };
    store.enqueue(&new, None, NOW).await.unwrap()
}

async fn claim(store: &Store, worker: &str, wanted: Wanted) -> Vec<(Run, Fence)> {
    store.claim_next(&owner(worker), LEASE_MS, &wanted, NOW).await.unwrap()
}

async fn tasks_of(store: &Store, wanted: Wanted) -> Vec<String> {
    claim(store, "one", wanted).await.into_iter().map(|(run, _)| run.task).collect()
}

async fn end(store: &Store, run: RunId, fence: Fence) {
    let last = Append { row: Some(RunUpdate::new(Status::Completed)), ..Append::new(run, fence, Vec::new()) };
    assert_ne!(store.append(last).await.unwrap(), Appended::Fenced);
}

#[tokio::test]
async fn the_best_priority_is_claimed_first_then_the_oldest() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        for (task, priority) in [("a", 0), ("b", 5), ("c", -1), ("d", 5), ("e", 0)] {
            queued(&store, &seed, task, priority).await;
        }
        for (n, expected) in
            [(1, vec!["b"]), (2, vec!["d", "a"]), (0, vec![]), (9, vec!["e", "c"]), (9, vec![])]
        {
            assert_eq!(tasks_of(&store, Wanted { n, ..ANY }).await, expected, "{n} wanted");
        }
    })
    .await;
}

#[tokio::test]
async fn a_claimed_run_is_whole_and_its_lease_is_renewed() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let id = queued(&store, &seed, "task", 7).await;
        let [(run, fence)] = &claim(&store, "one", ANY).await[..] else { panic!("one was queued") };
        assert_eq!((run.id, run.status, run.priority, *fence), (id, Status::Running, 7, Fence(1)));
        assert_eq!(run.lease.as_ref().unwrap().owner, owner("one"));
        assert_eq!(run.started_at, Some(NOW));
        assert_eq!(store.run(id).await.unwrap().as_ref(), Some(run));
        assert_eq!(store.renew(id, *fence, LEASE_MS).await.unwrap(), kept());
    })
    .await;
}

#[tokio::test]
async fn environments_take_turns_and_the_one_that_runs_less_goes_first() {
    on_both(async |_, store| {
        let many = seed_in(&store, "many", "a").await;
        let few = seed_in(&store, "few", "b").await;
        for n in 0..6 {
            queued(&store, &many, &format!("many {n}"), 0).await;
        }
        for n in 0..2 {
            queued(&store, &few, &format!("few {n}"), 0).await;
        }
        for (n, expected) in [
            (1, vec!["many 0"]),
            (1, vec!["few 0"]),
            (3, vec!["many 1", "many 2", "few 1"]),
            (1, vec!["many 3"]),
        ] {
            assert_eq!(tasks_of(&store, Wanted { n, ..ANY }).await, expected);
        }
        queued(&store, &many, "urgent", 1).await;
        queued(&store, &few, "late", 0).await;
        for expected in ["urgent", "late", "many 4"] {
            assert_eq!(tasks_of(&store, Wanted { n: 1, ..ANY }).await, [expected]);
        }
    })
    .await;
}

#[tokio::test]
async fn limits_of_environments_and_agents_hold_and_hide_nobody_else() {
    on_both(async |_, store| {
        let one = seed_in(&store, "one", "a").await;
        let changes = [put_agent(agent_row("c"))];
        store.apply(&env_name("one"), WORKSPACE, &changes, "ada", NOW).await.unwrap();
        let other = Seed { env: one.env, agent: store.agents_named("c", Some(one.env)).await.unwrap()[0].id };
        let two = seed_in(&store, "two", "b").await;
        for n in 0..5 {
            queued(&store, &one, &format!("a {n}"), 0).await;
        }
        for n in 0..2 {
            queued(&store, &other, &format!("c {n}"), 0).await;
            queued(&store, &two, &format!("b {n}"), 0).await;
        }
        let of = at_most;
        for (wanted, expected) in [
            (of(Some(0), None), vec![]),
            (of(None, Some(0)), vec![]),
            // All of `a` are older than those of `c`.
            (of(None, Some(1)), vec!["a 0", "c 0", "b 0"]),
            (of(None, Some(1)), vec![]),
            (of(Some(3), None), vec!["a 1", "b 1"]),
            (of(Some(3), None), vec![]),
            (of(Some(4), Some(2)), vec!["c 1"]),
            (of(Some(9), Some(3)), vec!["a 2"]),
        ] {
            let mut found = tasks_of(&store, wanted.clone()).await;
            let mut expected = expected;
            found.sort();
            expected.sort_unstable();
            assert_eq!(found, expected, "{wanted:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn limits_of_models_hold_by_name_and_follow_a_fallback() {
    on_both(async |_, store| {
        let one = seed_in(&store, "one", "a").await;
        let two = seed_in(&store, "two", "b").await;
        for (seed, model) in [(&one, Some("x/big")), (&two, Some("x/small")), (&one, None)] {
            for n in 0..4 {
                let task = format!("{} {n}", model.unwrap_or("unknown"));
                let new = NewRun { model: model.map(str::to_owned), ..new_run(seed, &task) };
                store.enqueue(&new, None, NOW).await.unwrap();
            }
        }
        let of = |each, named: &[(&str, u32)]| {
            let named = named.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
            let model_max = ModelMax { each, named };
            Wanted { n: 2, at_once: Concurrency { model_max, ..Concurrency::UNLIMITED } }
        };
        let check = async |wanted: Wanted, expected: &[&str]| {
            let mut found = tasks_of(&store, wanted.clone()).await;
            found.sort();
            assert_eq!(found, expected, "{wanted:?}");
        };
        // Those of `x/big` are the oldest, and hide nobody.
        check(of(Some(1), &[]), &["x/big 0", "x/small 0"]).await;
        check(of(Some(1), &[("x/small", 2)]), &["unknown 0", "x/small 1"]).await;
        check(of(Some(1), &[("x/small", 2)]), &["unknown 1", "unknown 2"]).await;
        check(of(Some(1), &[("x/small", 2)]), &["unknown 3"]).await;
        check(of(Some(1), &[("x/small", 2)]), &[]).await;
        // One falls back: what it asks now counts.
        let all = store.runs(&Default::default(), 100).await.unwrap();
        let small = all.iter().find(|run| run.task == "x/small 0").unwrap();
        let row =
            RunUpdate { model: Some("x/big".to_owned()), release: false, ..RunUpdate::new(Status::Running) };
        store
            .append(Append { row: Some(row), ..Append::new(small.id, small.fence, Vec::new()) })
            .await
            .unwrap();
        check(of(Some(2), &[]), &["x/small 2"]).await;
        check(of(Some(3), &[]), &["x/big 1", "x/small 3"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_claim_by_id_keeps_to_the_limit_of_its_model() {
    on_both(async |_, store| {
        let seed = seed_in(&store, "one", "a").await;
        let mut runs = Vec::new();
        for model in [Some("x/big"), Some("x/big"), Some("x/small"), None] {
            let new = NewRun { model: model.map(str::to_owned), ..new_run(&seed, "task") };
            runs.push(store.enqueue(&new, None, NOW).await.unwrap());
        }
        let model_max = ModelMax { each: None, named: [("x/big".to_owned(), 1)].into() };
        let at_once = Concurrency { model_max, ..Concurrency::UNLIMITED };
        let claim = async |run| {
            store.claim_within(&at_once, run, (&owner("one"), LEASE_MS, None), NOW).await.unwrap()
        };
        assert_eq!(claim(runs[0]).await, claim_of(1));
        assert_eq!(claim(runs[1]).await, Claim::Full(Bound::Model("x/big".to_owned()), 1));
        for others in &runs[2..] {
            assert_eq!(claim(*others).await, claim_of(1));
        }
        end(&store, runs[0], Fence(1)).await;
        assert_eq!(claim(runs[1]).await, claim_of(1));
    })
    .await;
}

#[tokio::test]
async fn instances_that_claim_at_once_never_overshoot_a_model() {
    on_both(async |home, store| {
        let one = seed_in(&store, "one", "a").await;
        let two = seed_in(&store, "two", "b").await;
        for n in 0..40 {
            let model = Some(if n % 4 == 0 { "x/other" } else { "x/model" }.to_owned());
            let new = NewRun { model, ..new_run(if n % 2 == 0 { &one } else { &two }, &format!("task {n}")) };
            store.enqueue(&new, None, NOW).await.unwrap();
        }
        let other = home.open().await;
        let model_max = ModelMax { each: Some(3), ..ModelMax::default() };
        let wanted = Wanted { n: 9, at_once: Concurrency { model_max, ..Concurrency::UNLIMITED } };
        let claims = [&store, &other, &store, &other].map(|store| claim(store, "one", wanted.clone()));
        let claimed: Vec<Run> =
            futures::future::join_all(claims).await.into_iter().flatten().map(|(run, _)| run).collect();
        for model in ["x/model", "x/other"] {
            let n = claimed.iter().filter(|run| run.model.as_deref() == Some(model)).count();
            assert_eq!(n, 3, "{model}");
        }
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_lapsed_run_is_queued_again_and_its_late_writer_refused() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let (lapsed, first) = started(&store, &seed, "lapsed").await;
        home.pass_ms(29_000);
        let (fresh, fresh_fence) = started(&store, &seed, "fresh").await;
        let depth = QueueDepth { queued: 0, running: 2, waiting: 0, lapsed: 0 };
        assert_eq!(store.queue_depth().await.unwrap(), depth);
        assert!(claim(&store, "two", ANY).await.is_empty());
        home.pass_ms(1_000);
        let depth = QueueDepth { running: 1, lapsed: 1, ..depth };
        assert_eq!(store.queue_depth().await.unwrap(), depth);

        // Nobody had room for it: queued, and already not its old driver's.
        let nothing = at_most(Some(1), None);
        assert!(claim(&store, "two", nothing).await.is_empty());
        let depth = QueueDepth { queued: 1, running: 1, ..QueueDepth::default() };
        assert_eq!(store.queue_depth().await.unwrap(), depth);
        assert_eq!(store.append(Append::new(lapsed, first, Vec::new())).await.unwrap(), Appended::Fenced);
        assert_eq!(store.renew(lapsed, first, LEASE_MS).await.unwrap(), Renewed::Lost);

        let [(run, second)] = &claim(&store, "two", ANY).await[..] else { panic!("it was queued") };
        assert_eq!(run.id, lapsed);
        assert!(*second > first);
        assert_eq!(store.renew(fresh, fresh_fence, LEASE_MS).await.unwrap(), kept());
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_leaves_no_row() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let other = home.open().await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..40 {
            let store = if n % 2 == 0 { store.clone() } else { other.clone() };
            let new = new_run(&seed, &format!("task {n}"));
            tasks.spawn(async move { store.enqueue(&new, Some(10), NOW).await });
        }
        let done = tasks.join_all().await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 10);
        let error = done.into_iter().find_map(Result::err).unwrap();
        assert_eq!((error.kind(), error.sentence()), (Kind::Busy, "the queue is full: 10 runs wait"));
        assert_eq!(error.retry_after_s(), Some(5));
        assert_eq!(store.runs(&Default::default(), 100).await.unwrap().len(), 10);

        // What runs makes room, and a child needs none.
        let [(parent, fence)] = &claim(&store, "one", Wanted { n: 1, ..ANY }).await[..] else {
            panic!("ten wait")
        };
        store.enqueue(&new_run(&seed, "fits"), Some(10), NOW).await.unwrap();
        let spawns = vec![("0".repeat(31) + "1").parse().unwrap()];
        let spawns = spawns.into_iter().map(|effect| (effect, new_run(&seed, "child"))).collect();
        store.append(Append { spawns, ..Append::new(parent.id, *fence, Vec::new()) }).await.unwrap();
        assert_eq!(store.queue_depth().await.unwrap().queued, 11);
        assert!(store.enqueue(&new_run(&seed, "no"), Some(11), NOW).await.is_err());
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn instances_that_claim_at_once_never_overshoot_nor_share_and_take_everything() {
    on_both(async |home, store| {
        let one = seed_in(&store, "one", "a").await;
        let two = seed_in(&store, "two", "b").await;
        for n in 0..60 {
            queued(&store, if n % 3 == 0 { &one } else { &two }, &format!("task {n}"), n % 4).await;
        }
        let other = home.open().await;
        let wanted = Wanted { n: 4, ..at_most(Some(5), Some(4)) };
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..6 {
            let store = if worker % 2 == 0 { store.clone() } else { other.clone() };
            let wanted = wanted.clone();
            tasks.spawn(async move {
                let mut mine: Vec<RunId> = Vec::new();
                loop {
                    let claimed = claim(&store, &format!("worker {worker}"), wanted.clone()).await;
                    let depth = store.queue_depth().await.unwrap();
                    assert!(depth.running <= 8, "{depth:?}");
                    for (run, fence) in &claimed {
                        mine.push(run.id);
                        end(&store, run.id, *fence).await;
                    }
                    if depth.queued == 0 && claimed.is_empty() {
                        return mine;
                    }
                }
            });
        }
        let mut all: Vec<RunId> = tasks.join_all().await.into_iter().flatten().collect();
        all.sort();
        assert_eq!(all.len(), 60);
        all.dedup();
        assert_eq!(all.len(), 60, "a run was claimed twice");
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_wish_for_an_end_reaches_whoever_can_end_the_run() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        assert_eq!(store.request_cancel(RunId(404), "ann", NOW).await.unwrap(), Cancelled::NotFound);

        let waits = queued(&store, &seed, "queued", 0).await;
        for by in ["ann", "bob"] {
            assert_eq!(store.request_cancel(waits, by, NOW).await.unwrap(), Cancelled::Queued);
        }
        let [(run, fence)] = &claim(&store, "one", ANY).await[..] else { panic!("it is still queued") };
        assert_eq!(run.cancel_requested_by.as_deref(), Some("ann"), "the first is kept");
        end(&store, run.id, *fence).await;
        let over = store.request_cancel(waits, "ann", NOW).await.unwrap();
        assert_eq!(over, Cancelled::Final(Status::Completed));

        let (runs, fence) = started(&store, &seed, "running").await;
        assert_eq!(store.request_cancel(runs, "ann\0", NOW).await.unwrap(), Cancelled::Requested);
        let by = Some("ann\u{fffd}".to_owned());
        let renewed = store.renew(runs, fence, LEASE_MS).await.unwrap();
        assert_eq!(renewed, Renewed::Kept { cancel_requested_by: by.clone() });
        // It parks without having looked: it goes to the queue instead.
        let park =
            Append { row: Some(RunUpdate::new(Status::Waiting)), ..Append::new(runs, fence, Vec::new()) };
        store.append(park).await.unwrap();
        assert_eq!(store.run(runs).await.unwrap().unwrap().status, Status::Queued);
        let claim = store.claim(runs, &owner("two"), LEASE_MS, None, Micros(NOW.0 + 1)).await.unwrap();
        assert_eq!(claim, Claim::Claimed { fence: Fence(fence.0 + 1), cancel_requested_by: by });
    })
    .await;
}

#[tokio::test]
async fn parked_runs_are_not_claimed_and_not_counted_as_queued() {
    on_both(async |_: Home, store| {
        let seed = seed(&store).await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..200 {
            queued(&store, &seed, &format!("task {n}"), 0).await;
        }
        for (run, fence) in claim(&store, "one", Wanted { n: 200, ..ANY }).await {
            let store = store.clone();
            let park = Append {
                row: Some(RunUpdate::new(Status::Waiting)),
                ..Append::new(run.id, fence, Vec::new())
            };
            tasks.spawn(async move { store.append(park).await.unwrap() });
        }
        tasks.join_all().await;
        assert!(claim(&store, "one", ANY).await.is_empty());
        let depth = QueueDepth { waiting: 200, ..QueueDepth::default() };
        assert_eq!(store.queue_depth().await.unwrap(), depth);
    })
    .await;
}
