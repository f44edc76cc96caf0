//! The ledger: room is made for all or nobody, what is refused leaves nothing behind, and who waits is woken.

use crate::fixture::{NOW, Seed, claimed, done, entry, on_both, seed, started};
use station_core::budget::{Account, Amounts, Caps, Limit, Measure, Period, Room, Scope, Standing, room};
use station_core::run::{Status, WaitKind, WaitsOn};
use station_core::{Fence, Micros, RunId};
use station_store::{Append, Appended, Charge, Ledger, Refusal, RunUpdate, SetLimit, Store, Wait};

const DAY: Account = Account { scope: Scope::Installation, day: Some(3) };

fn tokens(n: i64) -> Amounts {
    Amounts { tokens: n, ..Amounts::default() }
}

/// Room for `reserve` tokens where the cap is `cap`.
fn reserve(account: Account, cap: i64, reserve: i64) -> Charge {
    let caps = Caps { tokens: Some(cap), ..Caps::default() };
    Charge { account, caps, reserve: tokens(reserve), spend: Amounts::default(), add: Amounts::default() }
}

/// A request came back that cost `spent` of `reserved`.
fn settle(account: Account, reserved: i64, spent: i64) -> Charge {
    let (reserve, spend) = (tokens(-reserved), tokens(spent));
    Charge { account, caps: Caps::default(), reserve, spend, add: Amounts::default() }
}

fn charging(run: RunId, fence: Fence, seq: i64, charges: Vec<Charge>) -> Append {
    let ledger = Ledger { charges, wait: Wait::Keep };
    Append { ledger, ..Append::new(run, fence, vec![entry(seq, "x")]) }
}

async fn standing(store: &Store, account: Account) -> Standing {
    store.account(account).await.unwrap().map(|row| row.standing).unwrap_or_default()
}

#[tokio::test]
async fn a_refusal_leaves_nothing_of_its_append_and_says_why() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = started(&store, &seed, "task").await;
        let own = Account { scope: Scope::Run(run), day: None };
        let both = vec![reserve(DAY, 1_000, 60), reserve(own, 50, 60)];
        assert_eq!(store.append(charging(run, fence, 1, both.clone())).await.unwrap(), done());
        // There is room in the first account, but not in the second: neither is charged.
        let refused = store.append(charging(run, fence, 2, both.clone())).await.unwrap();
        let full = Standing { reserved: tokens(60), ..Standing::default() };
        let refusal = Refusal { charge: both[1], standing: full, room: Room::Crowded(Measure::Tokens) };
        assert_eq!(refused, Appended::Refused(Box::new(refusal)));
        assert_eq!((standing(&store, DAY).await, standing(&store, own).await), (full, full));
        assert_eq!(store.journal(run, 0, 10).await.unwrap(), [entry(1, "x")]);
        // A late driver charges nothing.
        let late = store.append(charging(run, Fence(fence.0 - 1), 2, both)).await.unwrap();
        assert_eq!((late, standing(&store, DAY).await), (Appended::Fenced, full));

        let back = vec![settle(DAY, 60, 50), settle(own, 60, 50)];
        assert_eq!(store.append(charging(run, fence, 2, back)).await.unwrap(), done());
        let Appended::Refused(refusal) =
            store.append(charging(run, fence, 3, vec![reserve(own, 50, 1)])).await.unwrap()
        else {
            panic!("all is spent")
        };
        assert_eq!(refusal.room, Room::Reached(Measure::Tokens));
    })
    .await;
}

/// A thousand requests at once, from two instances: what goes out never passes the limit by more than one reservation, be it
/// one of tokens or of money, whatever else a request takes that nothing limits.
#[tokio::test]
async fn a_thousand_requests_at_once_do_not_pass_a_limit() {
    const RUNS: i64 = 1_000;
    const EACH: Amounts = Amounts { tokens: 100, micro_usd: 7, calls: 0, time_ms: 0 };
    let of_tokens = |n| Caps { tokens: Some(n), ..Caps::default() };
    let of_money = |n| Caps { micro_usd: Some(n), ..Caps::default() };
    on_both(async |home, store| {
        let seed = seed(&store).await;
        let other = home.open().await;
        let mut runs = Vec::new();
        for n in 0..RUNS {
            runs.push(started(&store, &seed, &format!("task {n}")).await);
        }
        for (day, caps, spent, passed) in [
            (10, of_tokens(4_950), 40, 50),
            (11, of_tokens(1), 1, 1),
            (12, of_tokens(i64::MAX / 2), 100, RUNS),
            (13, of_money(346), 3, 50),
        ] {
            let account = Account { scope: Scope::Environment(seed.env), day: Some(day) };
            let seq = day - 9;
            let mut tasks = tokio::task::JoinSet::new();
            for (n, (run, fence)) in runs.iter().copied().enumerate() {
                let store = if n % 2 == 0 { store.clone() } else { other.clone() };
                tasks.spawn(async move {
                    // Refused ones keep their journal as long as the others' by something that costs nothing.
                    let charge = Charge { caps, reserve: EACH, ..reserve(account, 0, 0) };
                    match store.append(charging(run, fence, seq, vec![charge])).await.unwrap() {
                        Appended::Refused(_) => {
                            store.append(Append::new(run, fence, vec![entry(seq, "refused")])).await.unwrap();
                            0
                        }
                        _ => 1,
                    }
                });
            }
            let n: i64 = tasks.join_all().await.into_iter().sum();
            assert_eq!(n, passed, "limit {caps:?}");
            let reserved = standing(&store, account).await.reserved;
            assert_eq!(reserved, Amounts { tokens: n * 100, micro_usd: n * 7, ..Amounts::default() });
            let is_within = |cap: Option<i64>, reserved: i64, each: i64| {
                cap.is_none_or(|cap| reserved < cap.saturating_add(each))
            };
            let held = is_within(caps.tokens, reserved.tokens, EACH.tokens)
                && is_within(caps.micro_usd, reserved.micro_usd, EACH.micro_usd);
            assert!(held, "{reserved:?} of {caps:?}");
            let (run, fence) = runs[0];
            let spent = Amounts { tokens: n * spent, micro_usd: n * spent, ..Amounts::default() };
            let back = Charge { reserve: reserved.negated(), spend: spent, ..settle(account, 0, 0) };
            let ledger = Ledger { charges: vec![back], wait: Wait::Keep };
            store.append(Append { ledger, ..Append::new(run, fence, Vec::new()) }).await.unwrap();
            assert_eq!(standing(&store, account).await, Standing { spent, ..Standing::default() });
        }
        other.close().await;
    })
    .await;
}

/// The condition of the statement is the rule of the core.
#[tokio::test]
async fn the_statement_decides_as_the_rule_does() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (run, fence) = started(&store, &seed, "task").await;
        let (mut day, mut seq) = (100, 1);
        let amounts = |tokens, micro_usd, calls, time_ms| Amounts { tokens, micro_usd, calls, time_ms };
        for spent in [amounts(0, 0, 0, 0), amounts(9, 9, 9, 9), amounts(10, 0, 0, 0), amounts(0, 10, 10, 10)]
        {
            for reserved in [Amounts::default(), amounts(1, 0, 0, 0), amounts(0, 1, 0, 0)] {
                for (want, spend) in [
                    (amounts(5, 5, 0, 0), amounts(0, 0, 0, 1)),
                    (amounts(0, 0, 0, 0), amounts(0, 0, 1, 0)),
                    (amounts(0, 0, 0, 0), amounts(0, 0, 2, 1)),
                ] {
                    for add in [Amounts::default(), amounts(1, 1, 1, 1)] {
                        let account = Account { scope: Scope::Installation, day: Some(day) };
                        let none =
                            Charge { account, caps: Caps::default(), reserve: reserved, spend: spent, add };
                        store.append(charging(run, fence, seq, vec![none])).await.unwrap();
                        let all = Some(10);
                        let caps = Caps { tokens: all, micro_usd: all, calls: all, time_ms: all };
                        let charge = Charge { account, caps, reserve: want, spend, add: Amounts::default() };
                        let appended =
                            store.append(charging(run, fence, seq + 1, vec![charge])).await.unwrap();
                        let rule = room(&caps, &Standing { spent, reserved, added: add }, &want, &spend);
                        let told = match appended {
                            Appended::Refused(refusal) => refusal.room,
                            _ => Room::Free,
                        };
                        assert_eq!(told, rule, "{spent:?} {reserved:?} {want:?} {spend:?} {add:?}");
                        (day, seq) = (day + 1, if rule == Room::Free { seq + 2 } else { seq + 1 });
                    }
                }
            }
        }
    })
    .await;
}

/// Parks a run that was refused `charge`.
async fn park(store: &Store, run: RunId, fence: Fence, charge: Charge, wakes_at: Option<Micros>) {
    let row = RunUpdate {
        waiting_on: Some(WaitsOn::new(WaitKind::Budget, "budget")),
        ..RunUpdate::new(Status::Waiting)
    };
    let wait = Wait::Park { charge: Box::new(charge), crowded: wakes_at.is_some(), wakes_at };
    let ledger = Ledger { charges: Vec::new(), wait };
    let input = Append { row: Some(row), ledger, ..Append::new(run, fence, Vec::new()) };
    assert_eq!(store.append(input).await.unwrap(), done());
}

async fn status(store: &Store, run: RunId) -> Status {
    store.run(run).await.unwrap().unwrap().status
}

async fn full(store: &Store, seed: &Seed, account: Account) -> (RunId, Fence) {
    let (run, fence) = started(store, seed, "holder").await;
    let holds = charging(run, fence, 1, vec![reserve(account, 10, 10)]);
    assert_eq!(store.append(holds).await.unwrap(), done());
    (run, fence)
}

#[tokio::test]
async fn who_waits_for_room_is_woken_by_a_settlement_by_a_person_or_by_time() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let holder = full(&store, &seed, DAY).await;
        let wanted = reserve(DAY, 10, 10);
        let (crowded, one) = started(&store, &seed, "crowded").await;
        park(&store, crowded, one, wanted, Some(Micros(NOW.0 + 30))).await;
        assert_eq!(status(&store, crowded).await, Status::Waiting);
        store.free_due(NOW).await.unwrap();
        assert_eq!(status(&store, crowded).await, Status::Waiting, "not yet");
        let back = charging(holder.0, holder.1, 2, vec![settle(DAY, 10, 9)]);
        store.append(back).await.unwrap();
        assert_eq!(status(&store, crowded).await, Status::Queued);
        store.append(charging(holder.0, holder.1, 3, vec![settle(DAY, 0, 1)])).await.unwrap();

        // All is spent now: a settlement does not help, time and a person do.
        for by_time in [true, false] {
            let (run, fence) = started(&store, &seed, "reached").await;
            park(&store, run, fence, wanted, by_time.then_some(Micros(NOW.0 + 30))).await;
            if by_time {
                store.free_due(Micros(NOW.0 + 30)).await.unwrap();
            } else {
                let caps = Caps { tokens: Some(99), ..Caps::default() };
                let limit = Limit {
                    scope: Scope::Installation,
                    period: Period::Day,
                    caps,
                    name: String::new(),
                    source: "set by hand".to_owned(),
                };
                let set = SetLimit { limit, by: "ann".into(), at: NOW };
                store.set_limit(&set).await.unwrap();
                assert_eq!(store.set_limits().await.unwrap(), [set]);
                assert_eq!(
                    store.unset_limits(Scope::Installation, Some(Period::Run), "ada", NOW).await.unwrap(),
                    0
                );
                assert_eq!(store.unset_limits(Scope::Installation, None, "ada", NOW).await.unwrap(), 1);
            }
            assert_eq!(status(&store, run).await, Status::Queued, "by time: {by_time}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_raised_goes_on_and_no_wake_up_is_lost_on_the_way_to_bed() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let (root, fence) = full(&store, &seed, DAY).await;
        let own = Account { scope: Scope::Run(root), day: None };
        store.append(charging(root, fence, 2, vec![settle(own, 0, 10)])).await.unwrap();
        let (child, one) = started(&store, &seed, "child").await;
        park(&store, child, one, reserve(own, 10, 10), None).await;
        let add = Charge { add: tokens(5), ..settle(own, 0, 0) };
        store.append(charging(root, fence, 3, vec![add])).await.unwrap();
        assert_eq!(status(&store, child).await, Status::Queued);
        let fence = claimed(&store, child, "two").await;
        assert_eq!(
            store.append(charging(child, fence, 1, vec![reserve(own, 10, 10)])).await.unwrap(),
            done()
        );

        // It was refused, and room was made before it parked: it is queued at once.
        let (late, fence) = started(&store, &seed, "late").await;
        store.append(charging(root, Fence(1), 4, vec![settle(DAY, 10, 0)])).await.unwrap();
        park(&store, late, fence, reserve(DAY, 10, 10), Some(Micros(NOW.0 + 30))).await;
        assert_eq!(status(&store, late).await, Status::Queued);
        let rows = store.run_accounts(&[root, child]).await.unwrap();
        assert_eq!(
            rows.iter().map(|row| (row.account, row.caps.tokens)).collect::<Vec<_>>(),
            [(own, Some(10))]
        );
    })
    .await;
}
