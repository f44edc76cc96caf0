//! Runs as rows: queued, listed, updated with their journal, spawned once.

use crate::fixture::{LEASE_MS, NOW, claimed, done, entry, new_run, on_both, owner, seed, started};
use station_core::run::{Status, WaitKind, WaitsOn};
use station_core::{Concurrency, EffectId, EnvironmentId, Micros, RunId, Secret, Usage};
use station_store::{Append, Appended, NewRun, RunFilter, RunUpdate, Wanted};
use std::collections::BTreeMap;

fn effect(n: u128) -> EffectId {
    format!("{n:032x}").parse().unwrap()
}

#[tokio::test]
async fn a_queued_run_is_read_back_whole() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let secrets: BTreeMap<_, _> = [("TOKEN".to_owned(), Secret::new("hunter2"))].into();
        let carried: BTreeMap<_, _> =
            [("TOKEN".to_owned(), Secret::new("given wins")), ("REGION".to_owned(), Secret::new("eu"))]
                .into();
        let new =
            NewRun { variables: secrets.clone(), carried, ..new_run(&seed, "why is it slow? \u{1f40c}\0") };
        let id = store.enqueue(&new, None, NOW).await.unwrap();
        let run = store.run(id).await.unwrap().unwrap();
        assert_eq!(run.task, "why is it slow? \u{1f40c}\u{fffd}");
        assert_eq!((run.agent_name.as_str(), run.environment_name.as_str()), ("triage", "default"));
        assert_eq!((run.status, run.created_at, run.started_at), (Status::Queued, NOW, None));
        assert_eq!((run.fence.0, run.lease, run.parent), (0, None, None));
        assert_eq!(store.run_variables(id).await.unwrap(), secrets);
        let carried: BTreeMap<_, _> = [("REGION".to_owned(), Secret::new("eu"))].into();
        assert_eq!(store.carried_variables(id).await.unwrap(), carried);
        assert_eq!(store.run(RunId(id.0 + 1)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn runs_are_listed_newest_first_by_filter_and_page() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(store.enqueue(&new_run(&seed, &format!("task {n}")), None, NOW).await.unwrap());
        }
        claimed(&store, ids[1], "one").await;
        let fence = claimed(&store, ids[0], "one").await;
        let ended =
            Append { row: Some(RunUpdate::new(Status::Failed)), ..Append::new(ids[0], fence, Vec::new()) };
        store.append(ended).await.unwrap();
        let any = RunFilter::default();
        for (filter, limit, expected) in [
            (any.clone(), 10, vec![4, 3, 2, 1, 0]),
            (any.clone(), 2, vec![4, 3]),
            (RunFilter { before: Some(ids[3]), ..any.clone() }, 2, vec![2, 1]),
            (RunFilter { status: Some(Status::Running), ..any.clone() }, 10, vec![1]),
            (RunFilter { agent: Some(seed.agent), status: Some(Status::Queued), ..any.clone() }, 1, vec![4]),
            (RunFilter { environment: Some(EnvironmentId(seed.env.0 + 1)), ..any.clone() }, 10, vec![]),
            (RunFilter { open: true, ..any }, 10, vec![4, 3, 2, 1]),
        ] {
            let listed: Vec<RunId> =
                store.runs(&filter, limit).await.unwrap().iter().map(|run| run.id).collect();
            let expected: Vec<RunId> = expected.into_iter().map(|at: usize| ids[at]).collect();
            assert_eq!(listed, expected, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_run_waits_for_is_known_from_its_queue_to_its_end() {
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let run = store.enqueue(&new_run(&seed, "task"), None, NOW).await.unwrap();
        let check = async |expected: Option<(WaitKind, &str, i64)>| {
            let run = store.run(run).await.unwrap().unwrap();
            let kind = expected.map(|(kind, ..)| kind);
            let expected = expected.map(|(_, on, after)| (on, Micros(NOW.0 + after)));
            assert_eq!((run.waits_on_kind(), run.waits_on()), (kind, expected), "{}", run.status.as_str());
        };
        check(Some((WaitKind::Worker, "a free worker", 0))).await;
        let fence = claimed(&store, run, "one").await;
        check(None).await;
        let row = RunUpdate {
            waiting_on: Some(WaitsOn::new(WaitKind::Model, "model x/y")),
            waiting_since: Some(Micros(NOW.0 + 1)),
            release: false,
            ..RunUpdate::new(Status::Running)
        };
        store.append(Append { row: Some(row), ..Append::new(run, fence, Vec::new()) }).await.unwrap();
        check(Some((WaitKind::Model, "model x/y", 1))).await;
        store
            .note_waiting(run, fence, &WaitsOn::new(WaitKind::Rate, "the rate\0limit"), Micros(NOW.0 + 2))
            .await
            .unwrap();
        check(Some((WaitKind::Rate, "the rate\u{fffd}limit", 2))).await;

        // Its driver is gone; what that says of it later counts no more.
        home.pass_ms(40_000);
        let nothing = Wanted { n: 0, at_once: Concurrency::UNLIMITED };
        store.claim_next(&owner("two"), LEASE_MS, &nothing, Micros(NOW.0 + 3)).await.unwrap();
        check(Some((WaitKind::Worker, "a free worker", 3))).await;
        store
            .note_waiting(run, fence, &WaitsOn::new(WaitKind::Model, "nothing"), Micros(NOW.0 + 4))
            .await
            .unwrap();
        check(Some((WaitKind::Worker, "a free worker", 3))).await;
        let fence = claimed(&store, run, "two").await;
        let last =
            Append { row: Some(RunUpdate::new(Status::Completed)), ..Append::new(run, fence, Vec::new()) };
        store.append(last).await.unwrap();
        check(None).await;
    })
    .await;
}

#[tokio::test]
async fn an_append_changes_the_row_in_the_same_commit() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = started(&store, &seed, "task").await;
        let commits = store.commits();
        let usage = Usage { input: 10, output: 5, cached: 3, cache_written: 0, reasoning: 1 };
        let row = RunUpdate {
            model: Some("offline".to_owned()),
            steps: 1,
            tool_calls: 2,
            usage,
            waiting_on: Some(WaitsOn::new(WaitKind::Agent, "child")),
            release: false,
            ..RunUpdate::new(Status::Waiting)
        };
        let first = Append { row: Some(row), ..Append::new(run, fence, vec![entry(1, "one")]) };
        assert_eq!(store.append(first).await.unwrap(), done());
        let read = store.run(run).await.unwrap().unwrap();
        assert_eq!((read.status, read.waiting_on.as_deref()), (Status::Waiting, Some("child")));
        assert_eq!((read.steps, read.tool_calls, read.usage), (1, 2, usage));
        assert!(read.lease.is_some());

        // A change of the row alone moves nothing in the journal.
        let ended_at = Some(Micros(NOW.0 + 9));
        let row = RunUpdate {
            answer: Some("42\0".to_owned()),
            ended_at,
            steps: 2,
            ..RunUpdate::new(Status::Completed)
        };
        let second = Append { row: Some(row), ..Append::new(run, fence, Vec::new()) };
        assert_eq!(store.append(second).await.unwrap(), done());
        assert_eq!(store.commits() - commits, 2);
        let read = store.run(run).await.unwrap().unwrap();
        assert_eq!((read.status, read.waiting_on, read.lease), (Status::Completed, None, None));
        assert_eq!((read.model.as_deref(), read.answer.as_deref()), (Some("offline"), Some("42\u{fffd}")));
        assert_eq!((read.ended_at, read.started_at), (ended_at, Some(NOW)));
        assert_eq!(store.journal(run, 0, 10).await.unwrap(), [entry(1, "one")]);
    })
    .await;
}

#[tokio::test]
async fn one_effect_spawns_one_run_however_often_it_is_asked_for() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (parent, fence) = started(&store, &seed, "coordinate").await;
        let commits = store.commits();
        let child = NewRun { depth: 1, ..new_run(&seed, "a part of it") };
        let spawn = |seq, effects: &[u128]| Append {
            spawns: effects.iter().map(|n| (effect(*n), child.clone())).collect(),
            ..Append::new(parent, fence, vec![entry(seq, "spawned")])
        };
        let Appended::Done { children } = store.append(spawn(1, &[1, 2])).await.unwrap() else {
            panic!("fenced")
        };
        assert_eq!(store.commits() - commits, 1);
        assert_eq!(children.iter().map(|(effect, _)| *effect).collect::<Vec<_>>(), [effect(1), effect(2)]);
        let listed = store.children(parent).await.unwrap();
        assert_eq!(listed.iter().map(|run| run.id).collect::<Vec<_>>(), [children[0].1, children[1].1]);
        assert_eq!(
            (listed[0].parent, listed[0].parent_effect, listed[0].depth, listed[0].created_at),
            (Some(parent), Some(effect(1)), 1, entry(1, "").at)
        );

        let Appended::Done { children: again } = store.append(spawn(2, &[2])).await.unwrap() else {
            panic!("fenced")
        };
        assert_eq!(again, [children[1]]);
        let direct = NewRun { parent: Some((parent, effect(1))), ..child };
        assert_eq!(store.enqueue(&direct, None, NOW).await.unwrap(), children[0].1);
        assert_eq!(store.children(parent).await.unwrap().len(), 2);
    })
    .await;
}
