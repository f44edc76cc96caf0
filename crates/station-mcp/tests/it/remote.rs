//! Remote servers: the client against a fake one over HTTP, in every era and transport, well-behaved and not.

use crate::hostile::odd_answers;
use crate::{PATIENCE, call, effect, lines, nothing, object, text, until};
use serde_json::{Value, json};
use station_core::run::Why;
use station_core::{Definition, Era};
use station_mcp::{Bearer, CallEnd, Connection, Launch, Shim, connect};
use station_testkit::fake_server::{self, Remote};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// A remote server with its log and trace in a folder of its own.
struct Far {
    folder: TempDir,
    server: Remote,
    launch: Launch,
}

impl Far {
    fn new(options: &[&str]) -> Self {
        Self::at("/mcp", options)
    }

    fn at(path: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut args: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        for (option, file) in [("--log", "log"), ("--trace", "trace"), ("--forget", "forget")] {
            args.extend([option.to_owned(), folder.path().join(file).display().to_string()]);
        }
        let server = Remote::start(folder.path(), &args);
        let launch = Launch {
            handed: None,
            server: "far".to_owned(),
            definition: Definition::Http {
                url: server.url(path),
                headers: BTreeMap::from([("X-Key".to_owned(), "sk-very-secret".to_owned())]),
                filled: Vec::new(),
            },
            shim: Shim { program: fake_server::shim(), args: Vec::new() },
            inherited: BTreeMap::new(),
            child_env: Vec::new(),
            confine: crate::confine(station_core::sandbox::Sandbox::default()),
            folder: folder.path().to_owned(),
            era: None,
            connect_timeout: PATIENCE,
            output_bytes_max: 1_000_000,
            answers: station_core::answers::Answers::default(),
            bearer: Bearer::default(),
            asks: station_mcp::Asks::default(),
            news: tokio::sync::watch::Sender::new(0),
        };
        Self { folder, server, launch }
    }

    fn seen(mut self, era: Era) -> Self {
        self.launch.era = Some(era);
        self
    }

    async fn connect(&self) -> Connection {
        install_tls();
        connect(self.launch.clone()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn refusal(&self) -> String {
        install_tls();
        connect(self.launch.clone()).await.expect_err("this server cannot be connected to").sentence
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trace(&self) -> Vec<Value> {
        lines(&self.file("trace")).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What it was sent: methods, and verbs where there is none.
    fn methods(&self) -> Vec<String> {
        let name =
            |line: &Value| line["method"].as_str().or(line["http"]["verb"].as_str()).map(str::to_owned);
        self.trace().iter().filter_map(name).collect()
    }

    fn calls(&self) -> usize {
        lines(&self.file("log")).len()
    }
}

/// What `main` does in `stn`.
fn install_tls() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

#[tokio::test]
async fn a_remote_server_is_greeted_in_the_era_and_transport_it_speaks() {
    const INITIALIZED: &[&str] = &["initialize", "notifications/initialized"];
    let check = async |far: Far, era: Era, greetings: &[&str]| {
        let connection = far.connect().await;
        assert_eq!(connection.era(), era);
        assert_eq!(text(&connection, "echo", json!({ "text": "hello" })).await, "hello");
        assert_eq!(connection.list(PATIENCE).await.unwrap().tools[0].name, "echo");
        assert!(connection.answers(PATIENCE).await);
        connection.close().await;
        let methods = far.methods();
        assert_eq!(&methods[..greetings.len()], greetings, "{methods:?}");
    };
    for reply in [&[][..], &["--reply-sse"]] {
        let new = |options: &[&str]| Far::new(&[options, reply].concat());
        check(new(&["--era", "modern"]), Era::Modern, &["server/discover", "tools/call"]).await;
        check(new(&["--era", "both"]), Era::Modern, &["server/discover", "tools/call"]).await;
        let probed = [&["server/discover"], INITIALIZED].concat();
        check(new(&["--era", "legacy"]), Era::Legacy, &probed).await;
        check(new(&["--era", "legacy", "--sessions"]), Era::Legacy, &probed).await;
        check(new(&["--era", "legacy", "--sessions"]).seen(Era::Legacy), Era::Legacy, INITIALIZED).await;
        // It was updated since.
        let updated = ["initialize", "server/discover", "tools/call"];
        check(new(&["--era", "modern"]).seen(Era::Legacy), Era::Modern, &updated).await;
    }
    let old =
        ["server/discover", "initialize", "GET", "initialize", "notifications/initialized", "tools/call"];
    check(Far::at("/sse", &["--old-http", "--era", "legacy"]), Era::Legacy, &old).await;
    check(Far::at("/sse", &["--old-http", "--era", "legacy"]).seen(Era::Legacy), Era::Legacy, &old[1..])
        .await;
}

#[tokio::test]
async fn every_request_says_what_its_era_demands() {
    for (era, expected) in [
        ("modern", [Some("2026-07-28"), Some("tools/call"), Some("write"), None]),
        ("legacy", [Some("2025-11-25"), None, None, Some("session-0")]),
    ] {
        let far = Far::new(&["--era", era, "--sessions"]);
        let connection = far.connect().await;
        let id = effect();
        connection.call("write", object(json!({ "text": "x" })), id, PATIENCE).await;
        connection.close().await;
        let trace = far.trace();
        let sent = trace.iter().find(|line| line["method"] == "tools/call").unwrap();
        let headers = &sent["http"]["headers"];
        let names = ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"];
        assert_eq!(names.map(|name| headers[name].as_str()), expected, "{era}");
        assert_eq!(headers["x-key"], "sk-very-secret");
        assert_eq!(sent["params"]["_meta"]["station/effect-id"], id.to_string());
        // A session is told that it is over.
        assert_eq!(far.methods().last().unwrap() == "DELETE", era == "legacy", "{:?}", far.methods());
    }
}

#[tokio::test]
async fn a_cut_stream_is_taken_up_where_it_was_cut_and_the_call_is_sent_once() {
    for era in ["modern", "legacy"] {
        let far = Far::new(&["--era", era, "--reply-sse", "--cut", "--sessions"]);
        let connection = far.connect().await;
        assert_eq!(text(&connection, "write", json!({ "text": "four" })).await, "4 bytes kept");
        let resumed = far.trace().iter().any(|line| line["http"]["headers"]["last-event-id"].is_string());
        assert_eq!((resumed, far.calls()), (true, 1), "{era}");
        connection.close().await;
    }
}

#[tokio::test]
async fn a_written_call_without_an_answer_is_unknown_and_never_sent_again() {
    let check = async |options: &[&str], code: u16, expected: &str| {
        let far = Far::new(options);
        let connection = far.connect().await;
        let end = call(&connection, "status", json!({ "code": code })).await;
        let said = match end {
            CallEnd::Unknown { why: Why::ConnectionLost, sentence } => format!("unknown: {sentence}"),
            CallEnd::Returned { text, is_error: true, .. } => format!("error: {text}"),
            other => panic!("{code} ended as {other:?}"),
        };
        assert!(said.starts_with(expected), "{code}: {said}");
        assert_eq!(far.calls(), 1, "{code}");
        // The connection goes on.
        assert_eq!(text(&connection, "echo", json!({ "text": "on" })).await, "on");
        connection.close().await;
    };
    for era in ["modern", "legacy"] {
        let options = ["--era", era];
        check(&options, 0, "unknown: server `far` broke the connection off: ").await;
        check(&options, 502, "unknown: server `far` answered HTTP 502 Bad Gateway and no result").await;
        check(&options, 202, "unknown: server `far` answered HTTP 202 with `text/html`, and no result").await;
        check(&options, 200, "unknown: server `far` answered HTTP 200 with `text/html`, and no result").await;
        check(&options, 307, "unknown: server `far` answered HTTP 307").await;
        check(&options, 429, "error: server `far` answered HTTP 429 Too Many Requests").await;
    }
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_a_call_leaves_it_unknown_and_the_next_one_unsent() {
    for options in [&["--era", "modern"][..], &["--era", "legacy", "--reply-sse"], &["--old-http"]] {
        let path = if options == ["--old-http"] { "/sse" } else { "/mcp" };
        let far = Far::at(path, options);
        let connection = far.connect().await;
        let end = call(&connection, "crash", nothing()).await;
        assert!(matches!(end, CallEnd::Unknown { why: Why::ConnectionLost, .. }), "{options:?}: {end:?}");
        // The pool asks before it trusts a connection that let a call down. Each question may use up one of the idle
        // sockets on which nobody has noticed the end yet.
        for _ in 0..5 {
            assert!(!connection.answers(PATIENCE).await);
        }
        let end = call(&connection, "write", json!({ "text": "x" })).await;
        let CallEnd::NotSent { sentence } = end else { panic!("{options:?}: {end:?}") };
        assert!(sentence.starts_with("server `far` "), "{sentence}");
        assert_eq!(far.calls(), 1);
        connection.close().await;
    }
}

#[tokio::test]
async fn a_call_that_met_a_forgotten_session_was_not_sent_and_the_session_is_not_used_again() {
    let far = Far::new(&["--era", "legacy", "--sessions"]);
    let connection = far.connect().await;
    std::fs::write(far.file("forget"), "").unwrap();
    let end = call(&connection, "write", json!({ "text": "x" })).await;
    let CallEnd::NotSent { sentence } = end else { panic!("{end:?}") };
    assert!(sentence.ends_with("its session had ended, and the request was not carried out"), "{sentence}");
    assert!(connection.is_closed());
    let end = call(&connection, "write", json!({ "text": "x" })).await;
    assert_eq!(end, CallEnd::NotSent { sentence: "server `far` ended its session".to_owned() });
    connection.close().await;
    let again = far.connect().await;
    assert_eq!(text(&again, "echo", json!({ "text": "anew" })).await, "anew");
    assert_eq!(far.calls(), 1);
    again.close().await;
}

#[tokio::test]
async fn a_call_nobody_waits_for_is_cancelled_at_the_server() {
    for (options, sign) in [
        (&["--era", "modern"][..], "(hung up)"),
        (&["--era", "modern", "--reply-sse"], "(hung up)"),
        (&["--era", "legacy", "--sessions"], "notifications/cancelled"),
    ] {
        let far = Far::new(options);
        let connection = far.connect().await;
        let end = connection.call("hang", object(nothing()), effect(), Duration::from_millis(200)).await;
        let sentence = "server `far` did not answer within 200ms".to_owned();
        assert_eq!(end, CallEnd::Unknown { why: Why::TimedOut, sentence });
        until("the cancellation", || far.methods().contains(&sign.to_owned()).then_some(())).await;
        assert_eq!(text(&connection, "echo", json!({ "text": "still here" })).await, "still here");
        connection.close().await;
    }
}

#[tokio::test]
async fn what_a_server_asks_of_its_first_call_over_its_own_stream_is_not_lost() {
    let far = Far::new(&["--era", "legacy", "--sessions"]);
    let connection = far.connect().await;
    assert_eq!(text(&connection, "echo", json!({ "text": "first" })).await, "first");
    let seen: Vec<String> = far
        .trace()
        .iter()
        .filter(|line| line["http"]["verb"] == "GET" || line["method"] == "tools/call")
        .map(|line| line["http"]["verb"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(seen, ["GET", "POST"]);
    connection.close().await;
}

#[tokio::test]
async fn a_redirect_is_followed_by_a_greeting_within_its_origin_and_by_nothing_else() {
    let far = Far::new(&["--era", "modern", "--redirect-to", "/moved/?x=1"]);
    let refused = far.refusal().await;
    assert_eq!(refused, "server `far` answered HTTP 404 Not Found: check the `url` of its entry");
    let far = Far::new(&["--era", "modern", "--redirect-to", "/moved"]);
    let connection = far.connect().await;
    assert_eq!(text(&connection, "echo", json!({ "text": "here" })).await, "here");
    connection.close().await;

    let other = Far::new(&["--era", "modern"]);
    let far = Far::new(&["--redirect-to", &other.server.url("/mcp")]);
    let refused = far.refusal().await;
    assert!(
        refused.contains("which is not followed, because its headers are not meant for that"),
        "{refused}"
    );
    assert_eq!(other.trace().len(), 0, "nothing reached it");
    let strays = Far::at("/sse", &["--old-http", "--strays"]).refusal().await;
    assert!(!strays.is_empty());
}

#[tokio::test]
async fn a_remote_server_that_cannot_be_connected_to_says_why_and_tells_no_secret() {
    let mut far = Far::new(&["--need-header", "X-Key=another"]);
    let refused = far.refusal().await;
    assert_eq!(refused, "server `far` answered HTTP 401 Unauthorized: it asks for a login");
    far.server.kill();
    let refused = far.refusal().await;
    assert!(refused.starts_with("server `far` cannot be reached: Connection refused"), "{refused}");
    let mut silent = Far::new(&[]);
    silent.launch.connect_timeout = Duration::from_millis(300);
    if let Definition::Http { url, .. } = &mut silent.launch.definition {
        // A listener that accepts and says nothing.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        *url = format!("http://{}/mcp?key=sk-very-secret", listener.local_addr().unwrap());
        let refused = {
            install_tls();
            connect(silent.launch.clone()).await.unwrap_err().sentence
        };
        assert_eq!(refused, "server `far` did not answer within 300ms");
    }
}

#[tokio::test]
async fn a_changed_list_is_heard_from_afar() {
    for options in [&["--era", "legacy", "--sessions"][..], &["--era", "modern"]] {
        let far = Far::new(&[options, &["--list-changed-after-call"]].concat());
        let connection = far.connect().await;
        let mut changed = connection.list_changed();
        let listens =
            |line: &Value| line["http"]["verb"] == "GET" || line["method"] == "subscriptions/listen";
        until("the stream", || far.trace().iter().any(listens).then_some(())).await;
        // The stream may be noted a moment before it is listened to: one of the calls is heard.
        for _ in 0..20 {
            text(&connection, "pid", nothing()).await;
            if tokio::time::timeout(Duration::from_millis(250), changed.wait_for(|n| *n > 0)).await.is_ok() {
                break;
            }
        }
        assert!(*changed.borrow() > 0, "{options:?}");
        connection.close().await;
    }
}

#[tokio::test]
async fn a_stream_of_changes_that_was_cut_is_opened_anew() {
    let far = Far::new(&["--era", "modern", "--list-changed-after-call"]);
    let connection = far.connect().await;
    let mut changed = connection.list_changed();
    let streams = || far.trace().iter().filter(|line| line["method"] == "subscriptions/listen").count();
    until("the stream", || (streams() == 1).then_some(())).await;
    // The stream may be noted a moment before it is listened to: what is heard over it says that it is.
    for _ in 0..20 {
        text(&connection, "pid", nothing()).await;
        if tokio::time::timeout(Duration::from_millis(250), changed.wait_for(|n| *n > 0)).await.is_ok() {
            break;
        }
    }
    let before = *changed.borrow();
    assert_eq!(text(&connection, "cut_listeners", nothing()).await, "cut");
    until("another stream", || (streams() == 2).then_some(())).await;
    // What was said meanwhile nobody heard: the lists may have changed.
    changed.wait_for(|n| *n > before).await.unwrap();
    connection.close().await;
}

#[tokio::test]
async fn a_remote_server_that_misbehaves_is_survived() {
    for era in ["modern", "legacy"] {
        let far = Far::new(&["--era", era, "--reply-sse"]);
        let connection = far.connect().await;
        assert_eq!(text(&connection, "twice", nothing()).await, "first");
        for method in [
            "notifications/progress",
            "notifications/message",
            "notifications/tools/list_changed",
            "roots/list",
        ] {
            let flood = json!({ "count": 20_000, "method": method });
            assert_eq!(text(&connection, "flood", flood).await, "flooded", "{method}");
        }
        let end = call(&connection, "big", json!({ "bytes": 17 * 1024 * 1024 })).await;
        let sentence = "server `far` sent an event longer than 16 MiB".to_owned();
        assert_eq!(end, CallEnd::Unknown { why: Why::ConnectionLost, sentence });
        let end = call(&connection, "big", json!({ "bytes": 2_000_000 })).await;
        assert!(matches!(end, CallEnd::Returned { cut_bytes: 1_000_000, .. }), "the rest is left out");
        assert_eq!(text(&connection, "echo", json!({ "text": "on" })).await, "on");
        connection.close().await;
    }
}

#[tokio::test]
async fn an_odd_answer_from_afar_is_read_as_far_as_it_can_be_and_never_waited_for() {
    for reply in [&[][..], &["--reply-sse"]] {
        let far = Far::new(&[&["--era", "modern"], reply].concat());
        let connection = far.connect().await;
        for mark in ["", "\u{feff}"] {
            for (answer, expected) in odd_answers() {
                let end = call(&connection, "say", json!({ "answer": format!("{mark}{answer}") })).await;
                let CallEnd::Returned { text, .. } = end else { panic!("{answer:.200}: {end:?}") };
                assert!(text.starts_with(expected), "{answer:.200}: {text}");
            }
        }
        let end = call(&connection, "tell_tale", json!({ "header": "X-Key" })).await;
        assert!(matches!(&end, CallEnd::Returned { text, .. } if text == "bad key [secret]"), "{end:?}");
        connection.close().await;
    }
}

#[tokio::test]
async fn a_remote_server_that_asks_back_is_answered_politely() {
    let far = Far::new(&["--era", "legacy", "--reply-sse", "--sessions"]);
    let connection = far.connect().await;
    for (method, path, expected) in [
        ("sampling/createMessage", "/error/code", json!(-32601)),
        ("elicitation/create", "/result/action", json!("decline")),
        ("roots/list", "/result/roots", json!([])),
        ("something/else", "/error/code", json!(-32601)),
    ] {
        let told = text(&connection, "ask", json!({ "method": method })).await;
        let answer: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(answer.pointer(path), Some(&expected), "{method}: {answer}");
    }
    connection.close().await;
}
