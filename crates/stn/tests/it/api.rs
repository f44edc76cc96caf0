//! The HTTP API of the real `stn serve`: what a script does with it.

use crate::home::{Home, reading};
use crate::http::{Answer, Served};
use crate::watch::until;
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::openai::{self, OpenAi};

fn get(served: &Served, path: &str) -> Answer {
    served.send_to(&format!("/api/v1{path}"), "GET", &[], "")
}

fn post(served: &Served, path: &str, body: &Value) -> Answer {
    served.send_to(&format!("/api/v1{path}"), "POST", &[], &body.to_string())
}

fn done(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.body);
    answer.json()
}

/// The server-sent events of an answer: name, id, data.
fn events(answer: &Answer) -> Vec<(String, Option<i64>, Value)> {
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
    };
    let all = answer.body.split("\n\n").filter(|event| !event.trim().is_empty());
    all.filter_map(|event| {
        let id = field(event, "id").and_then(|id| id.parse().ok());
        Some((field(event, "event")?, id, serde_json::from_str(&field(event, "data")?).unwrap()))
    })
    .collect()
}

#[test]
fn a_script_runs_an_agent_and_hears_what_becomes_of_it() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let started = done(&post(&served, "/agents/reader/runs", &json!({ "task": "read notes.txt" })), 202);
    assert_eq!(started["run"]["agent"], "reader", "{started}");
    let run = started["run"]["id"].as_i64().unwrap();
    // The stream ends with the run; its entries are those of the journal, each once and in order.
    let told = events(&get(&served, &format!("/runs/{run}/events")));
    let (name, _, end) = told.last().unwrap();
    assert_eq!((name.as_str(), &end["status"]), ("end", &json!("completed")), "{end}");
    let shown = done(&get(&served, &format!("/runs/{run}")), 200);
    let places =
        |told: &[(String, Option<i64>, Value)]| told.iter().filter_map(|it| it.1).collect::<Vec<_>>();
    let journal: Vec<i64> =
        shown["journal"].as_array().unwrap().iter().map(|entry| entry["seq"].as_i64().unwrap()).collect();
    assert_eq!(places(&told), journal);
    // Who was cut off goes on behind what it knows.
    let path = format!("/api/v1/runs/{run}/events");
    let rest = events(&served.send_to(&path, "GET", &[("last-event-id", "2")], ""));
    assert_eq!(places(&rest), &journal[2..]);
    assert_eq!(places(&events(&get(&served, &format!("/runs/{run}/events?after=2")))), &journal[2..]);
    // The same shapes as the command line's.
    assert_eq!(shown, home.json(&["runs", "inspect", &run.to_string()]));
    for (path, args) in [
        ("/agents/reader", &["agent", "show", "reader"][..]),
        ("/environments/default", &["env", "get", "default"]),
    ] {
        assert_eq!(done(&get(&served, path), 200), home.json(args), "{path}");
    }
    // Older scripts.
    let older = done(&post(&served, "/agents/1/queue", &json!({ "task": "read more.txt" })), 202);
    assert_eq!((&older["agent_id"], &older["task"]), (&json!(1), &json!("read more.txt")), "{older}");
    served.stop();
}

#[test]
fn lists_have_pages_and_filters() {
    let home = Home::with_fake();
    for name in ["a", "b", "c"] {
        home.agent("default", name, "model: offline\n");
        home.agent("staging", name, "model: offline\n");
    }
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["sync", "staging", "--quiet"]).done();
    for n in 0..3 {
        home.stn(&["agent", "run", "a", &format!("task {n}"), "--quiet"]).done();
    }
    for n in 0..3 {
        home.stn(&["settings", "set", &format!("models.m{n}"), "openai/gpt-4o-mini"]).done();
    }
    let served = Served::start(&home);
    let pages = |path: &str, nouns, shown| pages(|path| get(&served, path), path, nouns, shown);
    expect!["1 2 | 3 4 | 5 6"].assert_eq(&pages("/agents?", "agents", "id"));
    expect![[r#""a" "b" | "c""#]].assert_eq(&pages("/agents?environment=staging&", "agents", "name"));
    expect!["3 2 | 1"].assert_eq(&pages("/runs?", "runs", "id"));
    expect![[r#""task 2" "task 1" | "task 0""#]].assert_eq(&pages(
        "/runs?agent=a&environment=default&status=completed&",
        "runs",
        "task",
    ));
    expect![[r#""default" "staging""#]].assert_eq(&pages("/environments?", "environments", "name"));
    assert_eq!(done(&get(&served, "/runs?open=true"), 200)["count"], 0);
    expect![[r#""offline" "m0" | "m1" "m2""#]].assert_eq(&pages("/models?", "models", "name"));
    assert!(!done(&get(&served, "/models?limit=1"), 200)["providers"].as_array().unwrap().is_empty());
}

/// The pages of a list, two items on each: what each item has under `shown`.
fn pages(get: impl Fn(&str) -> Answer, path: &str, nouns: &str, shown: &str) -> String {
    let (mut all, mut next) = (Vec::new(), Value::Null);
    loop {
        let cursor = next.as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
        let page = done(&get(&format!("{path}limit=2{cursor}")), 200);
        let items = page[nouns].as_array().unwrap();
        assert_eq!(page["count"], items.len());
        all.push(items.iter().map(|it| it[shown].to_string()).collect::<Vec<_>>().join(" "));
        next = page["next"].clone();
        if next.is_null() {
            return all.join(" | ");
        }
    }
}

#[test]
fn approvals_users_and_the_audit_have_pages_and_filters() {
    let model = reading();
    let home = Home::with_fake().asking(&model);
    home.server("staging", "fake", &["--log", "/dev/null"]);
    for environment in ["default", "staging"] {
        home.write(&format!("environments/{environment}/environment.yml"), "tools: {approve: [read]}\n");
        home.agent(environment, "reader", "tools: [read]\n");
        home.stn(&["sync", environment, "--quiet"]).done();
    }
    // Each run puts one question.
    for environment in ["default", "default", "default", "staging"] {
        home.stn(&["agent", "run", "reader", "read it", "--env", environment]).exits(5);
    }
    home.stn(&["approvals", "deny", "1"]).done();
    let key = home.key_of("olga", &["--admin"]);
    home.key_of("ann", &["--role", "user", "--env", "default"]);
    home.key_of("vic", &["--role", "viewer", "--env", "staging"]);
    let served = Served::start(&home);
    let get = |path: &str| served.send_as(&key, &format!("/api/v1{path}"), "GET", "");
    let approvals = |filter: &str| pages(get, &format!("/approvals?{filter}"), "approvals", "id");
    expect!["2 3 | 4"].assert_eq(&approvals(""));
    expect!["4 3 | 2 1"].assert_eq(&approvals("all=true&"));
    expect!["1"].assert_eq(&approvals("status=denied&"));
    expect!["1"].assert_eq(&approvals("all=true&status=denied&"));
    expect!["4"].assert_eq(&approvals("environment=staging&"));
    expect!["2 3"].assert_eq(&approvals("agent=reader&environment=default&"));
    expect!["1"].assert_eq(&approvals("run=1&all=true&"));
    for (path, told) in [
        ("/approvals?run=-1", "`run` must be an id (a number, 0 or more)"),
        ("/approvals?status=open", "`open` is no status of an approval"),
        ("/approvals?run=first", "`first` is no number of a run"),
        ("/users?role=boss", "`boss` is no role"),
        ("/audit?since=yesterday", "`since` is `yesterday`, and no time"),
    ] {
        let refused = get(path);
        assert_eq!(refused.status, 400, "{path}: {}", refused.body);
        assert!(refused.body.contains(told), "{path}: {}", refused.body);
    }
    let users = |filter: &str| pages(get, &format!("/users?{filter}"), "users", "name");
    expect![[r#""ann" "olga" | "vic""#]].assert_eq(&users(""));
    expect![[r#""vic""#]].assert_eq(&users("role=viewer&"));
    expect![[r#""vic""#]].assert_eq(&users("environment=staging&"));
    expect![""].assert_eq(&users("role=user&environment=staging&"));
    assert_eq!(get("/users?environment=nowhere").status, 404);
    let audit = |filter: &str, shown| pages(get, &format!("/audit?{filter}"), "audit", shown);
    expect![[r#""user 4" "user 3" | "user 2""#]].assert_eq(&audit("action=create_user&", "subject"));
    expect![[r#""deny""#]].assert_eq(&audit("subject=approval%201&", "action"));
    expect![[r#""use_api_key""#]].assert_eq(&audit("actor=olga&", "action"));
    expect![[r#""deny""#]].assert_eq(&audit("action=deny&since=2020-01-01&until=2100-01-01&", "action"));
    expect![""].assert_eq(&audit("until=2020-01-01&", "action"));
    expect![""].assert_eq(&audit("since=2100-01-01&", "action"));
    served.stop();
}

#[test]
fn a_run_is_cancelled_and_a_call_approved_over_http() {
    let model = reading();
    let home = Home::with_fake().asking(&model);
    home.write("environments/default/environment.yml", "tools: {approve: [read]}\n");
    home.agent("default", "reader", "tools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let start = || {
        let started = done(&post(&served, "/agents/reader/runs", &json!({ "task": "read it" })), 202);
        let run = started["run"]["id"].as_i64().unwrap();
        let status = || done(&get(&served, &format!("/runs/{run}")), 200)["run"]["status"].clone();
        until("it waits for a person", || status() == "waiting");
        run
    };
    let run = start();
    let waits = done(&get(&served, "/approvals"), 200);
    let approval = waits["approvals"][0]["id"].as_i64().unwrap();
    assert_eq!(waits["approvals"][0]["run_id"], run);
    let approved = done(&post(&served, &format!("/approvals/{approval}/approve"), &json!({})), 200);
    assert_eq!(approved["status"], "approved");
    let told = events(&get(&served, &format!("/runs/{run}/events")));
    assert_eq!(told.last().unwrap().2["status"], "completed");
    let again =
        done(&post(&served, &format!("/approvals/{approval}/deny"), &json!({ "reason": "late" })), 409);
    assert_eq!(again["error"]["kind"], "conflict");
    let run = start();
    let cancelled = done(&post(&served, &format!("/runs/{run}/cancel"), &json!({})), 200);
    assert_eq!(cancelled["run"]["status"], "cancelled");
    assert_eq!(post(&served, &format!("/runs/{run}/cancel"), &json!({})).status, 409);
}

#[test]
fn what_is_wrong_is_told_in_one_envelope() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let sent = [
        ("GET", "/agents/raeder", "", 404),
        ("GET", "/agents?environment=nowhere", "", 404),
        ("GET", "/agents?limit=0", "", 400),
        ("GET", "/agents?limt=3", "", 400),
        ("GET", "/agents?limit=3&limit=4", "", 400),
        ("GET", "/runs/x", "", 400),
        ("GET", "/runs/4711", "", 404),
        ("GET", "/runs/4711/events", "", 404),
        ("GET", "/runs?status=done", "", 400),
        ("GET", "/nothing", "", 404),
        ("GET", "/agents/%FF", "", 400),
        ("DELETE", "/agents", "", 405),
        ("POST", "/agents/reader/runs", "", 400),
        ("POST", "/agents/reader/runs", "[]", 400),
        ("POST", "/agents/reader/runs?environment=staging", "{\"task\": \"x\"}", 400),
        ("POST", "/agents/reader/runs", "{\"task\": \"x\", \"agent\": 7}", 400),
        ("POST", "/agents/reader/runs", "{\"task\": \"x\", \"colour\": 7}", 400),
        ("POST", "/agents/reader/runs", "{\"task\": \"x\", \"budget\": {\"money\": 1}}", 400),
        ("POST", "/agents/reader/runs", "{\"task\": \"x\", \"model\": \" \"}", 400),
        ("POST", "/runs/1/fork", "{\"model\": \"\"}", 400),
    ];
    let told: Vec<String> = sent
        .into_iter()
        .map(|(method, path, body, status)| {
            let answer = served.send_to(&format!("/api/v1{path}"), method, &[("x-request-id", "mine")], body);
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
            let error = answer.json()["error"].clone();
            assert_eq!(error["request_id"], "mine", "{method} {path}");
            format!(
                "{method} {path}: {}: {}",
                error["kind"].as_str().unwrap(),
                error["message"].as_str().unwrap()
            )
        })
        .collect();
    expect![[r#"
        GET /agents/raeder: not_found: agent `raeder` does not exist in environment `default`
        GET /agents?environment=nowhere: not_found: environment `nowhere` does not exist
        GET /agents?limit=0: invalid: `limit` must be a whole number from 1 to 1000
        GET /agents?limt=3: invalid: `limt` is no argument; did you mean `limit`?
        GET /agents?limit=3&limit=4: invalid: `limit` is given twice
        GET /runs/x: invalid: `x` is no number of a run
        GET /runs/4711: not_found: run 4711 does not exist
        GET /runs/4711/events: not_found: run 4711 does not exist
        GET /runs?status=done: invalid: `done` is no status of a run
        GET /nothing: not_found: there is nothing at this address
        GET /agents/%FF: invalid: the address has bytes that are no text
        DELETE /agents: invalid: DELETE is nothing that this address takes
        POST /agents/reader/runs: invalid: `task` is missing: What the agent is to do, in words
        POST /agents/reader/runs: invalid: the body is no JSON object: invalid type: sequence, expected a map at line 1 column 0
        POST /agents/reader/runs?environment=staging: invalid: `environment` stands in the query, where a POST has nothing
        POST /agents/reader/runs: invalid: `agent` is given twice
        POST /agents/reader/runs: invalid: `colour` is nothing that `start_run` takes
        POST /agents/reader/runs: invalid: `budget.money` is no limit: there are tokens, usd, calls, time
        POST /agents/reader/runs: invalid: the model's name is empty
        POST /runs/1/fork: invalid: the model's name is empty"#]].assert_eq(&told.join("\n"));
    // A name of one's own, where nobody gives one.
    assert!(get(&served, "/agents").head.contains("x-request-id: 0"));
    let document = done(&get(&served, "/openapi.json"), 200);
    assert_eq!(document["openapi"], "3.1.1");
    // The door's own rule holds here too.
    let foreign = served.send_to("/api/v1/agents", "GET", &[("host", "example.com")], "");
    assert_eq!((foreign.status, &foreign.json()["error"]["kind"]), (403, &json!("forbidden")));
    let wrong = served.send_to("/api/v1/agents", "GET", &[("authorization", "Bearer x")], "");
    assert_eq!((wrong.status, &wrong.json()["error"]["kind"]), (401, &json!("unauthenticated")));
    let text = served.send_to("/api/v1/runs/1/cancel", "POST", &[("content-type", "text/plain")], "{}");
    assert_eq!((text.status, &text.json()["error"]["kind"]), (415, &json!("invalid")));
}

#[test]
fn a_text_that_no_store_can_hold_is_refused_and_leaves_no_file_that_stops_the_others() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let reader = home.read("environments/default/agents/reader.prompt");
    for (path, body) in [
        ("/agents", json!({ "name": "brick", "description": "a\u{0}b", "prompt": "p" })),
        ("/agents", json!({ "name": "brick", "description": "d", "prompt": "a\u{0}b" })),
        (
            "/environments/default/agents/import",
            json!({ "definition": "---\nmetadata:\n  name: brick\n---\n\u{0}" }),
        ),
        ("/environments", json!({ "name": "bricks", "description": "a\u{0}b" })),
        ("/servers", json!({ "name": "brick", "definition": { "command": "a\u{0}b" } })),
    ] {
        let answer = post(&served, path, &body);
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.body);
        assert!(answer.body.contains("NUL character"), "{path} {body}: {}", answer.body);
    }
    let changed =
        served.send_to("/api/v1/agents/reader", "PATCH", &[], &json!({ "prompt": "a\u{0}b" }).to_string());
    assert_eq!(changed.status, 400, "{}", changed.body);
    assert_eq!(home.read("environments/default/agents/reader.prompt"), reader);
    for file in
        ["default/agents/brick.prompt", "default/mcp-servers/brick.json", "default/brick.json", "bricks"]
    {
        assert!(!home.config(&format!("environments/{file}")).exists(), "{file}");
    }
    // One that an editor wrote refuses itself, and its siblings go on.
    home.write(
        "environments/default/agents/brick.prompt",
        "---\nmetadata:\n  description: \"a\\0b\"\n---\np\n",
    );
    let run = done(&post(&served, "/agents/reader/runs", &json!({ "task": "read notes.txt" })), 202);
    assert_eq!(run["run"]["agent"], "reader", "{run}");
    let synced = home.stn(&["sync", "default"]);
    assert_eq!(synced.code, Some(4), "{}", synced.shown());
    let sentence = "agents/brick.prompt:3:16: `metadata.description` holds a NUL character (U+0000)";
    assert!(synced.stderr.contains(sentence), "{}", synced.stderr);
}

#[test]
fn a_run_for_which_the_queue_has_no_room_is_refused_and_taken_when_it_is_sent_again() {
    let home = Home::new();
    let gate = home.work("gate");
    let file = json!({ "file": gate }).to_string();
    let model = OpenAi::from_fn(move |seen| match seen.results().len() {
        0 => openai::calls([("hang", file.as_str())]),
        _ => openai::reply("done"),
    });
    let home = home.asking(&model);
    home.stn(&["init", "--yes"]).done();
    home.write("config.yaml", &(home.read("config.yaml") + "execution: {workers: 1, queue: 1}\n"));
    home.server("default", "fake", &["--log", "/dev/null"]);
    home.agent("default", "waiter", "tools: [hang]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let start = |task: &str| {
        let body = json!({ "task": task }).to_string();
        served.send_to("/api/v1/agents/waiter/runs", "POST", &[("idempotency-key", task)], &body)
    };
    done(&start("one"), 202);
    until("it has the slot", || done(&get(&served, "/runs/1"), 200)["run"]["status"] == "running");
    done(&start("two"), 202);
    for refused in [start("three"), start("three")] {
        let error = done(&refused, 503)["error"].clone();
        assert_eq!((&error["kind"], &error["retry_after_s"]), (&json!("busy"), &json!(5)), "{error}");
        assert_eq!(error["message"], "the queue is full: 1 run waits");
        assert!(refused.head.lines().any(|line| line == "retry-after: 5"), "{}", refused.head);
        assert_eq!(done(&get(&served, "/runs"), 200)["count"], 2);
    }
    std::fs::write(&gate, "").unwrap();
    until("there is room", || done(&get(&served, "/runs?open=true"), 200)["count"] == 0);
    assert_eq!(done(&start("three"), 202)["run"]["id"], 3);
    served.stop();
}
