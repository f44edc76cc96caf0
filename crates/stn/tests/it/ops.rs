//! `/health` and `/ready` of the real `stn serve`: for whoever keeps it running, and sends it work.

use crate::home::Home;
use crate::http::{Answer, Served};
use crate::watch::{log, until};
use nix::sys::signal::Signal;
use serde_json::json;
use station_testkit::openai::{self, OpenAi};
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
