//! A tool server that asks for a model while it is at work: answered as its file says, by the road of every request to a model.

use crate::home::{Home, Open, outline};
use expect_test::expect;
use serde_json::{Value, json};
use station_core::budget::{Measure, Price, Prices};
use station_core::run::{AskFailure, Effect, Event, Status};
use station_core::{Message, ModelMax, Usage};
use station_engine::{Config, NewRun, RunDetails, Seen};
use station_llm::script::{Turn, USAGE, calls, fails, reply};
use station_llm::{Request, Script};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A model that is not there for as long as a test lasts.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// An agent `worker` with the tool `sample` of a server that speaks `era` and is answered as `sampling` says.
fn home(era: &str, sampling: &Value, front: &str) -> Home {
    let home = Home::new();
    let log = home.path("default.fake.log");
    let entry = json!({ "mcpServers": { "fake": {
        "command": station_testkit::fake_server::binary(),
        "args": ["--log", log, "--era", era],
        "station": { "answers": { "sampling": sampling } },
    } } });
    home.write("environments/default/mcp-servers/fake.json", &entry.to_string());
    home.agent("default", "worker", &format!("model: script/one\ntools: [sample, echo]\n{front}"));
    home
}

fn run_model() -> Value {
    json!({ "model": "run" })
}

/// Whether it is the server that asks, and not the run.
fn is_of_server(request: &Request<'_>) -> bool {
    matches!(request.messages.first(), Some(Message::System { text }) if text == "you sort files")
}

/// A model that calls `sample` with `arguments` and is done then; what the server asks is answered by `to_server`.
fn script(arguments: Value, to_server: impl Fn(&Request<'_>) -> Turn + Send + Sync + 'static) -> Script {
    Script::from_fn(move |request| match request.messages.last() {
        _ if is_of_server(request) => to_server(request),
        Some(Message::Tool { .. }) => reply("done"),
        _ => calls([("sample", arguments.clone())]),
    })
}

fn log(details: &RunDetails) -> String {
    let lines = outline(details);
    let from = lines.find("call fake/sample").expect("it was called");
    lines[from..].to_owned()
}

#[tokio::test]
async fn a_server_of_either_era_is_answered_within_its_call_and_told_nothing_of_the_run() {
    for era in ["legacy", "modern"] {
        let home = home(era, &json!({ "model": "run", "tokens_max": 20 }), "");
        let asked = |request: &Request<'_>| {
            assert_eq!(
                (request.tools.len(), request.output_schema, request.trace.is_some()),
                (0, None, true)
            );
            assert_eq!(request.settings.max_output_tokens, Some(20), "it asks for more than its file allows");
            let [Message::System { .. }, Message::User { text }] = request.messages else {
                panic!("{:?}", request.messages)
            };
            reply(format!("to {text:?}: a log"))
        };
        let open = home.open(script(json!({}), asked)).await;
        open.sync("default").await;
        let details = open.run("worker", "the secret task").await;
        expect![[r#"
            call fake/sample #1
            sample script/one for fake/sample
            sampled "to \"what is this?\": a log"
            returned "\"script\" says \"to \\\"what is this?\\\": a log\" (\"endTurn\")"
            ask script/one
            answered "done", 0 calls
            ended completed
        "#]]
        .assert_eq(&log(&details));
        let all = Usage { input: 3 * USAGE.input, output: 3 * USAGE.output, ..details.run.usage };
        assert_eq!((details.run.usage, details.run.steps, details.run.tool_calls), (all, 2, 1));
        let (call, of) = ids(&details);
        assert_eq!(call, of, "the journal says for which call the model was asked");
        open.close().await;
    }
}

/// The effect of the call, and the one that the request names.
fn ids(details: &RunDetails) -> (station_core::EffectId, station_core::EffectId) {
    let effects = details.journal.iter().filter_map(|entry| match &entry.event {
        Event::EffectStarted { id, effect } => Some((*id, effect)),
        _ => None,
    });
    let (mut call, mut named) = (None, None);
    for (id, effect) in effects {
        match effect {
            Effect::Call { .. } => call = Some(id),
            Effect::Sample { of, .. } => named = Some(*of),
            _ => {}
        }
    }
    (call.expect("it was called"), named.expect("a model was asked"))
}

#[tokio::test]
async fn a_server_whose_file_says_nothing_is_offered_no_model() {
    let home = home("legacy", &json!("refuse"), "");
    let open = home.open(script(json!({}), |_| reply("no"))).await;
    open.sync("default").await;
    let details = open.run("worker", "do it").await;
    let inputs = details.journal.iter().find_map(|entry| match &entry.event {
        Event::RunStarted(inputs) => Some(inputs),
        _ => None,
    });
    let warnings = &inputs.expect("it has begun").warnings;
    assert!(warnings[0].contains("`sample`"), "the tool is listed for who has a model: {warnings:?}");
    open.close().await;
}

#[tokio::test]
async fn no_more_is_asked_than_the_file_allows_and_the_journal_is_not_filled() {
    let home = home("legacy", &json!({ "model": "run", "requests_max": 2 }), "");
    let open = home.open(script(json!({ "times": 5 }), |_| reply("a log"))).await;
    open.sync("default").await;
    let details = open.run("worker", "do it").await;
    expect![[r#"
        call fake/sample #1
        sample script/one for fake/sample
        sampled "a log"
        sample script/one for fake/sample
        sampled "a log"
        refused a model: it may ask 2 times within one call (`station.answers.sampling.requests_max`)
        returned "\"script\" says \"a log\" (\"endTurn\"); \"script\" says \"a log\" (\"endTurn\"); -1 it was asked too often; -1 it was asked too often; -1 it was asked too often"
        ask script/one
        answered "done", 0 calls
        ended completed
    "#]]
    .assert_eq(&log(&details));
    open.close().await;
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_refused_in_words() {
    let params = json!({ "messages": [], "maxTokens": 5, "tools": [{ "name": "rm" }] });
    let check = async |model: &str, arguments: Value, at_once: Option<u32>, expected: &[&str]| {
        let home = home("legacy", &json!({ "model": model }), "");
        let mut config = home.config();
        config.at_once.model_max = ModelMax { each: at_once, ..ModelMax::default() };
        let open = home.open_with(config, script(arguments, |_| fails(AskFailure::Rejected))).await;
        open.sync("default").await;
        let log = log(&open.run("worker", "do it").await);
        for expected in expected {
            assert!(log.contains(expected), "{expected}: {log}");
        }
        open.close().await;
    };
    let tools = [
        "refused a model: what it asks cannot be passed on: no tools can be used",
        "returned \"-32602 no tools can",
    ];
    check("run", json!({ "params": params }), None, &tools).await;
    let unknown = ["refused a model: ", "returned \"-1 the model is not set up\""];
    check("nowhere/at-all", json!({}), None, &unknown).await;
    let counted =
        ["(`execution.model_max`), and this run is not among them", "returned \"-1 the model is in use\""];
    check("script/two", json!({}), Some(3), &counted).await;
    let failed = ["sample failed Some(Rejected)", "returned \"-1 the model did not answer\""];
    check("script/two", json!({}), None, &failed).await;
    check("run", json!({}), Some(3), &failed).await;
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_a_no_and_is_passed_by_no_more_than_one_reservation() {
    // The run's first request takes 15, the server's first one 15 more.
    let home = home("legacy", &run_model(), "station: {limits: {tokens: 20}}");
    let open = home.open(script(json!({ "times": 2 }), |_| reply("a log"))).await;
    open.sync("default").await;
    let details = open.run("worker", "do it").await;
    expect![[r#"
        call fake/sample #1
        sample script/one for fake/sample
        reserved
        settled
        sampled "a log"
        refused a model: budget: run 1 has spent 30 tokens of 20 tokens (by the file of agent `worker`)
        returned "\"script\" says \"a log\" (\"endTurn\"); -1 there is no room for it in a budget"
        reached budget: run 1 has spent 30 tokens of 20 tokens (by the file of agent `worker`)
    "#]]
    .assert_eq(&log(&details));
    assert_eq!(details.run.status, Status::Waiting);
    assert_eq!(open.spent(details.run.id, Measure::Tokens).await, (30, 0));
    open.close().await;
}

#[tokio::test]
async fn a_model_is_paid_by_its_own_price() {
    let home = home("legacy", &json!({ "model": "script/two" }), "station: {limits: {usd: 1}}");
    let row = |input| Price {
        input,
        output: 0,
        cached: None,
        cache_write: None,
        reasoning: None,
        currency: "USD".to_owned(),
        date: None,
        source: None,
    };
    // A micro-USD for each token that `one` reads, and ten for `two`.
    let rows = [("script/one".to_owned(), row(1_000_000)), ("script/two".to_owned(), row(10_000_000))];
    let config = Config { prices: Prices { rows: rows.into() }, ..home.config() };
    let open = home.open_with(config, script(json!({}), |_| reply("a log"))).await;
    open.sync("default").await;
    let details = open.run("worker", "do it").await;
    assert_eq!(details.run.status, Status::Completed, "{}", outline(&details));
    assert_eq!(open.spent(details.run.id, Measure::Usd).await, (10 + 100 + 10, 0));
    open.close().await;
}

#[tokio::test]
async fn who_cancels_a_run_ends_what_its_server_asks_and_what_was_reserved_is_charged() {
    let home = home("legacy", &run_model(), "station: {limits: {tokens: 99999}}");
    let open = home.open(script(json!({}), |_| reply("late").after(FOR_EVER))).await;
    open.sync("default").await;
    let stop = CancellationToken::new();
    let details = asking(&open, stop.clone(), || stop.cancel()).await;
    expect![[r#"
        call fake/sample #1
        sample script/one for fake/sample
        reserved
        cancel requested
        unknown Stopped
        settled, lost
        ended cancelled
    "#]]
    .assert_eq(&log(&details));
    let (spent, reserved) = open.spent(details.run.id, Measure::Tokens).await;
    assert!(spent > 15 && reserved == 0, "{spent} {reserved}");
    open.close().await;
}

/// Drives a run of `worker`, and does `then` when a model is asked for its server.
async fn asking(open: &Open<'_>, stop: CancellationToken, then: impl FnOnce()) -> RunDetails {
    let run = open.start("default", "worker", NewRun { task: "t".to_owned(), ..NewRun::default() }).await;
    let mut watch = open.station.watch();
    let (worked, ()) = tokio::join!(open.station.work_off(run.id, stop), async {
        loop {
            let live = watch.next().await.expect("it is open").expect("nothing was missed");
            if matches!(&live.seen, Seen::Journal(entry) if is_sample(&entry.event)) {
                return then();
            }
        }
    });
    worked.expect("the store works");
    open.show(run.id).await
}

fn is_sample(event: &Event) -> bool {
    matches!(event, Event::EffectStarted { effect: Effect::Sample { .. }, .. })
}

#[tokio::test]
async fn a_call_that_does_not_wait_for_its_model_is_not_waited_for() {
    let home = home("legacy", &run_model(), "station: {limits: {tokens: 99999}}");
    let file = home.path("asked");
    let open = home.open(script(json!({ "leave": file }), |_| reply("late").after(FOR_EVER))).await;
    open.sync("default").await;
    let left = || std::fs::write(&file, "").expect("the file is ours");
    let details = asking(&open, CancellationToken::new(), left).await;
    expect![[r#"
        call fake/sample #1
        sample script/one for fake/sample
        reserved
        returned "left"
        settled, lost
        sample failed None
        ask script/one
        reserved
        settled
        answered "done", 0 calls
        ended completed
    "#]]
    .assert_eq(&log(&details));
    let (_, reserved) = open.spent(details.run.id, Measure::Tokens).await;
    assert_eq!(reserved, 0, "{}", outline(&details));
    open.close().await;
}
