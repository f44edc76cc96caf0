//! MCP over HTTP under `stn serve`: the real door, spoken to byte by byte.

use crate::home::{Home, Process};
use crate::rpc::meta;
use crate::watch::{start_under, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be heard comes before so many lines of a stream.
const LINES_MAX: usize = 50;

/// A worker with its door open.
pub(crate) struct Served {
    process: Process,
    pub(crate) port: u16,
    /// Where it listens, in the order in which it says so.
    ports: Vec<u16>,
    /// Where MCP is asked.
    path: String,
    /// What it said on stderr so far.
    told: Arc<Mutex<Vec<String>>>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Served {
    pub(crate) fn start(home: &Home) -> Self {
        Self::until(home.start(&["serve"]), "Working with")
    }

    /// Under `wrapper`, which is all that [`Served::pid`] and signals reach.
    pub(crate) fn under(home: &Home, wrapper: &[&str]) -> Self {
        Self::until(start_under(home, wrapper, &["serve"]), "Working with")
    }

    /// As soon as it listens: its store may never open.
    pub(crate) fn listening(home: &Home) -> Self {
        Self::until(home.start(&["serve"]), "127.0.0.1:")
    }

    /// Started, with what it says up to the line in which `seen` stands.
    fn until(mut child: Child, seen: &str) -> Self {
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let process = Process(Some(child));
        let port = |line: &str| {
            let (_, rest) = line.split_once("127.0.0.1:").or_else(|| line.split_once("0.0.0.0:"))?;
            rest.split(':').next()?.trim().parse::<u16>().ok()
        };
        let mut ports: Vec<u16> = Vec::new();
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        for line in lines.by_ref().map_while(Result::ok) {
            ports.extend(port(&line));
            let is_seen = line.contains(seen);
            told.lock().unwrap().push(line);
            if is_seen {
                break;
            }
        }
        // Read on, so that it never waits for us.
        let kept = Arc::clone(&told);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        Self {
            process,
            port: *ports
                .first()
                .unwrap_or_else(|| panic!("it does not say where it listens: {:?}", told.lock())),
            ports,
            path: "/mcp".to_owned(),
            told,
        }
    }

    /// Speaks to the last port from now on: that of agents, where there is one.
    pub(crate) fn at_last_port(mut self) -> Self {
        self.port = *self.ports.last().unwrap();
        self
    }

    /// Asks MCP at `path` from now on.
    pub(crate) fn at(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// What it said on stderr so far, line by line.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request as it is, of HTTP/1.0 so that the answer is not in chunks.
    pub(crate) fn raw(&self, text: &[u8]) -> Answer {
        let mut stream = self.connect();
        // One who is refused early does not read the rest.
        stream.write_all(text).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn send(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send_to(&self.path, method, headers, body)
    }

    pub(crate) fn send_to(&self, path: &str, method: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![
            ("host", "127.0.0.1"),
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ];
        all.retain(|(name, _)| headers.iter().all(|(given, _)| given != name));
        all.extend(headers.iter().filter(|(_, value)| !value.is_empty()));
        let head: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        self.raw(
            format!("{method} {path} HTTP/1.0\r\n{head}content-length: {length}\r\n\r\n{body}").as_bytes(),
        )
    }

    /// Sends a request by whoever has this key, of a client of the older revision where it is MCP's.
    pub(crate) fn send_as(&self, key: &str, path: &str, method: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {key}");
        self.send_to(
            path,
            method,
            &[("authorization", &bearer), ("mcp-protocol-version", "2025-11-25")],
            body,
        )
    }

    /// A modern request with the headers that belong to it.
    pub(crate) fn modern(&self, method: &str, mut params: Value, headers: &[(&str, &str)]) -> Answer {
        let mut all = meta(&json!({}));
        if let Some(given) = params.get("_meta").and_then(Value::as_object) {
            given.iter().for_each(|(key, value)| all[key] = value.clone());
        }
        params["_meta"] = all;
        let name =
            params.get("name").or(params.get("uri")).and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut of_it =
            vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("mcp-name", &*name)];
        of_it.retain(|(name, value)| !value.is_empty() && headers.iter().all(|(given, _)| given != name));
        of_it.extend(headers.iter().copied());
        self.send("POST", &of_it, &body)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(crate) fn stop(self) {
        self.process.signal(Signal::SIGTERM);
        self.end();
    }

    /// Waits until it has come to its end, told by somebody else.
    pub(crate) fn end(mut self) {
        assert!(self.process.0.take().unwrap().wait().unwrap().success());
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.head, self.body))
    }
}

fn initialize(capabilities: &Value) -> String {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string()
}

#[test]
fn both_eras_are_served_over_http() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let listed = served.modern("tools/list", json!({}), &[]);
    assert_eq!(listed.status, 200, "{}", listed.body);
    assert_eq!(listed.json()["result"]["tools"].as_array().map(Vec::len), Some(13));
    assert!(!listed.head.contains("mcp-session-id"));
    // The worker that serves it is the worker that drives it, and tells how far it is.
    let call = json!({
        "_meta": { "progressToken": "t" }, "name": "call_agent",
        "arguments": { "agent_id": "reader", "task": "read notes.txt" },
    });
    let told = served.modern("tools/call", call, &[]);
    assert!(
        told.head.contains("text/event-stream") && told.head.contains("x-accel-buffering: no"),
        "{}",
        told.head
    );
    let events: Vec<Value> = told
        .body
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
        .collect();
    assert!(events.len() > 1 && events[0]["method"] == "notifications/progress", "{}", told.body);
    assert_eq!(events.last().unwrap()["result"]["structuredContent"]["execution"]["status"], "completed");
    // An older client may say nothing of a session.
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    let listed = served.send("POST", &[("mcp-protocol-version", "2025-11-25")], list);
    assert_eq!(listed.json()["result"]["tools"].as_array().map(Vec::len), Some(13));
    assert_eq!(
        served.send("POST", &[], r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).status,
        202
    );
    // One that can be asked has one, until it ends it.
    let begun = served.send("POST", &[], &initialize(&json!({ "elicitation": {} })));
    let of_it = [("mcp-session-id", session(&begun)), ("mcp-protocol-version", "2025-11-25")];
    assert_eq!(served.send("POST", &of_it, list).status, 200);
    assert_eq!(served.send("DELETE", &of_it, "").status, 204);
    assert_eq!(served.send("POST", &of_it, list).status, 404);
    served.stop();
}

/// The session that an answer to `initialize` names.
fn session(begun: &Answer) -> &str {
    begun.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).expect("it names a session")
}

#[test]
fn an_older_client_that_can_be_asked_nothing_has_a_session_once_it_follows_something() {
    let home = Home::with_fake();
    let [one, other] = [(); 2].map(|()| Served::start(&home));
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    let follow =
        r#"{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"station://agents"}}"#;
    let begun = one.send("POST", &[], &initialize(&json!({})));
    let of_it = [("mcp-session-id", session(&begun)), ("mcp-protocol-version", "2025-11-25")];
    let rows = [
        (&other, "POST", list, 200, "nothing is kept of it: any instance answers"),
        (&other, "POST", follow, 404, "what is to be kept is kept where the id says"),
        (&other, "GET", "", 404, "a stream as well"),
        (&other, "DELETE", "", 404, "nor is it ended elsewhere"),
        (&one, "POST", follow, 200, "there it is"),
        (&one, "POST", list, 200, "and the session goes on"),
        (&other, "POST", list, 200, "what needs nothing kept is answered elsewhere all the same"),
        (&one, "DELETE", "", 204, "until the client ends it"),
        (&one, "POST", list, 404, "from then on it is over"),
        (&one, "POST", follow, 404, "and does not begin anew"),
    ];
    for (at, method, body, status, why) in rows {
        assert_eq!(at.send(method, &of_it, body).status, status, "{why}");
    }
    for unknown in ["later", "later.x.y", "later.0.0"] {
        let of_it = [("mcp-session-id", unknown), ("mcp-protocol-version", "2025-11-25")];
        assert_eq!(one.send("POST", &of_it, list).status, 404, "{unknown}");
    }
    one.stop();
    other.stop();
}

#[test]
fn an_older_client_with_a_session_hears_of_a_resource_that_it_follows() {
    let home = Home::with_fake();
    let served = Served::start(&home);
    let begun = served.send("POST", &[], &initialize(&json!({})));
    assert_eq!(begun.json()["result"]["capabilities"]["resources"]["subscribe"], true, "{}", begun.body);
    let session = session(&begun);
    let of_it = [("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")];
    let mut stream = served.connect();
    let head = format!(
        "GET {} HTTP/1.0\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\
         mcp-protocol-version: 2025-11-25\r\n\r\n",
        served.path
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines();
    assert!(lines.next().unwrap().unwrap().contains(" 200 "));
    let follow = |method: &str| {
        let wish =
            json!({ "jsonrpc": "2.0", "id": 3, "method": method, "params": { "uri": "station://agents" } });
        served.send("POST", &of_it, &wish.to_string()).json()["result"].clone()
    };
    assert_eq!(follow("resources/subscribe"), json!({}));
    home.agent("default", "fresh", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    let mut heard = lines
        .take(LINES_MAX)
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?.trim()).ok());
    let told = heard.find(|message| message["method"] == "notifications/resources/updated");
    assert_eq!(told.expect("it is told")["params"], json!({ "uri": "station://agents" }));
    assert_eq!(follow("resources/unsubscribe"), json!({}));
    served.stop();
}

#[test]
fn what_is_wrong_with_a_request_is_answered_as_the_protocol_says() {
    let home = Home::with_init();
    let served = Served::start(&home);
    let check = |answer: Answer, status: u16, code: i64| {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.json()["error"]["code"], code, "{}", answer.body);
    };
    let call = json!({ "name": "list_agents", "arguments": {} });
    check(served.modern("no/such", json!({}), &[]), 404, -32601);
    check(served.modern("tools/call", call.clone(), &[("mcp-name", "delete_agent")]), 400, -32020);
    check(served.modern("tools/call", call.clone(), &[("mcp-method", "tools/list")]), 400, -32020);
    check(served.modern("tools/call", call, &[("mcp-protocol-version", "2025-11-25")]), 400, -32020);
    let unknown = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2027-01-01" } });
    check(served.modern("tools/list", unknown, &[("mcp-protocol-version", "2027-01-01")]), 400, -32022);
    let other = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2027-01-01" } });
    check(served.modern("tools/list", other, &[]), 400, -32020);
    check(served.modern("initialize", json!({}), &[]), 404, -32601);
    check(served.send("POST", &[], "{"), 400, -32700);
    check(served.send("POST", &[], r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#), 400, -32600);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    check(served.send("POST", &[("mcp-protocol-version", "1999-01-01")], list), 400, -32022);
    let status =
        |method: &str, headers: &[(&str, &str)], body: &str| served.send(method, headers, body).status;
    assert_eq!(status("POST", &[("mcp-session-id", "mine")], list), 404);
    assert_eq!(status("POST", &[("content-type", "text/plain")], list), 415);
    assert_eq!(status("POST", &[("accept", "text/html")], list), 406);
    assert_eq!(status("PUT", &[], list), 405);
    assert_eq!(status("GET", &[("accept", "application/json")], ""), 405);
    assert_eq!(status("DELETE", &[], ""), 405);
    assert_eq!(status("POST", &[], &format!("\"{}\"", "x".repeat(17 * 1024 * 1024))), 413);
    let bomb: String = (0..2_000).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(served.raw(format!("POST /mcp HTTP/1.0\r\n{bomb}\r\n").as_bytes()).status, 431);
    // It lives.
    assert_eq!(served.modern("tools/list", json!({}), &[]).status, 200);
    served.stop();
}

#[test]
fn management_over_http_is_on_loopback_and_for_its_own_user_alone() {
    let home = Home::with_init();
    let served = Served::start(&home);
    let port = format!(":{:04X} ", served.port);
    let listening: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .flat_map(|table| {
            std::fs::read_to_string(table).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|line| line.contains(&port) && line.contains(":0000 0A "))
        .collect();
    assert_eq!(listening.len(), 1, "{listening:?}");
    assert!(listening[0].contains("0100007F:"), "{listening:?}");
    let status = |headers: &[(&str, &str)]| served.modern("tools/list", json!({}), headers).status;
    assert_eq!(status(&[]), 200, "a program of the same user");
    assert_eq!(status(&[("host", "example.com")]), 403);
    assert_eq!(status(&[("origin", "https://example.com")]), 403);
    assert_eq!(status(&[("authorization", "Bearer mine")]), 401);
    let token = home.read("api-token");
    assert_eq!(status(&[("authorization", &format!("Bearer {}", token.trim()))]), 200);
    served.stop();
}

#[test]
fn what_a_tool_server_asks_of_station_is_refused_without_the_token() {
    let home = Home::with_init();
    let served = Served::start(&home);
    // A program that the worker itself starts, and that knows the port: it asks like any client.
    let (asked, heard) = (home.work("asked"), home.work("heard"));
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta(&json!({})) } })
            .to_string();
    let request = format!(
        "POST /mcp HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\n\
         mcp-method: tools/list\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    std::fs::write(&asked, request).unwrap();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{}; cat '{}' >&3; cat <&3 > '{}.tmp'; mv '{}.tmp' '{}'; exec \"$0\"",
        served.port,
        asked.display(),
        heard.display(),
        heard.display(),
        heard.display(),
    );
    let entry = json!({ "command": "bash", "args": ["-c", script, station_testkit::fake_server::binary()] });
    home.write(
        "environments/default/mcp-servers/spy.json",
        &json!({ "mcpServers": { "spy": entry } }).to_string(),
    );
    let discover = json!({ "name": "discover_tools", "arguments": {} });
    let found = served.modern("tools/call", discover, &[]);
    assert_eq!(found.json()["result"]["isError"], false, "{}", found.body);
    until("it was answered", || heard.exists());
    let answer = std::fs::read_to_string(heard).unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 401") && answer.contains("a program that Station started"),
        "{answer}"
    );
    served.stop();
}
