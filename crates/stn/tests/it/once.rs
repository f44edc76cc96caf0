//! `Idempotency-Key` through the real `stn serve`: a request that is sent again is done once.

use crate::home::Home;
use crate::http::{Answer, Served};
use crate::watch::{log, until};
use expect_test::expect;
use serde_json::{Value, json};

fn post(served: &Served, path: &str, key: &str, body: &Value) -> Answer {
    served.send_to(&format!("/api/v1{path}"), "POST", &[("idempotency-key", key)], &body.to_string())
}

fn told(answer: &Answer) -> String {
    let error = answer.json()["error"].clone();
    let again = if answer.head.contains("idempotent-replayed: true") { ", replayed" } else { "" };
    format!("{}{again}: {}", answer.status, error["message"].as_str().unwrap_or("done"))
}

#[test]
fn a_request_that_is_sent_again_is_done_once_also_after_a_restart() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let start = |served: &Served, key: &str, task: &str| {
        post(served, "/agents/reader/runs", key, &json!({ "task": task, "model": "offline" }))
    };
    let first = start(&served, "\"7c3a\"", "read notes.txt");
    assert_eq!(first.status, 202, "{}", first.body);
    assert!(!first.head.contains("idempotent-replayed"), "{}", first.head);
    let again = |served: &Served| {
        // Members in another order, and the key without its quotation marks: the same request.
        let body = r#"{"model": "offline", "task": "read notes.txt"}"#;
        let answer =
            served.send_to("/api/v1/agents/reader/runs", "POST", &[("idempotency-key", "7c3a")], body);
        assert_eq!((told(&answer).as_str(), answer.json()), ("202, replayed: done", first.json()));
    };
    again(&served);
    // A refusal is an answer as well; what was not done for want of room would not be.
    let nobody = || post(&served, "/agents/nobody/runs", "8d", &json!({ "task": "x" }));
    expect!["404: agent `nobody` does not exist in environment `default`"].assert_eq(&told(&nobody()));
    expect!["404, replayed: agent `nobody` does not exist in environment `default`"]
        .assert_eq(&told(&nobody()));
    assert_eq!(nobody().json()["error"]["request_id"].as_str().map(str::len), Some(32));
    let refused = [
        start(&served, "7c3a", "read more.txt"),
        post(&served, "/agents/reader/queue", "7c3a", &json!({ "task": "read notes.txt" })),
        start(&served, "\"7c3a", "read notes.txt"),
        start(&served, " ", "read notes.txt"),
    ];
    expect![[r"
        422: this `Idempotency-Key` came with another request before
        422: this `Idempotency-Key` came with another request before
        400: `Idempotency-Key` is no string: printable ASCII in quotation marks, or one word without
        400: `Idempotency-Key` is empty"]]
    .assert_eq(&refused.iter().map(told).collect::<Vec<_>>().join("\n"));
    served.stop();
    let served = Served::start(&home);
    again(&served);
    assert_eq!(home.json(&["runs", "list"])["count"], 1);
    // What is told once is not told again, and not made again either.
    let root = home.json(&["user", "create", "root", "--admin"])["secret"].as_str().unwrap().to_owned();
    let make = || {
        let bearer = format!("Bearer {root}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
        served.send_to("/api/v1/users/root/api-keys", "POST", &headers, r#"{"name": "ci"}"#)
    };
    assert!(make().json()["secret"].as_str().unwrap().starts_with("stn_"));
    expect!["409: this was done by the first request with this `Idempotency-Key`, and its answer is not told twice"]
        .assert_eq(&told(&make()));
    assert_eq!(home.json(&["user", "key", "list"])["count"], 2);
    served.stop();
}

#[test]
fn a_client_whose_connection_broke_comes_again_and_nothing_is_called_twice() {
    let home = Home::with_init();
    let calls = home.work("calls.jsonl");
    home.server("default", "fake", &["--log", calls.to_str().unwrap()]);
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let body = |gate: &str| json!({ "arguments": { "ms": 0, "file": home.path().join(gate) } });
    let call = |served: &Served, key: &str| post(served, "/servers/fake/tools/slow/call", key, &body(key));
    let let_go = |served: &Served, key: &str, n: usize| {
        use std::io::Write as _;
        let body = body(key).to_string();
        let head = format!(
            "POST /api/v1/servers/fake/tools/slow/call HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut gone = served.connect();
        gone.write_all(head.as_bytes()).unwrap();
        until("the call is out", || log(&calls).len() == n);
    };
    let_go(&served, "a", 1);
    expect!["409: the first request with this `Idempotency-Key` is still at work"]
        .assert_eq(&told(&call(&served, "a")));
    std::fs::write(home.path().join("a"), "").unwrap();
    until("it is answered", || call(&served, "a").status != 409);
    let answer = call(&served, "a");
    assert_eq!((told(&answer).as_str(), log(&calls).len()), ("200, replayed: done", 1), "{}", answer.body);
    // Station is killed while it is at work: whoever comes again hears that nobody knows.
    let_go(&served, "b", 2);
    drop(served);
    let served = Served::start(&home);
    expect!["409: nobody knows whether the first request with this `Idempotency-Key` was done: Station ended while it was at work"]
        .assert_eq(&told(&call(&served, "b")));
    assert_eq!(log(&calls).len(), 2);
    served.stop();
}

#[test]
fn an_older_script_that_executes_again_starts_one_run() {
    let home = Home::with_fake().set("STN_MCP_PORT", "0");
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home).at_last_port();
    let execute = |key: &str, task: &str| {
        let body = json!({ "agent_name": "reader", "task": task }).to_string();
        served.send_to("/execute", "POST", &[("idempotency-key", key)], &body)
    };
    let first = execute("x", "read notes.txt");
    assert_eq!(first.status, 202, "{}", first.body);
    let again = execute("x", "read notes.txt");
    assert_eq!((again.status, again.json()), (202, first.json()));
    assert!(again.head.contains("idempotent-replayed: true"), "{}", again.head);
    let other = execute("x", "read more.txt");
    assert_eq!((other.status, &other.json()["error"]), (422, &json!("invalid")), "{}", other.body);
    assert_eq!(home.json(&["runs", "list"])["count"], 1);
    served.stop();
}
