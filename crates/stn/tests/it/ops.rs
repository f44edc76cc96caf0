//! `/health`, `/ready`, `/metrics` and the log of the real `stn serve`: for whoever keeps it running, and sends it work.

use crate::home::{Home, reading};
use crate::http::{Answer, Served};
use crate::watch::{log, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use station_testkit::openai::{self, OpenAi};
use station_testkit::postgres::cluster;
use std::net::TcpListener;

/// As a probe asks that knows the process by another name.
fn get(served: &Served, path: &str) -> Answer {
    served.send_to(path, "GET", &[("host", "pod-7")], "")
}

/// Fault 1 of the Go program: nothing listens until every tool server has started.
#[test]
fn a_tool_server_that_never_answers_keeps_nobody_from_hearing_that_station_works() {
    let home = Home::with_init();
    let pids = home.work("pids");
    home.server("default", "mute", &["--silent", "--pids", pids.to_str().unwrap()]);
    let served = Served::start(&home);
    let health = get(&served, "/health");
    assert_eq!((health.status, health.json()), (200, json!({ "status": "ok" })));
    until("it is ready", || get(&served, "/ready").status == 200);
    let checks = json!({ "database": true, "key": true, "migrations": true, "workers": true });
    assert_eq!(get(&served, "/ready").json(), json!({ "status": "ready", "checks": checks }));
    assert!(!pids.exists(), "no tool server is started for it");
    // Every answer tells browsers the same, also one that says no.
    for path in ["/health", "/api/v1/agents", "/api/v1/nothing", "/mcp"] {
        let head = get(&served, path).head;
        for told in [
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'",
        ] {
            assert!(head.contains(told), "{path}: {head}");
        }
        assert!(!head.contains("access-control-allow"), "{path}: {head}");
    }
    served.stop();
}

#[test]
fn a_database_that_does_not_answer_is_named_by_ready_and_health_is_well() {
    // It takes connections in, as the system does for it, and never says a word.
    let mute = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("postgres://station@127.0.0.1:{}/station", mute.local_addr().unwrap().port());
    let home = Home::new().set("STATION_DATABASE", &url);
    let served = Served::listening(&home);
    assert_eq!(get(&served, "/health").status, 200);
    let ready = get(&served, "/ready");
    assert_eq!(ready.status, 503);
    assert!(ready.head.contains("retry-after: 1"), "{}", ready.head);
    let missing = json!(["database", "migrations", "key", "workers"]);
    assert_eq!(ready.json(), json!({ "status": "starting", "missing": missing }));
    assert_eq!(get(&served, "/mcp").status, 503);
}

#[test]
fn what_alone_is_missing_is_what_ready_names() {
    let url = cluster().database();
    let home = Home::new().set("STATION_DATABASE", &url);
    home.stn(&["init", "--yes"]).done();
    let key = home.json(&["key", "status"])["key"]["id"].as_str().unwrap().to_owned();
    let served = Served::start(&home);
    let is_whole = || get(&served, "/ready").status == 200;
    let misses = |part: &str| {
        let expected = json!({ "status": "not_ready", "missing": [part] });
        until(part, || get(&served, "/ready").json() == expected);
        assert_eq!((get(&served, "/ready").status, get(&served, "/health").status), (503, 200), "{part}");
    };
    until("it is ready", is_whole);
    cluster().set_version(&url, 1);
    misses("migrations");
    // What a newer version has made more of is no matter.
    cluster().set_version(&url, 99);
    until("it is ready again", is_whole);
    cluster().set_key(&url, "another");
    misses("key");
    cluster().set_key(&url, &key);
    until("it is ready again", is_whole);
    served.stop();
}

#[test]
fn a_tool_server_that_was_found_broken_does_not_keep_it_from_being_ready() {
    let home = Home::with_init();
    let entry = json!({ "mcpServers": { "broken": { "command": "false" } } });
    home.write("environments/default/mcp-servers/broken.json", &entry.to_string());
    home.stn(&["sync", "--quiet"]);
    let server = home.json(&["mcp", "show", "broken"])["server"].clone();
    assert!(server["problem"].is_string(), "{server}");
    let served = Served::start(&home);
    until("it is ready", || get(&served, "/ready").status == 200);
    // Also after it was looked for once more, by the very process that answers.
    let looked = served.send_to("/api/v1/servers/broken/discover", "POST", &[], "{}");
    assert!(looked.body.contains("broken"), "{}", looked.body);
    let ready = get(&served, "/ready");
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("ready")), "{}", ready.body);
    served.stop();
}

#[test]
fn a_worker_that_was_told_to_stop_says_so_while_a_call_is_out() {
    let model = OpenAi::from_fn(|_| openai::calls([("hang", "{}")]));
    let home = Home::with_init().asking(&model);
    let called = home.work("called");
    home.server("default", "fake", &["--log", called.to_str().unwrap()]);
    home.agent("default", "stuck", "tools: [hang]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    home.stn(&["agent", "run", "stuck", "go", "--detach", "--quiet"]).done();
    until("the call has arrived", || log(&called).iter().any(|it| it["tool"] == "hang"));
    served.signal(Signal::SIGTERM);
    until("it says that it stops", || get(&served, "/ready").json() == json!({ "status": "draining" }));
    assert_eq!((get(&served, "/ready").status, get(&served, "/health").status), (503, 200));
    assert_eq!(get(&served, "/mcp").status, 503);
}

/// A Station that has one finished run of a real tool server, started by a request with this `traceparent`.
fn after_a_run(model: &OpenAi, set: &[(&str, &str)], trace: &str) -> (Home, Served) {
    let mut home = Home::with_fake().asking(model);
    home.server("default", "fake", &["--log", home.work("called").to_str().unwrap()]);
    for (name, value) in set {
        home = home.set(name, value);
    }
    home.agent("default", "reader", "tools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let task = json!({ "task": "read it" }).to_string();
    let key = home.read("api-token");
    let bearer = format!("Bearer {}", key.trim());
    let headers = [("authorization", &*bearer), ("traceparent", trace)];
    let started = served.send_to("/api/v1/agents/reader/runs", "POST", &headers, &task);
    assert_eq!(started.status, 202, "{}", started.body);
    assert!(started.head.contains("x-request-id: "), "{}", started.head);
    until("it has ended", || home.json(&["runs", "list"])["runs"][0]["status"] == "completed");
    (home, served)
}

#[test]
fn metrics_tell_what_was_done_and_each_of_them_what_it_means() {
    let model = reading();
    let (_home, served) = after_a_run(&model, &[], "");
    let metrics = served.send_to("/metrics", "GET", &[], "");
    assert_eq!(metrics.status, 200, "{}", metrics.body);
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    let value = |series: &str| {
        let line = metrics.body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series}\n{}", metrics.body)).parse::<f64>().unwrap()
    };
    let is_about = |found: f64, expected: f64| assert!((found - expected).abs() < 0.5, "{found} {expected}");
    is_about(value("station_agents_total"), 1.0);
    is_about(value("station_mcp_servers_total"), 1.0);
    is_about(value("station_execution_queue_size"), 0.0);
    is_about(value(r#"station_agent_runs_total{environment="default",status="completed"}"#), 1.0);
    is_about(value(r#"station_agent_execution_duration_seconds_count{status="completed"}"#), 1.0);
    is_about(
        value(r#"station_mcp_request_duration_seconds_count{method="tools/call",outcome="answered"}"#),
        1.0,
    );
    is_about(value(r#"station_tool_call_duration_seconds_count{outcome="answered"}"#), 1.0);
    is_about(
        value(r#"station_model_request_duration_seconds_count{provider="openai",outcome="answered"}"#),
        2.0,
    );
    assert!(value(r#"station_database_query_duration_seconds_count{operation="commit"}"#) > 0.5);
    let route = "/api/v1/agents/{agent}/runs";
    is_about(
        value(&format!(
            r#"station_http_request_duration_seconds_count{{method="POST",route="{route}",status="202"}}"#
        )),
        1.0,
    );
    // What `promtool check metrics` asks of each: a help and a type before its first sample, and no second of either.
    let (mut helped, mut typed) = (Vec::new(), Vec::new());
    for line in metrics.body.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped.push(rest.split(' ').next().unwrap());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed.push(rest.split(' ').next().unwrap());
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let of = |end: &str| name.strip_suffix(end).unwrap_or(name);
            let bases = [name, of("_bucket"), of("_sum"), of("_count")];
            assert!(bases.iter().any(|base| helped.contains(base) && typed.contains(base)), "{line}");
        }
    }
    for names in [&mut helped, &mut typed] {
        let told = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), told);
    }
}

/// The ten names of the architecture document, of a Station that has done nothing: what comes later is an increase.
#[test]
fn a_fresh_station_tells_every_name_of_the_document_and_zero_failures() {
    let home = Home::with_fake();
    let served = Served::start(&home);
    let metrics = served.send_to("/metrics", "GET", &[], "").body;
    let has = |series: &str| metrics.lines().any(|line| line.starts_with(series));
    for name in [
        "station_agents_total ",
        "station_agent_runs_total{",
        "station_mcp_servers_total ",
        "station_execution_queue_size ",
        "station_agent_execution_duration_seconds_count{",
        "station_mcp_request_duration_seconds_count{",
        "station_database_query_duration_seconds_count{",
        "station_agent_execution_errors_total{",
        "station_mcp_connection_errors_total{",
        "station_database_errors_total{",
    ] {
        assert!(has(name), "{name}\n{metrics}");
    }
    for zero in [
        r#"station_agent_runs_total{environment="default",status="failed"} 0"#,
        r#"station_agent_execution_errors_total{environment="default",failure="model"} 0"#,
        r#"station_mcp_connection_errors_total{server="fake",error="connect"} 0"#,
        r#"station_mcp_connection_errors_total{server="fake",error="lost"} 0"#,
        r#"station_database_errors_total{operation="commit",error="full"} 0"#,
    ] {
        assert!(has(zero), "{zero}\n{metrics}");
    }
}

#[test]
fn metrics_that_were_asked_for_through_a_proxy_need_an_administrator() {
    let home = Home::with_init();
    let key = |name: &str, role: &str| {
        let made = home.json(&["user", "create", name, "--role", role]);
        made["secret"].as_str().unwrap().to_owned()
    };
    let (admin, viewer) = (key("ann", "admin"), key("vic", "viewer"));
    let served = Served::start(&home);
    let ask = |headers: &[(&str, &str)]| served.send_to("/metrics", "GET", headers, "").status;
    assert_eq!(ask(&[]), 200);
    let proxied = ("x-forwarded-for", "203.0.113.9");
    assert_eq!(ask(&[proxied]), 401);
    // A name that leads here, of a page in a browser on this machine or of a proxy that says no more.
    assert_eq!(ask(&[("host", "station.example.com")]), 401);
    assert_eq!(ask(&[proxied, ("authorization", &format!("Bearer {viewer}"))]), 403);
    assert_eq!(ask(&[proxied, ("authorization", &format!("Bearer {admin}"))]), 200);
    assert_eq!(ask(&[("authorization", "Bearer stn_wrong")]), 401);
}

#[test]
fn metrics_at_an_address_that_others_reach_need_an_administrator() {
    let home = Home::with_init().set("STN_API_HOST", "0.0.0.0");
    let keys = ["admin", "user", "viewer"].map(|role| home.key_of(&format!("{role}s"), &["--role", role]));
    let served = Served::start(&home);
    assert_eq!(served.send_to("/metrics", "GET", &[], "").status, 401, "nobody is known by its socket there");
    let asked = keys.each_ref().map(|key| served.send_as(key, "/metrics", "GET", ""));
    assert_eq!(asked.each_ref().map(|answer| answer.status), [200, 403, 403]);
    assert!(asked[0].body.contains("station_agents_total"), "{}", asked[0].body);
    assert!(asked[1..].iter().all(|answer| !answer.body.contains("station_agents_total")));
    for path in ["/health", "/ready"] {
        assert_eq!(get(&served, path).status, 200, "{path}");
    }
    served.stop();
}

#[test]
fn whoever_comes_through_a_proxy_on_this_machine_is_not_its_administrator() {
    let home = Home::with_init();
    let served = Served::start(&home);
    let ask = |headers: &[(&str, &str)]| served.send_to("/api/v1/caller", "GET", headers, "").status;
    assert_eq!(ask(&[]), 200);
    for header in ["x-forwarded-for", "x-real-ip", "forwarded", "via"] {
        assert_eq!(ask(&[(header, "203.0.113.9")]), 401, "{header}");
    }
}

#[test]
fn a_credential_beside_another_is_not_judged_by_the_first() {
    let home = Home::with_init();
    let served = Served::start(&home);
    let token = format!("Bearer {}", home.read("api-token").trim());
    let ask = |headers: &[(&str, &str)]| served.send_to("/api/v1/caller", "GET", headers, "");
    assert_eq!(ask(&[("authorization", &token)]).status, 200);
    for two in [[&*token, "Bearer stn_wrong"], ["Bearer stn_wrong", &*token]] {
        let answer = ask(&two.map(|value| ("authorization", value)));
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains("the header `authorization` stands twice"), "{}", answer.body);
    }
    assert_eq!(ask(&[("authorization", &token), ("host", "127.0.0.1"), ("host", "elsewhere")]).status, 400);
}

#[test]
fn a_log_for_machines_has_one_object_on_each_line_and_says_what_it_belongs_to() {
    let model = reading();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let (home, served) =
        after_a_run(&model, &[("STN_LOG_FORMAT", "json"), ("STN_LOG_LEVEL", "info")], &parent);
    let run = home.json(&["runs", "list"])["runs"][0]["id"].to_string();
    let lines = || -> Vec<Value> {
        let read = |line: &String| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        served.told().iter().map(read).collect()
    };
    until("the run's end is told", || lines().iter().any(|line| line["message"] == "a run has ended"));
    let lines = lines();
    assert!(lines.iter().any(|line| line["message"].as_str().unwrap().starts_with("Working with")));
    let end = lines.iter().find(|line| line["message"] == "a run has ended").unwrap();
    assert_eq!((&end["level"], &end["status"]), (&json!("INFO"), &json!("completed")));
    let spans = end["spans"].as_array().unwrap();
    assert!(spans.iter().any(|span| span["name"] == "run" && span["run"] == *run), "{end}");
    // One id finds all of it: in the log, at the tool's server and at the model's provider.
    assert!(spans.iter().any(|span| span["name"] == "run" && span["trace_id"] == trace), "{end}");
    let called = log(&home.work("called"));
    let at_tool = called.iter().find(|call| call["tool"] == "read").unwrap()["trace"].as_str().unwrap();
    let requests = model.requests();
    let mut at_model = requests.iter().map(|request| request.headers["traceparent"].as_str());
    assert!(at_tool.starts_with(&format!("00-{trace}-")) && at_tool != parent, "{at_tool}");
    assert!(at_model.all(|it| it.starts_with(&format!("00-{trace}-")) && it != parent));
    served.stop();
}

#[test]
fn levels_of_the_log_are_read_again_at_sighup_and_stay_where_they_make_no_sense() {
    let home = Home::with_init();
    let served = Served::start(&home);
    let told = |text: &str| served.told().iter().any(|line| line.contains(text));
    home.stn(&["settings", "set", "log_level", "warn,station_engine=trace"]).done();
    served.signal(Signal::SIGHUP);
    until("it is heard", || told("station_engine=trace"));
    // By hand: it is not set so.
    let config = home.read("config.yaml");
    home.write("config.yaml", &config.replace("station_engine=trace", "station_engine=loud"));
    served.signal(Signal::SIGHUP);
    until("it is refused", || {
        told("the log stays as it is: `warn,station_engine=loud` in config.yaml says no levels")
    });
    served.stop();
}
