//! Budgets: a limit parks a run before anything is sent, somebody or the next day lets it go on, and nothing is lost.

use crate::home::{Home, Open, outline};
use expect_test::expect;
use serde_json::json;
use station_core::budget::{Amounts, Caps, Limits, Measure, Period, Price, Prices, Scope};
use station_core::run::{Event, Status, limit_reached};
use station_core::{Answer, Caller, Message, RunId, Stop, Usage};
use station_engine::{BudgetRef, Clock, Config, NewRun, RunDetails, Seen, Serve};
use station_llm::Script;
use station_llm::script::{answers, calls, reply};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn ten_slots() -> Serve {
    Serve { workers: 10, drain_for: Duration::from_millis(200) }
}

/// What each scripted answer costs in tokens.
const ANSWER: i64 = 15;

/// Noon of some day, in microseconds.
const NOON: i64 = 86_400_000_000 * 20_000 + 43_200_000_000;

fn tokens(n: i64) -> Caps {
    Caps { tokens: Some(n), ..Caps::default() }
}

fn home(front: &str) -> Home {
    let home = Home::new();
    home.server("default", "fake", &[], &[]).agent(
        "default",
        "worker",
        &format!("model: script/one\ntools: [echo, write]\n{front}"),
    );
    home
}

/// Echoes as often as is left, then answers.
fn echoing(n: usize) -> Script {
    let turns = (0..n).map(|n| calls([("echo", json!({"text": n.to_string()}))]));
    Script::new(turns.chain([reply("done")]).collect())
}

async fn resume(open: &Open<'_>, run: RunId, added: Amounts) -> RunDetails {
    let stop = CancellationToken::new();
    open.station.resume_run_adding(&Caller::local(), run, added, stop).await.expect("it can be resumed");
    open.show(run).await
}

/// Serves until every run is as `wanted` says.
async fn serve_until(open: &Open<'_>, ids: &[RunId], wanted: impl Fn(&RunDetails) -> bool) {
    let stop = CancellationToken::new();
    let mut watch = open.station.watch();
    let serve = ten_slots();
    let (served, ()) = tokio::join!(open.station.serve(&serve, stop.clone()), async {
        loop {
            let mut all = true;
            for id in ids {
                all &= wanted(&open.show(*id).await);
            }
            if all {
                return stop.cancel();
            }
            drop(tokio::time::timeout(Duration::from_millis(50), watch.next()).await);
        }
    });
    served.expect("the store works");
}

/// Serves until `n` runs that a person started have ended.
async fn serve_until_ended(open: &Open<'_>, n: usize) {
    let stop = CancellationToken::new();
    let mut watch = open.station.watch();
    let serve = ten_slots();
    let (served, ()) = tokio::join!(open.station.serve(&serve, stop.clone()), async {
        let mut ended = 0;
        while ended < n {
            let live = watch.next().await.expect("it is open").expect("nothing was missed");
            let Seen::Journal(entry) = &live.seen else { continue };
            ended += usize::from(live.depth == 0 && matches!(entry.event, Event::RunEnded { .. }));
        }
        stop.cancel();
    });
    served.expect("the store works");
}

#[tokio::test]
async fn a_limit_of_tokens_parks_a_run_and_who_adds_lets_it_go_on() {
    let home = home("station: {limits: {tokens: 20}}");
    let open = home.open(echoing(2)).await;
    open.sync("default").await;
    let details = open.run("worker", "do it").await;
    assert_eq!(details.run.status, Status::Waiting);
    assert!(details.run.lease.is_none());
    let waits = "budget: run 1 has spent 30 tokens of 20 tokens (by the file of agent `worker`)";
    assert_eq!(details.run.waiting_on.as_deref(), Some(waits));
    assert_eq!(open.spent(details.run.id, Measure::Tokens).await, (2 * ANSWER, 0));
    // Nothing changed, so nothing is sent.
    let again = resume(&open, details.run.id, Amounts::default()).await;
    assert_eq!((again.run.status, again.run.steps), (Status::Waiting, 2));
    let added = Amounts { tokens: 11, ..Amounts::default() };
    let ended = resume(&open, details.run.id, added).await;
    assert_eq!(ended.run.answer.as_deref(), Some("done"));
    expect![[r#"
        adopted 1
        run started, 0 warnings
        ask script/one
        reserved
        settled
        answered "", 1 calls
        call fake/echo #1
        returned "0"
        ask script/one
        reserved
        settled
        answered "", 1 calls
        call fake/echo #1
        returned "1"
        reached budget: run 1 has spent 30 tokens of 20 tokens (by the file of agent `worker`)
        adopted 2
        reached budget: run 1 has spent 30 tokens of 20 tokens (by the file of agent `worker`)
        adopted 3
        raised by 11 tokens
        ask script/one
        reserved
        settled
        answered "done", 0 calls
        ended completed
    "#]]
    .assert_eq(&outline(&ended));
    open.close().await;
}

#[tokio::test]
async fn a_budget_costs_no_commit() {
    let home = home(
        "max_steps: 15\nstation: {limits: {tokens: 999999, calls: 99, time: 1h, day: {tokens: 9999999}}}",
    );
    let open = home.open(echoing(10)).await;
    open.sync("default").await;
    let before = open.station.commits();
    let details = open.run("worker", "ten times").await;
    assert_eq!(details.run.tool_calls, 10);
    assert_eq!(open.station.commits() - before, 24);
    assert_eq!(open.spent(details.run.id, Measure::Calls).await.0, 10);
    open.close().await;
}

#[tokio::test]
async fn calls_beyond_their_limit_are_not_sent() {
    let home = home("station: {limits: {calls: 2}}");
    let both = || calls([("write", json!({"text": "a"})), ("write", json!({"text": "b"}))]);
    let open =
        home.open(Script::new(vec![calls([("write", json!({"text": "0"}))]), both(), reply("done")])).await;
    open.sync("default").await;
    let details = open.run("worker", "do it").await;
    assert_eq!(details.run.status, Status::Waiting, "{}", outline(&details));
    assert_eq!(
        home.log("default", "fake").len(),
        1,
        "one of two, and then two at once: nothing of them is sent"
    );
    let ended = resume(&open, details.run.id, Amounts { calls: 1, ..Amounts::default() }).await;
    assert_eq!((ended.run.status, home.log("default", "fake").len()), (Status::Completed, 3));
    assert_eq!(open.spent(details.run.id, Measure::Calls).await, (3, 0));
    open.close().await;
}

fn priced(home: &Home) -> Config {
    let row = Price {
        input: 1_000_000,
        output: 10_000_000,
        cached: Some(500_000),
        cache_write: None,
        reasoning: None,
        currency: "USD".to_owned(),
        date: None,
        source: None,
    };
    let prices = Prices { rows: [("script/one".to_owned(), row)].into() };
    Config { prices, ..home.config() }
}

#[tokio::test]
async fn money_is_counted_by_the_table_and_a_model_without_a_price_is_not_asked() {
    let home = home("station: {limits: {usd: 0.000100}}");
    let open = home.open(Script::new(Vec::new())).await;
    open.sync("default").await;
    let refused = open.run("worker", "do it").await;
    assert_eq!(
        refused.run.error.as_deref(),
        Some(
            "model `script/one` has no price in the table `prices` of config.yaml, and this run has a limit of money"
        )
    );
    open.close().await;

    let open = home.open_with(priced(&home), echoing(2)).await;
    let details = open.run("worker", "do it").await;
    // 8 read and 2 from the cache, 5 written: 8 + 1 + 50 micro-USD each time.
    assert_eq!(open.spent(details.run.id, Measure::Usd).await, (118, 0));
    assert_eq!(
        details.run.waiting_on.as_deref(),
        Some("budget: run 2 has spent 0.000118 USD of 0.0001 USD (by the file of agent `worker`)")
    );
    open.close().await;
}

#[tokio::test]
async fn the_strictest_wins_and_what_is_set_by_hand_holds_at_once() {
    let home = home("station: {limits: {tokens: 40}}");
    home.write("environments/default/environment.yml", "limits: {run: {tokens: 500}, day: {tokens: 5000}}\n");
    let config = Config { limits: Limits { run: tokens(300), day: Caps::default() }, ..home.config() };
    let open = home.open_with(config, echoing(9)).await;
    open.sync("default").await;
    let by = Caller::local();
    let agent = BudgetRef::Agent(station_engine::AgentRef::parse("worker", None));
    for (of, caps, waits) in [
        (BudgetRef::Installation, tokens(10), "run 1 has spent 15 tokens of 10 tokens (set by hand)"),
        (agent, tokens(20), "run 1 has spent 30 tokens of 20 tokens (set by hand)"),
    ] {
        open.station.set_budget(&by, &of, Period::Run, caps).await.expect("it is there");
        let details =
            match open.station.list_runs(&by, &Default::default(), 1).await.expect("the store works").first()
            {
                None => open.run("worker", "do it").await,
                Some(run) => resume(&open, run.id, Amounts::default()).await,
            };
        assert_eq!(details.run.waiting_on, Some(format!("budget: {waits}")), "{}", outline(&details));
        open.station.unset_budget(&by, &of, None).await.expect("it was set");
        assert_eq!(
            open.show(details.run.id).await.run.status,
            Status::Queued,
            "limits changed: it looks again"
        );
    }
    let details = resume(&open, RunId(1), Amounts::default()).await;
    let waits = "budget: run 1 has spent 45 tokens of 40 tokens (by the file of agent `worker`)";
    assert_eq!(details.run.waiting_on.as_deref(), Some(waits));
    let all = open.station.list_budgets(&by).await.expect("the store works");
    let told: Vec<String> = all
        .iter()
        .map(|budget| {
            let spent = budget.standing.map(|standing| standing.spent.tokens);
            let limit = &budget.limit;
            format!(
                "{} {} {} {} {spent:?}",
                limit.scope.as_str(),
                limit.period.as_str(),
                limit.caps.shown(),
                limit.source
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "installation run 300 tokens config.yaml None",
            "environment run 500 tokens environment.yml None",
            "environment day 5000 tokens environment.yml Some(45)",
            "agent run 40 tokens its file None",
        ]
    );
    let none = open.station.set_budget(&by, &BudgetRef::Run(RunId(1)), Period::Day, tokens(1)).await;
    assert_eq!(none.expect_err("a run has no day").sentence(), "a run has no budget by day");
    open.close().await;
}

#[tokio::test]
async fn a_budget_of_the_day_frees_itself_on_the_next() {
    let home = home("");
    let clock = Arc::new(AtomicI64::new(NOON));
    let config = Config {
        clock: Clock::Manual(Arc::clone(&clock)),
        limits: Limits { run: Caps::default(), day: tokens(20) },
        // Shorter than it waits: that time does not count.
        run_timeout: Duration::from_secs(3_600),
        ..home.config()
    };
    let open = home.open_with(config, echoing(2)).await;
    open.sync("default").await;
    let details = open.run("worker", "do it").await;
    let waits = "budget: this installation has spent 30 tokens of 20 tokens today (by config.yaml)";
    assert_eq!(details.run.waiting_on.as_deref(), Some(waits));
    let id = details.run.id;
    let added = Amounts { tokens: 1, ..Amounts::default() };
    let refused = open.station.resume_run_adding(&Caller::local(), id, added, CancellationToken::new()).await;
    assert_eq!(
        refused.expect_err("its own limit does not keep it").sentence(),
        format!("adding to run {id} does not help it: {waits}")
    );
    clock.fetch_add(43_200_000_000 - 1, Ordering::SeqCst);
    assert_eq!(
        resume(&open, id, Amounts::default()).await.run.status,
        Status::Waiting,
        "the last moment of the day"
    );
    clock.fetch_add(1, Ordering::SeqCst);
    serve_until(&open, &[id], |details| details.run.status.is_final()).await;
    assert_eq!(open.show(id).await.run.answer.as_deref(), Some("done"));
    open.close().await;
}

/// A coordinator with three sub-agents, each of which answers at once.
fn coordinating() -> Script {
    Script::from_fn(|request| match (request.tools.is_empty(), request.messages.last()) {
        (true, _) => reply("helped"),
        (false, Some(Message::Tool { .. })) => reply("done"),
        (false, _) => calls([
            ("__agent_helper", json!({"task": "a"})),
            ("__agent_helper", json!({"task": "b"})),
            ("__agent_helper", json!({"task": "c"})),
        ]),
    })
}

fn coordinators(front: &str) -> Home {
    let home = Home::new();
    home.agent("default", "boss", &format!("model: script/one\nagents: [helper]\n{front}")).agent(
        "default",
        "helper",
        "model: script/one",
    );
    home
}

#[tokio::test]
async fn sub_agents_count_against_the_run_that_a_person_started() {
    let home = coordinators("station: {limits: {tokens: 20, calls: 3}}");
    let open = home.open(coordinating()).await;
    open.sync("default").await;
    let details = open.run("boss", "look around").await;
    // Its own answer and one sub-agent's are more than the limit; that one was on its way when it was reached.
    assert_eq!(details.run.status, Status::Waiting);
    let parked = details.children.iter().filter(|child| child.status == Status::Waiting);
    let parked: Vec<_> = parked.map(|child| child.waiting_on.clone().unwrap_or_default()).collect();
    assert_eq!(parked.len(), 2, "{:?}", details.children);
    assert!(parked[0].starts_with("budget: run 1 has spent 30 tokens of 20 tokens"), "{parked:?}");
    assert_eq!(open.spent(details.run.id, Measure::Tokens).await, (2 * ANSWER, 0));
    let added = Amounts { tokens: 1_000, ..Amounts::default() };
    let ended = resume(&open, details.run.id, added).await;
    assert_eq!(ended.run.answer.as_deref(), Some("done"), "{}", outline(&ended));
    assert_eq!(open.spent(details.run.id, Measure::Tokens).await, (5 * ANSWER, 0));
    assert_eq!(open.spent(details.run.id, Measure::Calls).await, (3, 0));
    open.close().await;
}

#[tokio::test]
async fn a_sub_agent_at_a_limit_of_its_own_file_goes_on_when_somebody_adds_to_it() {
    let home = Home::new();
    home.server("default", "fake", &[], &[])
        .agent("default", "boss", "model: script/one\nagents: [helper]")
        .agent("default", "helper", "model: script/one\ntools: [echo]\nstation: {limits: {tokens: 10}}");
    let script =
        Script::from_fn(|request| match (request.tools[0].spec.name.as_str(), request.messages.last()) {
            (_, Some(Message::Tool { .. })) => reply("done"),
            ("echo", _) => calls([("echo", json!({"text": "a"}))]),
            (_, _) => calls([("__agent_helper", json!({"task": "a"}))]),
        });
    let open = home.open(script).await;
    open.sync("default").await;
    let details = open.run("boss", "look around").await;
    assert_eq!(details.run.status, Status::Waiting);
    let helper = open.show(details.children[0].id).await;
    let (account, _) = limit_reached(&helper.journal).expect("a limit keeps it");
    assert_eq!((account.scope, account.day), (Scope::Run(helper.run.id), None));
    let ended = resume(&open, helper.run.id, Amounts { tokens: 100, ..Amounts::default() }).await;
    assert_eq!(ended.run.answer.as_deref(), Some("done"), "{}", outline(&ended));
    assert_eq!(open.show(details.run.id).await.run.answer.as_deref(), Some("done"));
    open.close().await;
}

#[tokio::test]
async fn ten_slots_and_a_hundred_coordinators_with_three_sub_agents_each_all_finish() {
    // Also where all of them count in one account.
    for front in ["", "station: {limits: {tokens: 99999, day: {tokens: 99999999}}}"] {
        let home = coordinators(front);
        let open = home.open(coordinating()).await;
        open.sync("default").await;
        let mut ids = Vec::new();
        for n in 0..100 {
            let new = NewRun { task: format!("task {n}"), ..NewRun::default() };
            ids.push(open.start("default", "boss", new).await.id);
        }
        serve_until_ended(&open, ids.len()).await;
        for id in ids {
            let details = open.show(id).await;
            assert_eq!(details.run.answer.as_deref(), Some("done"), "{}", outline(&details));
            assert_eq!(details.children.len(), 3);
        }
        open.close().await;
    }
}

#[tokio::test]
async fn runs_that_find_a_budget_full_of_reservations_take_turns() {
    let home = Home::new();
    home.agent("default", "worker", "model: script/one");
    // One request reserves 4,096 tokens and more, so no more than two are out at a time.
    let config = Config { limits: Limits { run: Caps::default(), day: tokens(5_000) }, ..home.config() };
    let script = Script::from_fn(|_| reply("done").after(Duration::from_millis(5)));
    let open = home.open_with(config, script).await;
    open.sync("default").await;
    let mut ids = Vec::new();
    for n in 0..40 {
        let new = NewRun { task: format!("task {n}"), ..NewRun::default() };
        ids.push(open.start("default", "worker", new).await.id);
    }
    // The terminal waits for its turn, as a worker does.
    let mine = open.start("default", "worker", NewRun { task: "mine".to_owned(), ..NewRun::default() }).await;
    tokio::join!(serve_until_ended(&open, ids.len() + 1), async {
        match open.station.work_off(mine.id, CancellationToken::new()).await {
            Ok(_) => {}
            // A worker was first.
            Err(error) => assert_eq!(error.kind(), station_core::Kind::Busy, "{error}"),
        }
    });
    for id in ids {
        assert_eq!(open.show(id).await.run.status, Status::Completed);
    }
    open.close().await;
}

#[tokio::test]
async fn a_provider_that_counts_far_more_than_was_estimated_is_not_asked_by_all_at_once() {
    let home = Home::new();
    home.agent("default", "worker", "model: script/one\nconfig: {max_tokens: 10}");
    let config = Config { limits: Limits { run: Caps::default(), day: tokens(20_000) }, ..home.config() };
    let script = Script::from_fn(|_| {
        answers(Answer {
            text: "done".to_owned(),
            thinking: None,
            calls: Vec::new(),
            stop: Stop::End,
            usage: Usage { input: 3_100, output: 10, ..Usage::default() },
            model: "script".to_owned(),
        })
        .after(Duration::from_millis(20))
    });
    let open = home.open_with(config, script).await;
    open.sync("default").await;
    let mut ids = Vec::new();
    for n in 0..40 {
        let new = NewRun { task: format!("task {n}"), ..NewRun::default() };
        ids.push(open.start("default", "worker", new).await.id);
    }
    // What is settled wakes who waits in the same commit, so when all have ended or wait there is no room.
    serve_until(&open, &ids, |details| matches!(details.run.status, Status::Completed | Status::Waiting))
        .await;
    let mut all = 0;
    for id in ids {
        let usage = open.show(id).await.run.usage;
        all += usage.input + usage.output;
    }
    assert!((20_000..20_000 + 3_110).contains(&all), "{all}");
    open.close().await;
}

#[tokio::test]
async fn a_request_whose_answer_was_not_seen_is_charged() {
    let home = home("station: {limits: {tokens: 99999}}");
    let asked = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&asked);
    let script = Script::from_fn(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => reply("never").after(Duration::from_secs(600)),
        _ => reply("done"),
    });
    let open = home.open(script).await;
    open.sync("default").await;
    let run = open.start("default", "worker", NewRun { task: "x".to_owned(), ..NewRun::default() }).await;
    // The worker is told to stop while the request is out.
    serve_until(&open, &[run.id], |details| outline(details).ends_with("reserved\n")).await;
    let (lost, reserved) = open.spent(run.id, Measure::Tokens).await;
    assert!(lost > 4_096 && reserved == 0, "{lost} {reserved}");
    let ended = resume(&open, run.id, Amounts::default()).await;
    assert!(outline(&ended).contains("settled, lost\n"), "{}", outline(&ended));
    assert_eq!(open.spent(run.id, Measure::Tokens).await, (lost + ANSWER, 0));
    open.close().await;
}

#[tokio::test]
async fn driven_time_is_counted_and_parked_time_is_not() {
    let home = home("station: {limits: {time: 1ms}}");
    let open = home.open(echoing(1)).await;
    open.sync("default").await;
    let details = open.run("worker", "do it").await;
    assert_eq!(details.run.status, Status::Waiting, "{}", outline(&details));
    let before = open.spent(details.run.id, Measure::Time).await.0;
    assert!(before >= 1, "{before}");
    let added = Amounts { time_ms: 600_000, ..Amounts::default() };
    assert_eq!(resume(&open, details.run.id, added).await.run.status, Status::Completed);
    assert!(open.spent(details.run.id, Measure::Time).await.0 < 30_000);
    open.close().await;
}
