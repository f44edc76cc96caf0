//! `/health` and `/ready` of the real `stn serve`: for whoever keeps it running, and sends it work.

use crate::home::{Home, Process};
use crate::http::Served;
use crate::watch::{log, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use station_testkit::openai::{self, OpenAi};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

fn get(port: u16, path: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: pod-7\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or(Value::Null))
}

/// Fault 1 of the Go program: nothing listens until every tool server has started.
#[test]
fn a_tool_server_that_never_answers_keeps_nobody_from_hearing_that_station_works() {
    let home = Home::with_init();
    let pids = home.work("pids");
    home.server("default", "mute", &["--silent", "--pids", pids.to_str().unwrap()]);
    let served = Served::start(&home);
    let (status, _, told) = get(served.port, "/health");
    assert_eq!((status, told), (200, json!({ "status": "ok" })));
    until("it is ready", || get(served.port, "/ready").0 == 200);
    let checks = json!({ "database": true, "key": true, "migrations": true, "workers": true });
    assert_eq!(get(served.port, "/ready").2, json!({ "status": "ready", "checks": checks }));
    assert!(!pids.exists(), "no tool server is started for it");
    served.stop();
}

#[test]
fn a_database_that_does_not_answer_is_named_by_ready_and_health_is_well() {
    // It takes connections in, as the system does for it, and never says a word.
    let mute = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("postgres://station@127.0.0.1:{}/station", mute.local_addr().unwrap().port());
    let home = Home::new().set("STATION_DATABASE", &url);
    let mut child = home.start(&["serve"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let _process = Process(Some(child));
    let port = lines
        .find_map(|line| line.split_once("127.0.0.1:")?.1.split(':').next()?.trim().parse().ok())
        .unwrap();
    assert_eq!(get(port, "/health").0, 200);
    let (status, head, told) = get(port, "/ready");
    assert_eq!(status, 503);
    assert!(head.contains("retry-after: 1"), "{head}");
    let missing = json!(["database", "migrations", "key", "workers"]);
    assert_eq!(told, json!({ "status": "starting", "missing": missing }));
    assert_eq!(get(port, "/mcp").0, 503);
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
    until("it says that it stops", || get(served.port, "/ready").2 == json!({ "status": "draining" }));
    assert_eq!((get(served.port, "/ready").0, get(served.port, "/health").0), (503, 200));
    assert_eq!(get(served.port, "/mcp").0, 503);
}
