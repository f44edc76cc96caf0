//! `stn budget …`, and runs that reach a limit.

use crate::home::Home;
use crate::watch::until;
use expect_test::expect;
use station_testkit::openai::{self, OpenAi};

/// A home with a model that echoes once and then answers; each answer costs 100 tokens read (64 of them cached) and 20
/// written.
fn home() -> (OpenAi, Home) {
    let model =
        OpenAi::from_fn(|seen| {
            match seen.body["messages"].as_array().unwrap().last().unwrap()["role"].as_str() {
                Some("tool") => openai::reply("Done."),
                _ => openai::calls([("echo", r#"{"text": "hello"}"#)]),
            }
        });
    let home = Home::with_fake().asking(&model);
    home.agent("default", "worker", "max_steps: 5\ntools: [__echo]\n");
    home.stn(&["sync", "--quiet"]).done();
    (model, home)
}

#[test]
fn a_run_waits_at_its_limit_and_goes_on_with_more() {
    let (model, home) = home();
    home.stn(&["budget", "set", "agent:worker", "tokens=100", "calls=5"]).is(&expect![[r#"
        --- stderr
        Limited agent `worker` to 100 tokens, 5 tool calls per run.
    "#]]);
    home.stn(&["budget", "set", "all", "usd=2.50", "--per", "day"]).done();
    let unset = home.json(&["budget", "unset", "all", "--per", "day"]);
    assert_eq!(unset, serde_json::json!({ "unset": { "scope": "all runs", "period": "day" } }));
    home.stn(&["agent", "run", "worker", "say hello"]).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        run 1 of `worker` in `default`: model openai/stand-in-1, at most 5 steps (max_steps of the agent)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/echo {"text": "hello"}
          <- echo: 5 bytes in [span]
          waits for budget: run 1 has spent 120 tokens of 100 tokens (set by hand)
        run 1 waits for budget: run 1 has spent 120 tokens of 100 tokens (set by hand) since [time]
        hint: give it more with `stn runs resume 1 --add tokens=…`
        --- exit 5
    "#]]);
    assert_eq!(model.requests().len(), 1);
    assert_eq!(
        model.requests()[0].body["max_tokens"],
        4_096,
        "what was reserved is what the answer may take"
    );
    home.stn(&["runs", "inspect", "1"]).is(&expect![[r#"
        Run 1 of `worker` in `default`: waiting
          task  say hello
          model  openai/stand-in-1
          created  [time] UTC
          waits on budget: run 1 has spent 120 tokens of 100 tokens (set by hand) since [time]

        [span]  taken up by [worker]
        [span]  run 1 of `worker` in `default`: model openai/stand-in-1, at most 5 steps (max_steps of the agent)
        [span]  turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        [span]  -> fake/echo {"text": "hello"}
        [span]  <- echo: 5 bytes in [span]: hello
        [span]  waits for budget: run 1 has spent 120 tokens of 100 tokens (set by hand)

        run 1 waits (1 step, 1 tool call, 100 tokens in (64 cached), 20 out)
          budget: 120 tokens of 100 tokens
          budget: 1 tool call of 5 tool calls
        --- stderr
        hint: give it more with `stn runs resume 1 --add tokens=…`
    "#]]);
    let run = &home.json(&["runs", "list"])["runs"][0];
    assert_eq!(
        (run["status"].as_str(), run["budget"]["tokens"]["spent"].as_i64()),
        (Some("waiting"), Some(120))
    );
    assert_eq!(run["budget"]["calls"]["limit"], 5);
    home.stn(&["runs", "resume", "1", "--add", "tokens=0"]).exits(2);
    home.stn(&["runs", "resume", "1", "--add", "tokens=1000", "--add", "time=1m"]).is(&expect![[r#"
        Done.
        --- stderr
        Driving run 1 here.
          taken up by [worker]
          1000 tokens, [span] added by [person]
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (2 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
    "#]]);
    home.stn(&["budget", "set", "run:1", "tokens=5000"]).done();
    home.stn(&["budget", "list"]).is(&expect![[r#"
        SCOPE  PER  LIMIT  SPENT  RESERVED  WRITTEN
        agent:worker (1)  run  100 tokens  by hand, [person], [time] UTC
        agent:worker (1)  run  5 tool calls  by hand, [person], [time] UTC
        run:1  run  6000 tokens  240 tokens  by hand, [person], [time] UTC
    "#]]);
    home.stn(&["budget", "unset", "all"]).is(&expect![[r#"
        --- stderr
        error: no budget was set by hand there
        hint: `stn budget list` shows them; limits in files are changed in their files
        --- exit 1
    "#]]);
    home.stn(&["budget", "set", "everything", "tokens=1"]).exits(2);
    home.stn(&["budget", "set", "agent:nobody", "tokens=1"]).exits(1);
}

#[test]
fn money_is_counted_by_the_table_of_prices() {
    let (model, home) = home();
    home.stn(&["agent", "run", "worker", "say hello", "--limit", "usd=0.01"]).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        run 1 failed in [span] (0 steps, 0 tool calls)
        error: run 1 failed: model `openai/stand-in-1` has no price in the table `prices` of config.yaml, and this run has a limit of money
        hint: add it: `prices: {<model>: {input: …, output: …, date: …, source: …}}`, per million tokens
        hint: `stn budget list` shows the limits, `stn budget prices` the table
        hint: see what happened with `stn runs inspect 1`
        --- exit 3
    "#]]);
    assert_eq!(model.requests().len(), 0, "nobody could say when to stop");
    home.stn(&[
        "agent",
        "run",
        "worker",
        "say hello",
        "--limit",
        "usd=0.01",
        "--model",
        "offline",
        "--quiet",
    ])
    .done();
    home.stn(&["budget", "prices"]).is(&expect![[r#"
        --- stderr
        hint: config.yaml has no prices; e.g. `prices: {openai/gpt-4o-mini: {input: 0.15, output: 0.60, date: 2026-11-01, source: …}}`
    "#]]);
    let config = home.read("config.yaml");
    home.write(
        "config.yaml",
        &format!(
            "{config}prices:\n  openai/stand-*: {{input: 10, output: 40, cached: 2.5, date: 2026-11-01, source: \"https://models.example.com/prices\"}}\nlimits: {{day: {{usd: 5}}}}\n"
        ),
    );
    home.stn(&["budget", "prices"]).is(&expect![[r#"
        MODEL  INPUT  OUTPUT  CACHED  CACHE WRITE  REASONING  CURRENCY  DATE  SOURCE
        openai/stand-*  10.00  40.00  2.50  10.00  40.00  USD  2026-11-01  https://models.example.com/prices
    "#]]);
    home.stn(&["agent", "run", "worker", "say hello", "--limit", "usd=0.01", "--quiet"]).done();
    let inspected = home.stn(&["runs", "inspect", "3"]).shown();
    // 36 tokens at 10, 64 at 2.50 and 20 at 40 USD per million, twice.
    assert!(inspected.contains("  budget: 0.00264 USD of 0.01 USD\n"), "{inspected}");
    home.stn(&["budget", "list"]).is(&expect![[r#"
        SCOPE  PER  LIMIT  SPENT  RESERVED  WRITTEN
        all  day  5.00 USD  0.00264 USD  config.yaml
    "#]]);
    assert_eq!(home.json(&["budget", "list"])["budgets"][0]["micro_usd"]["spent"], 2_640);
}

#[test]
fn a_request_that_was_killed_is_charged_as_it_was_reserved() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let model = OpenAi::from_fn(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => openai::reply("never").is_silent(),
        _ => openai::reply("Done."),
    });
    let home = Home::with_init().asking(&model);
    home.agent("default", "talker", "station: {limits: {tokens: 50000}}\n");
    let mut killed = home.start(&["agent", "run", "talker", "talk"]);
    until("the model is asked", || model.requests().len() == 1);
    killed.kill().unwrap();
    home.said(killed);
    let reserved =
        home.json(&["runs", "inspect", "1"])["run"]["budget"]["tokens"]["reserved"].as_i64().unwrap();
    // The first request to a model goes alone: what it takes is not known yet.
    assert_eq!(reserved, 50_000);
    home.stn(&["runs", "resume", "1", "--quiet"]).done();
    let tokens = &home.json(&["runs", "inspect", "1"])["run"]["budget"]["tokens"];
    // The one that was killed is charged at its estimate: its bytes, and all that its answer may take.
    let spent = tokens["spent"].as_i64().unwrap();
    assert!((4_096 + 120..4_400).contains(&spent), "{spent}");
    assert_eq!(tokens["reserved"], 0);
}

#[test]
fn a_worker_leaves_what_waits_for_a_budget_alone_until_somebody_adds_to_it() {
    let (_model, home) = home();
    home.agent("default", "boss", "agents: [worker]\nstation: {limits: {tokens: 130}}\n");
    home.agent("default", "worker", "tools: [__echo]\n");
    let boss = OpenAi::from_fn(|seen| {
        let messages = seen.body["messages"].as_array().unwrap();
        match (messages[0]["content"].as_str(), messages.last().unwrap()["role"].as_str()) {
            (Some("You are boss."), Some("tool")) => openai::reply("All done."),
            (Some("You are boss."), _) => openai::calls([("__agent_worker", r#"{"task": "work"}"#)]),
            (_, Some("tool")) => openai::reply("Done."),
            _ => openai::calls([("echo", r#"{"text": "hello"}"#)]),
        }
    });
    let home = home.set("STN_AI_BASE_URL", &boss.base_url());
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["agent", "run", "boss", "coordinate", "--detach", "--quiet"]).done();
    let mut served = home.start(&["serve", "--workers", "1", "--quiet"]);
    let status = |run: &str| home.json(&["runs", "inspect", run])["run"]["status"].clone();
    until("the sub-agent waits", || home.json(&["runs", "list"])["count"] == 2 && status("2") == "waiting");
    assert_eq!(status("1"), "waiting");
    served.kill().unwrap();
    home.said(served);
    let waits = home.stn(&["runs", "resume", "1", "--quiet"]);
    assert!(waits.exits(5).stdout.is_empty(), "{}", waits.shown());
    home.stn(&["runs", "resume", "1", "--add", "tokens=1000", "--quiet"]).is(&expect![[r#"
        All done.
    "#]]);
    assert_eq!(home.json(&["runs", "inspect", "1"])["run"]["budget"]["tokens"]["spent"], 4 * 120);
}

#[test]
fn a_run_that_asks_too_often_says_what_it_waits_for() {
    let (model, home) = home();
    let config = home.read("config.yaml");
    home.write(
        "config.yaml",
        &format!("{config}rate_limits: {{providers: {{openai: {{requests_per_min: 1}}}}}}\n"),
    );
    home.stn(&["agent", "run", "worker", "say hello", "--timeout", "1s"]).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        run 1 of `worker` in `default`: model openai/stand-in-1, at most 5 steps (max_steps of the agent)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/echo {"text": "hello"}
          <- echo: 5 bytes in [span]
          waits [span] for rate limit of provider `openai`: 1 request a minute
          its time is over
        run 1 took longer than it may in [span] (1 step, 1 tool call, 100 tokens in (64 cached), 20 out)
        error: run 1 took longer than it may
        hint: see what happened with `stn runs inspect 1`
        --- exit 3
    "#]]);
    assert_eq!(model.requests().len(), 1);
}

/// It was advised to add tokens.
#[test]
fn a_run_at_its_limit_of_calls_is_given_more_calls() {
    let model = OpenAi::from_fn(|_| openai::calls([("echo", r#"{"text": "hello"}"#)]));
    let home = Home::with_fake().asking(&model);
    home.agent("default", "worker", "max_steps: 5\ntools: [__echo]\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["agent", "run", "worker", "say hello", "--limit", "calls=1"]).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        run 1 of `worker` in `default`: model openai/stand-in-1, at most 5 steps (max_steps of the agent)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/echo {"text": "hello"}
          <- echo: 5 bytes in [span]
          turn 2: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          waits for budget: run 1 has spent 1 tool call of 1 tool call (asked for with the run)
        run 1 waits for budget: run 1 has spent 1 tool call of 1 tool call (asked for with the run) since [time]
        hint: give it more with `stn runs resume 1 --add calls=…`
        --- exit 5
    "#]]);
}
