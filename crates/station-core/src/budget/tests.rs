//! Rows for what is decided about budgets, and that no order of events spends too much.

use super::amount::micros_shown;
use super::*;
use crate::run::AskFailure;
use crate::{AgentId, EnvironmentId, Micros, ModelRef, RunId, Usage};
use proptest::prelude::*;

#[test]
fn amounts_are_read_and_shown_as_people_write_them() {
    for (measure, text, amount, shown) in [
        (Measure::Tokens, "50000", Some(50_000), "50000 tokens"),
        (Measure::Tokens, "50_000", Some(50_000), "50000 tokens"),
        (Measure::Tokens, "1", Some(1), "1 token"),
        (Measure::Tokens, "0", None, ""),
        (Measure::Tokens, "-5", None, ""),
        (Measure::Tokens, "1.5", None, ""),
        (Measure::Usd, "1.50", Some(1_500_000), "1.50 USD"),
        (Measure::Usd, "2", Some(2_000_000), "2.00 USD"),
        (Measure::Usd, ".1", Some(100_000), "0.10 USD"),
        (Measure::Usd, "0.000001", Some(1), "0.000001 USD"),
        (Measure::Usd, "0.0000001", None, ""),
        (Measure::Usd, "1e3", None, ""),
        (Measure::Usd, "$1", None, ""),
        (Measure::Usd, "", None, ""),
        (Measure::Usd, ".", None, ""),
        (Measure::Usd, "0.00", None, ""),
        (Measure::Usd, "99999999999999999999", None, ""),
        (Measure::Calls, "7", Some(7), "7 tool calls"),
        (Measure::Time, "10m", Some(600_000), "600 s"),
        (Measure::Time, "1500ms", Some(1_500), "1500 ms"),
        (Measure::Time, "soon", None, ""),
    ] {
        assert_eq!(measure.parse(text), amount, "{measure:?} {text}");
        if let Some(amount) = amount {
            assert_eq!(measure.show(amount), shown);
        }
    }
    assert_eq!(micros_shown(-10_020_000), "-10.02");
}

fn price(input: i64, output: i64, cached: Option<i64>, reasoning: Option<i64>) -> Price {
    let currency = "USD".to_owned();
    Price { input, output, cached, cache_write: None, reasoning, currency, date: None, source: None }
}

#[test]
fn what_is_written_into_a_cache_has_a_price_of_its_own() {
    let usage = Usage { input: 1_000_000, cached: 200_000, cache_written: 300_000, ..Usage::default() };
    let plain = price(3_000_000, 0, Some(300_000), None);
    // Not said, it is what is read.
    assert_eq!(plain.cost(&usage), 500_000 * 3 + 200_000 * 3 / 10 + 300_000 * 3);
    let own = Price { cache_write: Some(3_750_000), ..plain };
    assert_eq!(own.cost(&usage), 500_000 * 3 + 200_000 * 3 / 10 + 300_000 * 15 / 4);
    // More than was read is a provider's nonsense.
    let nonsense = Usage { cache_written: u64::MAX, ..usage };
    assert_eq!(own.cost(&nonsense), 200_000 * 3 / 10 + 800_000 * 15 / 4);
}

#[test]
fn a_price_counts_each_sort_of_token_once_and_rounds_up() {
    let mini = price(150_000, 600_000, Some(75_000), None);
    for (row, input, output, cached, reasoning, cost) in [
        (&mini, 0, 0, 0, 0, 0),
        (&mini, 1_000_000, 0, 0, 0, 150_000),
        (&mini, 1_000_000, 0, 1_000_000, 0, 75_000),
        (&mini, 1_000_000, 1_000_000, 400_000, 900_000, 90_000 + 30_000 + 600_000),
        (&mini, 1, 0, 0, 0, 1),
        (&price(1, 1, None, None), 1, 1, 0, 0, 1),
        (&price(0, 0, None, Some(1_000_000)), 0, 10, 0, 4, 4),
        // More cached than read: a provider's nonsense is worth no more than what was read.
        (&mini, 10, 0, 1_000_000, 0, 1),
        (&price(i64::MAX, i64::MAX, None, None), u64::MAX, u64::MAX, 0, 0, i64::MAX),
    ] {
        assert_eq!(row.cost(&Usage { input, output, cached, cache_written: 0, reasoning }), cost, "{row:?}");
    }
}

#[test]
fn the_row_of_a_model_is_found_by_its_nearest_name() {
    let mut prices = Prices::default();
    for (name, input) in [("*", 1), ("openai/*", 2), ("gpt-4o-mini", 3), ("openai/gpt-4o", 4), ("gpt-4o*", 5)]
    {
        prices.rows.insert(name.to_owned(), price(input, 0, None, None));
    }
    let euros = Price { currency: "EUR".to_owned(), ..price(9, 9, None, None) };
    prices.rows.insert("paris/*".to_owned(), euros);
    let usage = Usage { input: 1_000_000, ..Usage::default() };
    for (provider, model, cost) in [
        ("openai", "gpt-4o", Some(4)),
        ("openai", "gpt-4o-mini", Some(3)),
        ("openai", "gpt-4o-2024", Some(2)),
        ("azure", "gpt-4o-2024", Some(5)),
        ("ollama", "llama3", Some(1)),
        ("paris", "le-chat", None),
        ("offline", "offline", Some(0)),
    ] {
        let model = ModelRef { provider: provider.to_owned(), model: model.to_owned() };
        assert_eq!(prices.cost(&model, &usage), cost, "{model}");
        assert_eq!(prices.missing(&model).is_some(), cost.is_none());
    }
    let model = ModelRef { provider: "openai".to_owned(), model: "gpt-4o".to_owned() };
    assert_eq!(
        Prices::default().missing(&model).as_deref(),
        Some("model `openai/gpt-4o` has no price in the table `prices` of config.yaml")
    );
}

fn tokens(n: i64) -> Caps {
    Caps { tokens: Some(n), ..Caps::default() }
}

fn limit(scope: Scope, period: Period, caps: Caps) -> Limit {
    Limit { scope, period, caps, name: String::new(), source: "a test".to_owned() }
}

const LINE: [Ancestor; 3] = [
    Ancestor { run: RunId(9), agent: AgentId(3) },
    Ancestor { run: RunId(8), agent: AgentId(2) },
    Ancestor { run: RunId(7), agent: AgentId(1) },
];

#[test]
fn a_run_counts_for_itself_and_for_all_above_it() {
    let noon = Micros(86_400_000_000 * 3 + 1);
    for (scope, period, expected) in [
        (Scope::Installation, Period::Run, vec![(Scope::Run(RunId(7)), None)]),
        (Scope::Installation, Period::Day, vec![(Scope::Installation, Some(3))]),
        (Scope::Environment(EnvironmentId(5)), Period::Run, vec![(Scope::Run(RunId(7)), None)]),
        (
            Scope::Environment(EnvironmentId(5)),
            Period::Day,
            vec![(Scope::Environment(EnvironmentId(5)), Some(3))],
        ),
        (Scope::Environment(EnvironmentId(6)), Period::Day, vec![]),
        (Scope::Agent(AgentId(3)), Period::Run, vec![(Scope::Run(RunId(9)), None)]),
        (Scope::Agent(AgentId(2)), Period::Run, vec![(Scope::Run(RunId(8)), None)]),
        (Scope::Agent(AgentId(1)), Period::Day, vec![(Scope::Agent(AgentId(1)), Some(3))]),
        (Scope::Agent(AgentId(4)), Period::Day, vec![]),
        (Scope::Run(RunId(8)), Period::Run, vec![(Scope::Run(RunId(8)), None)]),
        (Scope::Run(RunId(6)), Period::Run, vec![]),
    ] {
        let found = claims(&[limit(scope, period, tokens(1))], &LINE, EnvironmentId(5), noon);
        let found: Vec<_> = found.iter().map(|claim| (claim.account.scope, claim.account.day)).collect();
        assert_eq!(found, expected, "{scope:?} {period:?}");
    }
    assert_eq!((day_of(Micros(-1)), day_end(3)), (-1, Micros(86_400_000_000 * 4)));
}

#[test]
fn the_strictest_wins_whoever_wrote_it_and_is_named() {
    let environment = Scope::Environment(EnvironmentId(5));
    let loose =
        Limit { source: "the file".to_owned(), ..limit(Scope::Agent(AgentId(1)), Period::Run, tokens(90)) };
    let strict = Limit { source: "by hand".to_owned(), ..limit(environment, Period::Run, tokens(10)) };
    let calls = Caps { calls: Some(3), ..Caps::default() };
    let limits = [loose, strict, limit(Scope::Installation, Period::Run, calls)];
    let found = claims(&limits, &LINE, EnvironmentId(5), Micros(0));
    let account = Account { scope: Scope::Run(RunId(7)), day: None };
    let caps = Caps { tokens: Some(10), calls: Some(3), ..Caps::default() };
    assert_eq!(found, [Claim { account, caps }]);
    let culprit = culprit(&limits, &LINE, EnvironmentId(5), account, Measure::Tokens);
    assert_eq!(culprit.map(|limit| limit.source.as_str()), Some("by hand"));
}

#[test]
fn room_is_there_until_a_cap_is_reached() {
    let amounts = |tokens, calls, time_ms| Amounts { tokens, calls, time_ms, micro_usd: 0 };
    let caps = Caps { tokens: Some(100), micro_usd: None, calls: Some(5), time_ms: Some(1_000) };
    let ask = (amounts(60, 0, 0), amounts(0, 0, 10));
    let call = |n| (Amounts::default(), amounts(0, n, 10));
    for (spent, reserved, added, (reserve, spend), expected) in [
        (amounts(0, 0, 0), 0, 0, ask, Room::Free),
        (amounts(99, 0, 0), 0, 0, ask, Room::Free),
        (amounts(100, 0, 0), 0, 0, ask, Room::Reached(Measure::Tokens)),
        (amounts(100, 0, 0), 0, 1, ask, Room::Free),
        (amounts(40, 0, 0), 59, 0, ask, Room::Free),
        (amounts(40, 0, 0), 60, 0, ask, Room::Crowded(Measure::Tokens)),
        (amounts(100, 0, 0), 60, 0, ask, Room::Reached(Measure::Tokens)),
        // Out of tokens is no reason not to call.
        (amounts(100, 0, 0), 0, 0, call(1), Room::Free),
        (amounts(0, 4, 0), 0, 0, call(1), Room::Free),
        (amounts(0, 4, 0), 0, 0, call(2), Room::Reached(Measure::Calls)),
        (amounts(0, 5, 0), 0, 0, ask, Room::Free),
        (amounts(0, 0, 989), 0, 0, call(1), Room::Free),
        (amounts(0, 0, 990), 0, 0, call(1), Room::Reached(Measure::Time)),
        (amounts(40, 0, 990), 60, 0, ask, Room::Reached(Measure::Time)),
    ] {
        let standing = Standing { spent, reserved: amounts(reserved, 0, 0), added: amounts(added, 0, 0) };
        assert_eq!(room(&caps, &standing, &reserve, &spend), expected, "{standing:?}");
    }
}

#[test]
fn who_has_to_wait_is_told_by_whose_limit() {
    let scope = Scope::Environment(EnvironmentId(5));
    let account = Account { scope, day: Some(3) };
    let caps = Caps { micro_usd: Some(10_000_000), ..Caps::default() };
    let limit = Limit {
        name: "prod".to_owned(),
        source: "set by hand".to_owned(),
        ..limit(scope, Period::Day, caps)
    };
    let spent = Amounts { micro_usd: 10_020_000, ..Amounts::default() };
    let standing = Standing { spent, ..Standing::default() };
    for (limit, room, expected) in [
        (
            Some(&limit),
            Room::Reached(Measure::Usd),
            "budget: environment `prod` has spent 10.02 USD of 10.00 USD today (set by hand)",
        ),
        (
            None,
            Room::Crowded(Measure::Usd),
            "budget: environment 5 has 10.02 USD of 10.00 USD reserved for requests that are out today",
        ),
    ] {
        let wanted = Amounts { micro_usd: 2, ..Amounts::default() };
        assert_eq!(sentence(account, limit, (&caps, &standing, room), &wanted), expected);
    }
}

#[test]
fn calls_that_are_wanted_together_are_counted_in_what_is_told() {
    let account = Account { scope: Scope::Run(RunId(7)), day: None };
    let caps = Caps { calls: Some(2), ..Caps::default() };
    for (spent, wanted, expected) in [
        (0, 3, "budget: run 7 has spent 0 tool calls of 2 tool calls, and 3 are wanted at once"),
        (1, 2, "budget: run 7 has spent 1 tool call of 2 tool calls, and 2 are wanted at once"),
        (2, 1, "budget: run 7 has spent 2 tool calls of 2 tool calls"),
        (2, 2, "budget: run 7 has spent 2 tool calls of 2 tool calls"),
    ] {
        let of = |calls| Amounts { calls, ..Amounts::default() };
        let standing = Standing { spent: of(spent), ..Standing::default() };
        let room = Room::Reached(Measure::Calls);
        assert_eq!(sentence(account, None, (&caps, &standing, room), &of(wanted)), expected);
    }
}

#[test]
fn a_request_that_failed_costs_what_the_provider_may_have_done() {
    let reserved = Amounts { tokens: 10, ..Amounts::default() };
    for (failure, tokens) in [
        (AskFailure::RateLimited, 0),
        (AskFailure::BadKey, 0),
        (AskFailure::TimedOut, 10),
        (AskFailure::Truncated, 10),
    ] {
        assert_eq!(charged_for(failure, reserved).tokens, tokens, "{failure:?}");
    }
}

/// What happens to an account: someone asks for room for a request, or the oldest request that is out comes back.
#[derive(Clone, Debug)]
enum Step {
    Ask {
        reserve: i64,
    },
    /// It cost so many percent of what was reserved; or it was lost, and is charged whole.
    Back {
        percent: i64,
        lost: bool,
    },
    Call {
        n: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_i64..5_000).prop_map(|reserve| Step::Ask { reserve }),
        (0_i64..=100, any::<bool>()).prop_map(|(percent, lost)| Step::Back { percent, lost }),
        (1_i64..4).prop_map(|n| Step::Call { n }),
    ]
}

proptest! {
    /// In whatever order requests go out, come back and are lost: what is spent is never over the cap by more than one
    /// reservation, and calls never pass theirs.
    #[test]
    fn no_order_of_events_spends_too_much(
        steps in proptest::collection::vec(step(), 0..200),
        cap in 1_i64..20_000,
        calls_max in 1_i64..40,
    ) {
        let caps = Caps { tokens: Some(cap), calls: Some(calls_max), ..Caps::default() };
        let mut standing = Standing::default();
        let (mut out, mut largest) = (std::collections::VecDeque::new(), 0);
        for step in steps {
            match step {
                Step::Ask { reserve } => {
                    let wanted = Amounts { tokens: reserve, ..Amounts::default() };
                    if room(&caps, &standing, &wanted, &Amounts::default()) == Room::Free {
                        standing.reserved = standing.reserved.plus(wanted);
                        out.push_back(wanted);
                        largest = largest.max(reserve);
                    }
                }
                Step::Back { percent, lost } => {
                    let Some(reserved): Option<Amounts> = out.pop_front() else { continue };
                    let cost = if lost { reserved.tokens } else { reserved.tokens * percent / 100 };
                    standing.reserved = standing.reserved.plus(reserved.negated());
                    standing.spent = standing.spent.plus(Amounts { tokens: cost, ..Amounts::default() });
                }
                Step::Call { n } => {
                    let spend = Amounts { calls: n, ..Amounts::default() };
                    if room(&caps, &standing, &Amounts::default(), &spend) == Room::Free {
                        standing.spent = standing.spent.plus(spend);
                    }
                }
            }
            let all = standing.spent.tokens + standing.reserved.tokens;
            prop_assert!(all < cap + largest.max(1), "{all} of {cap}, one reservation is at most {largest}");
            prop_assert!(standing.spent.calls <= calls_max);
        }
    }

    /// One more limit never leaves more room.
    #[test]
    fn more_limits_never_allow_more(one in proptest::option::of(1_i64..100), two in proptest::option::of(1_i64..100)) {
        let caps = |cap| Caps { tokens: cap, ..Caps::default() };
        let both = caps(one).tightened(caps(two));
        for cap in [one, two].into_iter().flatten() {
            prop_assert!(both.tokens.is_some_and(|both| both <= cap));
        }
    }
}

#[test]
fn the_measure_is_read_back_from_what_is_told() {
    let account = Account { scope: Scope::Run(RunId(7)), day: None };
    let caps = Caps { tokens: Some(1), micro_usd: Some(10), calls: Some(3), time_ms: Some(90_000) };
    for measure in Measure::ALL {
        for room in [Room::Reached(measure), Room::Crowded(measure)] {
            let wanted = Amounts { calls: 2, ..Amounts::default() };
            let told = sentence(account, None, (&caps, &Standing::default(), room), &wanted);
            assert_eq!(measure_of(&told), Some(measure), "{told}");
        }
    }
    assert_eq!(measure_of("budget"), None);
}
