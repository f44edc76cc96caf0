//! The HTTP door under clients that are broken, slow or many.

use crate::home::Home;
use crate::http::Served;
use crate::rpc::meta;
use crate::watch::resident;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn list(id: i64) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list", "params": { "_meta": meta(&json!({})) } })
        .to_string()
}

#[test]
fn what_cannot_be_read_is_answered_and_the_door_lives() {
    let home = Home::with_init();
    let served = Served::start(&home);
    let check = |body: &str, status: u16, code: i64| {
        let answer = served.send("POST", &[("mcp-protocol-version", "2026-07-28")], body);
        assert_eq!(answer.status, status, "{body:.80}: {}", answer.body);
        assert_eq!(answer.json()["error"]["code"], code, "{body:.80}: {}", answer.body);
    };
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    check("", 400, -32700);
    check("{\"jsonrpc\":\"2.0\",", 400, -32700);
    check("\u{0}", 400, -32700);
    check(&nested, 400, -32700);
    check("[]", 400, -32600);
    check("7", 400, -32600);
    check("{}", 400, -32600);
    check(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, 400, -32600);
    check(r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, 400, -32600);
    check(r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, 400, -32600);
    check(r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, 400, -32600);
    check(r#"{"jsonrpc":"2.0","id":1,"method":7}"#, 400, -32600);
    check(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":7}"#, 400, -32602);
    // A batch is of 2025-03-26 alone.
    check(&format!("[{},{}]", list(1), list(2)), 400, -32600);
    assert_eq!(served.modern("tools/list", json!({}), &[]).status, 200);
    served.stop();
}

#[test]
fn an_unknown_version_is_answered_with_those_that_are_known_and_never_echoed() {
    let home = Home::with_init();
    let served = Served::start(&home);
    for version in ["1999-01-01", "2027-01-01", "latest", "2026-07-28\u{7f}x"] {
        let params = json!({ "protocolVersion": version, "capabilities": {} });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string();
        let answer = served.send("POST", &[], &body);
        assert_eq!(answer.json()["result"]["protocolVersion"], "2025-11-25", "{version}: {}", answer.body);
    }
    let asked = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2027-01-01" } });
    let answer = served.modern("tools/list", asked, &[("mcp-protocol-version", "2027-01-01")]);
    let data = &answer.json()["error"]["data"];
    assert!(
        data["supported"].as_array().is_some_and(|all| all.iter().all(|it| it != "2027-01-01")),
        "{data}"
    );
    served.stop();
}

#[test]
fn a_body_of_64_megabytes_is_refused_before_it_is_read_and_costs_no_memory() {
    let home = Home::with_init();
    let served = Served::start(&home);
    let before = resident(served.pid());
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let piece = vec![b' '; 1 << 20];
    for framing in ["content-length: 67108864", "transfer-encoding: chunked"] {
        let mut stream = served.connect();
        stream.write_all(format!("{head}{framing}\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
        for _ in 0..64 {
            let is_chunked = framing.contains("chunked");
            let sent = if is_chunked { stream.write_all(b"100000\r\n") } else { Ok(()) }
                .and_then(|()| stream.write_all(&piece))
                .and_then(|()| if is_chunked { stream.write_all(b"\r\n") } else { Ok(()) });
            // One who is refused early is not read to the end.
            if sent.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{framing}: {answer}");
    }
    assert!(
        resident(served.pid()) < before + (48 << 20),
        "it grew from {before} to {}",
        resident(served.pid())
    );
    assert_eq!(served.modern("tools/list", json!({}), &[]).status, 200);
    served.stop();
}

#[test]
fn heads_without_an_end_are_refused_and_slow_clients_keep_nobody_waiting() {
    let home = Home::with_init();
    let served = Served::start(&home);
    // Each has begun a request and says no more.
    let mut slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = served.connect();
            stream.write_all(b"POST /mcp HTTP/1.1\r\nhost: local").unwrap();
            stream
        })
        .collect();
    let mut waits = served.connect();
    waits
        .write_all(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
        .unwrap();
    assert_eq!(served.modern("tools/list", json!({}), &[]).status, 200);
    let mut long = served.connect();
    long.write_all(b"POST /mcp HTTP/1.1\r\nx: ").ok();
    for _ in 0..32 {
        long.write_all(&[b'x'; 8 * 1024]).ok();
    }
    let mut answer = String::new();
    long.read_to_string(&mut answer).ok();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(served.modern("tools/list", json!({}), &[]).status, 200);
    slow.clear();
    served.stop();
}

#[test]
fn more_connections_than_there_is_room_for_are_turned_away_with_a_sentence() {
    let home = Home::with_init();
    let served = Served::start(&home);
    let mut held: Vec<TcpStream> = Vec::new();
    let refused = loop {
        let mut stream = served.connect();
        // One that has a place is not answered before it says something.
        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let mut answer = [0; 1024];
        match stream.read(&mut answer) {
            Ok(length) if length > 0 => break String::from_utf8_lossy(&answer[..length]).into_owned(),
            _ => held.push(stream),
        }
        assert!(held.len() < 1_100, "there is no end of places");
    };
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    drop(held);
    crate::watch::until("there is room again", || served.modern("tools/list", json!({}), &[]).status == 200);
    served.stop();
}

#[test]
fn what_is_asked_of_other_hosts_and_sites_is_refused_whatever_it_is() {
    let home = Home::with_init();
    let served = Served::start(&home);
    for (headers, status) in [
        (&[("host", "evil.example")][..], 403),
        (&[("host", "127.0.0.1.evil.example")], 403),
        (&[("host", "localhost@evil.example")], 403),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("origin", "http://localhost.evil.example")], 403),
        (&[("content-type", "text/plain")], 415),
        (&[("content-type", "application/x-www-form-urlencoded")], 415),
    ] {
        assert_eq!(served.send("POST", headers, &list(1)).status, status, "{headers:?}");
    }
    assert_eq!(
        served
            .raw(b"POST /mcp HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
            .status,
        403
    );
    let older = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(served.send("POST", &[("mcp-session-id", "no-such")], older).status, 404);
    for method in ["PUT", "PATCH", "OPTIONS", "TRACE"] {
        assert_eq!(served.send(method, &[], "").status, 405, "{method}");
    }
    assert_eq!(served.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").status, 400, "TLS where none is spoken");
    assert_eq!(served.modern("tools/list", json!({}), &[]).status, 200);
    let answer = served.raw(b"GET /nowhere HTTP/1.0\r\nhost: localhost\r\n\r\n");
    assert!(answer.head.starts_with("http/1.0 404"), "{}", answer.head);
    served.stop();
}
