//! What anybody may ask of the real `stn serve`: how often, how much at a time, how long, and that each refusal is the one envelope.

use crate::home::{Home, reading};
use crate::http::{Answer, Served};
use crate::watch::{log, until};
use expect_test::expect;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

fn get(served: &Served, path: &str) -> Answer {
    served.send_to(path, "GET", &[], "")
}

/// A refusal: the status, what is said, and when to come again. It names its request, in the envelope as in the head.
fn told(answer: &Answer) -> String {
    let error = answer.json()["error"].clone();
    let id = error["request_id"].as_str().unwrap();
    assert!(answer.head.contains(&format!("x-request-id: {id}")), "{}\n{}", answer.head, answer.body);
    let again = answer.head.lines().find_map(|line| line.strip_prefix("retry-after: "));
    assert_eq!(again.map(str::parse::<i64>).transpose().unwrap(), error["retry_after_s"].as_i64());
    let again = again.map(|seconds| format!(" (again after {seconds} s)")).unwrap_or_default();
    format!(
        "{} {}: {}{again}",
        answer.status,
        error["kind"].as_str().unwrap(),
        error["message"].as_str().unwrap()
    )
}

fn served_with(http: &str) -> (Home, Served) {
    let home = Home::with_init();
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}\nhttp: {{{http}}}\n"));
    let served = Served::start(&home);
    (home, served)
}

#[test]
fn whoever_asks_too_often_is_told_when_to_come_again() {
    // One at once, and one each minute.
    let (home, served) = served_with("administrator_per_minute: 1");
    assert_eq!(get(&served, "/api/v1/agents").status, 200);
    for path in ["/api/v1/agents", "/mcp", "/nowhere"] {
        expect!["429 busy: the local administrator asks too often (again after 60 s)"]
            .assert_eq(&told(&get(&served, path)));
    }
    for path in ["/health", "/ready"] {
        assert_eq!(get(&served, path).status, 200, "{path}");
    }
    // Somebody else has a rate of their own.
    let secret = home.json(&["user", "create", "ann", "--admin"])["secret"].as_str().unwrap().to_owned();
    for _ in 0..20 {
        assert_eq!(served.send_as(&secret, "/api/v1/agents", "GET", "").status, 200);
    }
    served.stop();
}

#[test]
fn a_user_who_asks_too_often_is_told_so_by_name() {
    let home = Home::with_init();
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}\nhttp: {{user_per_minute: 1}}\n"));
    let secret = home.json(&["user", "create", "ann", "--admin"])["secret"].as_str().unwrap().to_owned();
    let served = Served::start(&home);
    let ask = || served.send_as(&secret, "/api/v1/agents", "GET", "");
    assert_eq!(ask().status, 200);
    expect!["429 busy: `ann` asks too often (again after 60 s)"].assert_eq(&told(&ask()));
    served.stop();
}

#[test]
fn where_too_much_is_at_work_the_next_is_told_so_and_health_answers() {
    let home = Home::with_init();
    let calls = home.work("calls.jsonl");
    home.server("default", "fake", &["--log", calls.to_str().unwrap()]);
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}\nhttp: {{requests_max: 1}}\n"));
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let body = json!({ "arguments": { "ms": 0, "file": home.path().join("gate") } }).to_string();
    let head = format!(
        "POST /api/v1/servers/fake/tools/slow/call HTTP/1.0\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut at_work = served.connect();
    at_work.write_all(head.as_bytes()).unwrap();
    until("the call is out", || log(&calls).len() == 1);
    for path in ["/api/v1/agents", "/mcp"] {
        expect!["503 busy: there is no room for more than 1 request at a time (again after 1 s)"]
            .assert_eq(&told(&get(&served, path)));
    }
    for path in ["/health", "/ready"] {
        assert_eq!(get(&served, path).status, 200, "{path}");
    }
    std::fs::write(home.path().join("gate"), "").unwrap();
    let mut answer = String::new();
    at_work.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    until("there is room again", || get(&served, "/api/v1/agents").status == 200);
    served.stop();
}

#[test]
fn streams_have_a_bound_of_their_own_and_are_not_at_work() {
    let model = reading();
    let home = Home::with_fake().asking(&model);
    home.write("environments/default/environment.yml", "tools: {approve: [read]}\n");
    home.agent("default", "reader", "tools: [read]\n");
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}\nhttp: {{requests_max: 1, streams_max: 2}}\n"));
    home.stn(&["sync", "--quiet"]).done();
    let secret = home.json(&["user", "create", "ann", "--admin"])["secret"].as_str().unwrap().to_owned();
    let served = Served::start(&home);
    let ask = |path: &str| served.send_as(&secret, path, "GET", "");
    let started = served.send_as(
        &secret,
        "/api/v1/agents/reader/runs",
        "POST",
        &json!({ "task": "read it" }).to_string(),
    );
    let run = started.json()["run"]["id"].to_string();
    let path = format!("/api/v1/runs/{run}/events");
    let follow = || {
        let mut stream = served.connect();
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {secret}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200");
        stream
    };
    let (first, _second) = (follow(), follow());
    until("it waits for a person", || {
        ask(&format!("/api/v1/runs/{run}")).json()["run"]["status"] == json!("waiting")
    });
    expect!["429 busy: `ann` follows 2 streams already (again after 5 s)"].assert_eq(&told(&ask(&path)));
    // One place alone is for work, and nobody has it.
    assert_eq!(ask("/api/v1/agents").status, 200);
    drop(first);
    // Whoever is gone is noticed at the next thing that is written to them.
    let approvals = ask("/api/v1/approvals").json();
    let approval = approvals["approvals"][0]["id"].to_string();
    served.send_as(&secret, &format!("/api/v1/approvals/{approval}/approve"), "POST", "{}");
    until("a place is free", || ask(&path).status == 200);
    served.stop();
}

#[test]
fn what_is_too_long_or_nowhere_is_refused_in_the_one_envelope() {
    let (_home, served) = served_with("headers_max: 10, head_bytes_max: 2000, body_bytes_max: 1024");
    let many: String = (0..9).map(|n| format!("x-{n}: 1\r\n")).collect();
    let raw = |text: String| told(&served.raw(text.as_bytes()));
    let post = |path: &str, body: &str| told(&served.send_to(path, "POST", &[], body));
    let long = Value::from("x".repeat(2000)).to_string();
    let answers = [
        raw(format!("GET /api/v1/agents HTTP/1.0\r\nhost: localhost\r\naccept: */*\r\n{many}\r\n")),
        raw(format!("GET /mcp?{} HTTP/1.0\r\nhost: localhost\r\n\r\n", "x".repeat(3000))),
        post("/api/v1/agents", &long),
        post("/mcp", &long),
        post("/nowhere", "{}"),
        told(&get(&served, "/api/v1/nowhere")),
        told(&served.send_to("/mcp", "PUT", &[], "")),
        told(&served.send_to("/api/v1/agents", "DELETE", &[], "")),
        told(&served.send_to("/mcp", "POST", &[("accept", "text/html")], "{}")),
        told(&served.send_to("/mcp/env/nowhere", "POST", &[], "{}")),
        told(&served.send_to("/mcp", "GET", &[("host", "example.com")], "")),
        told(&served.send_to("/mcp", "GET", &[("authorization", "Bearer x")], "")),
    ];
    expect![[r"
        431 invalid: a request has 10 headers at most
        431 invalid: the address and headers of a request have 2000 bytes at most
        413 invalid: a body has 1024 bytes at most
        413 invalid: a body has 1024 bytes at most
        404 not_found: there is nothing at this address
        404 not_found: there is nothing at this address
        405 invalid: PUT is nothing that this address takes
        405 invalid: DELETE is nothing that this address takes
        406 invalid: accept application/json and text/event-stream
        404 not_found: there is no such environment
        403 forbidden: Host is not a name of this machine: use localhost or 127.0.0.1
        401 unauthenticated: the credential is wrong, was revoked, or is over"]]
    .assert_eq(&answers.join("\n"));
    for path in ["/health", "/ready"] {
        assert!(get(&served, path).head.contains("x-request-id: 0"), "{path}");
    }
    served.stop();
}

#[test]
fn a_limit_that_lets_nothing_through_is_refused_before_anything_is_served() {
    let home = Home::with_init();
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}\nhttp: {{requests_max: 0}}\n"));
    let said = home.stn(&["serve"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.contains("`http.requests_max` must be a whole number of 1 or more"),
        "{}",
        said.stderr
    );
}
