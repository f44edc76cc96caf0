//! What the command line can do, by the HTTP API of the real `stn serve`: forks, resuming, records, budgets, locks, settings.

use crate::home::Home;
use crate::http::{Answer, Served};
use crate::watch::until;
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::openai::{self, OpenAi};

fn send(served: &Served, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    served.send_to(&format!("/api/v1{path}"), method, &[], &body)
}

fn done(answer: &Answer) -> Value {
    assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.body);
    answer.json()
}

fn refused(answer: &Answer) -> String {
    format!("{}: {}", answer.status, answer.json()["error"]["message"].as_str().unwrap())
}

fn until_status(served: &Served, run: &Value, status: &str) {
    let shown = || done(&send(served, "GET", &format!("/runs/{run}"), &Value::Null));
    until(status, || shown()["run"]["status"] == *status);
}

#[test]
fn a_run_is_forked_recorded_and_resumed_with_more_to_spend() {
    // Two calls, one after the other.
    let model = OpenAi::from_fn(|seen| match seen.results().len() {
        0 => openai::calls([("read", r#"{"path": "a.txt"}"#)]),
        1 => openai::calls([("read", r#"{"path": "b.txt"}"#)]),
        _ => openai::reply("Both are read."),
    });
    let home = Home::with_fake().asking(&model);
    home.agent("default", "reader", "tools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let start = json!({ "task": "read both", "budget": { "calls": 1 } });
    let run = done(&send(&served, "POST", "/agents/reader/runs", &start))["run"]["id"].clone();
    until_status(&served, &run, "waiting");
    let resume = |add: Value| send(&served, "POST", &format!("/runs/{run}/resume"), &json!({ "add": add }));
    expect!["400: `add.money` is no limit: there are tokens, usd, calls, time"]
        .assert_eq(&refused(&resume(json!({ "money": 1 }))));
    done(&resume(json!({ "calls": 5 })));
    until_status(&served, &run, "completed");
    expect!["409: run 1 has ended as completed and cannot be resumed"]
        .assert_eq(&refused(&resume(json!({}))));
    // A case is the same by both doors, but for when it was made.
    let without_time = |mut case: Value| {
        case["recorded_at"] = Value::Null;
        case
    };
    let recorded = done(&send(&served, "GET", &format!("/runs/{run}/record"), &Value::Null));
    assert_eq!(recorded["steps"].as_array().map(Vec::len), Some(3), "{recorded}");
    let printed = home.json(&["runs", "record", "1"]);
    assert_eq!(without_time(recorded), without_time(printed));
    // Sent twice with one key, it is one fork.
    let fork = |body: &Value| {
        served.send_to("/api/v1/runs/1/fork", "POST", &[("idempotency-key", "fork")], &body.to_string())
    };
    let forked = done(&fork(&json!({ "step": 1, "task": "read both again" })));
    assert_eq!(
        (&forked["forked_from"]["run_id"], &forked["forked_from"]["step"]),
        (&json!(1), &json!(1)),
        "{forked}"
    );
    assert_eq!(done(&fork(&json!({ "step": 1, "task": "read both again" })))["id"], forked["id"]);
    until_status(&served, &forked["id"], "completed");
    let no_step = send(&served, "POST", "/runs/1/fork", &json!({ "step": 9 }));
    expect!["409: run 1 cannot be forked after step 9; it can be after steps 0, 1, 2"]
        .assert_eq(&refused(&no_step));
    served.stop();
}

#[test]
fn budgets_are_set_and_taken_away() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let set = |body: Value| send(&served, "POST", "/budgets", &body);
    let day =
        json!({ "environment": "default", "period": "day", "limits": { "tokens": 50_000, "usd": "1.50" } });
    let made = done(&set(day));
    assert_eq!(
        (&made["scope"], &made["period"], &made["tokens"]["limit"]),
        (&json!("environment"), &json!("day"), &json!(50_000))
    );
    done(&set(json!({ "agent": "reader", "limits": { "calls": 3 } })));
    let listed = done(&send(&served, "GET", "/budgets", &Value::Null));
    assert_eq!(listed["count"], 2);
    // A list of the command line is a page of which there is no other.
    let mut printed = home.json(&["budget", "list"]);
    printed["next"] = Value::Null;
    assert_eq!(listed, printed);
    let refusals = [
        set(json!({ "limits": {} })),
        set(json!({ "run": 1, "agent": "reader", "limits": { "calls": 1 } })),
        set(json!({ "run": 7, "limits": { "calls": 1 } })),
        set(json!({ "period": "week", "limits": { "calls": 1 } })),
        set(json!({ "limits": { "time": "soon" } })),
    ];
    expect![[r"
        400: a budget must limit something
        400: a budget is for one thing: a run stands alone, without `agent` and `environment`
        404: run 7 does not exist
        400: `period` is `week`, and must be `run` or `day`
        400: `limits.time` must be a duration like `30s`, `10m` or `1h30m`, or a number of seconds"]]
    .assert_eq(&refusals.iter().map(refused).collect::<Vec<_>>().join("\n"));
    let unset = || send(&served, "DELETE", "/budgets?agent=reader", &Value::Null);
    done(&unset());
    expect!["404: no budget was set by hand there"].assert_eq(&refused(&unset()));
    served.stop();
}

#[test]
fn tools_are_pinned_as_they_were_shown() {
    let home = Home::with_fake();
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let plan = || done(&send(&served, "GET", "/environments/default/lock", &Value::Null));
    let shown = plan();
    assert_eq!((&shown["is_locked"], &shown["written"]), (&json!(false), &json!(false)), "{shown}");
    let pin = |shown: &Value| send(&served, "POST", "/environments/default/lock", &json!({ "shown": shown }));
    expect!["409: what is different is not what `shown` names, so nothing was pinned"]
        .assert_eq(&refused(&pin(&json!("something else"))));
    assert_eq!(done(&pin(&shown["shown"]))["written"], true);
    let after = plan();
    assert_eq!((&after["is_locked"], &after["differences"]), (&json!(true), &json!([])), "{after}");
    let nobody = send(&served, "DELETE", "/servers/fake/login", &Value::Null);
    expect!["409: nobody is logged in at server `fake`"].assert_eq(&refused(&nobody));
    served.stop();
}

#[test]
fn settings_are_written_where_they_stand_and_no_secret_is_told() {
    let home = Home::with_init();
    let before = format!(
        "{}# ours\nai_api_key: s3cret-canary\nexecution: {{workers: 4}} # few\n",
        home.read("config.yaml")
    );
    home.write("config.yaml", &before);
    let served = Served::start(&home);
    let of =
        |method: &str, name: &str, body: Value| send(&served, method, &format!("/settings/{name}"), &body);
    let listed = send(&served, "GET", "/settings?limit=1000", &Value::Null);
    assert!(!listed.body.contains("s3cret-canary"), "{}", listed.body);
    let secret = done(&of("GET", "ai_api_key", Value::Null));
    assert_eq!(
        (&secret["value"], &secret["is_set"], &secret["is_secret"]),
        (&Value::Null, &json!(true), &json!(true))
    );
    let set = done(&of("PATCH", "execution.workers", json!({ "value": "7" })));
    assert_eq!((&set["value"], &set["default"]), (&json!("7"), &json!("50")));
    assert_eq!(home.read("config.yaml"), before.replace("workers: 4", "workers: 7"));
    let refusals = [
        of("PATCH", "execution.workers", json!({ "value": "many" })),
        of("PATCH", "execution.wokers", json!({ "value": "7" })),
        of("PATCH", "encryption_key", json!({ "value": "7" })),
        of("GET", "speed", Value::Null),
    ];
    expect![[r"
        400: `execution.workers` must be a whole number of 1 or more
        404: there is no setting `execution.wokers`
        400: `encryption_key` is not set this way
        404: there is no setting `speed`"]]
    .assert_eq(&refusals.iter().map(refused).collect::<Vec<_>>().join("\n"));
    done(&of("PATCH", "ai_api_key", json!({ "value": "another-canary" })));
    assert_eq!(done(&of("DELETE", "execution.workers", Value::Null))["is_set"], false);
    // Who changed which is told, and not to what.
    let audit = done(&send(&served, "GET", "/audit", &Value::Null));
    let told = audit["audit"].as_array().unwrap().iter().filter(|row| row["subject"] == "setting ai_api_key");
    assert_eq!(told.count(), 1, "{audit}");
    assert!(!audit.to_string().contains("another-canary"));
    served.stop();
}
