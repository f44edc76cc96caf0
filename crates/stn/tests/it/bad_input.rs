//! Bad input on the pipe of `stn stdio`, and states (`requestState`) that are not what was given out, over both transports: a right
//! answer each, and the server lives. Over HTTP the rest is in `http_limits`.

use crate::home::Home;
use crate::http::Served;
use crate::rpc::Client;
use crate::watch::resident;
use serde_json::{Value, json};

#[test]
fn whatever_is_wrong_on_the_pipe_is_answered_and_the_server_lives() {
    let home = Home::with_init();
    let mut client = Client::start(&home, &["stdio"]);
    client.request("tools/list", json!({}));
    let version = "io.modelcontextprotocol/protocolVersion";
    let of = |meta: Value| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } }).to_string()
    };
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let in_params = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{nested}}}}}"#);
    let huge =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":"{}"}}}}"#, "x".repeat(64 << 20));
    let many: Vec<Value> =
        (0..300).map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" })).collect();
    let rows = [
        ("{".to_owned(), -32700),
        ("\u{0}".to_owned(), -32700),
        ("nonsense".to_owned(), -32700),
        (nested, -32700),
        (in_params, -32700),
        (huge, -32600),
        ("7".to_owned(), -32600),
        ("{}".to_owned(), -32600),
        ("[]".to_owned(), -32600),
        (Value::Array(many).to_string(), -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":{}}"#.to_owned(), -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}"#.to_owned(), -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned(), -32602),
        (of(json!({ version: 7 })), -32602),
        (of(json!({ version: "2026-07-28" })), -32602),
        (of(json!({ version: "2027-01-01" })), -32022),
        (of(json!({ version: "2025-11-25" })), -32022),
    ];
    let before = resident(client.pid());
    for (line, code) in rows {
        client.send(&line);
        let answer = client.next();
        assert_eq!(answer["error"]["code"], code, "{line:.80}: {answer}");
        assert!(
            !answer.to_string().contains("2027-01-01")
                || answer["error"]["data"]["requested"] == "2027-01-01"
        );
        assert!(client.request("tools/list", json!({}))["tools"].is_array(), "{line:.80}");
    }
    let after = resident(client.pid());
    assert!(after < before + (64 << 20), "it grew from {before} to {after}");
    for (method, params, code) in [
        ("no/such", json!({}), -32601),
        ("tools/call", json!({}), -32602),
        ("tools/call", json!({ "name": 7 }), -32602),
        ("tools/call", json!({ "name": "list_agents", "arguments": [] }), -32602),
        ("resources/read", json!({ "uri": {} }), -32602),
        ("tools/list", json!({ "cursor": "x" }), -32602),
        ("completion/complete", json!({ "ref": { "type": "ref/none" } }), -32602),
    ] {
        let id = client.ask(method, params.clone());
        assert_eq!(client.answer(id)["error"]["code"], code, "{method} {params}");
    }
    client.end(&home).0.done();
}

/// A home whose gateway asks before `read`.
fn guarded() -> Home {
    let home = Home::with_fake();
    home.write("environments/default/environment.yml", "tools: {approve: [read]}\n");
    home.stn(&["sync", "--quiet"]).done();
    home
}

/// Calls whose states are not what was given out for them, each with what is wrong about it; and the call that was asked about.
fn states(state: &str) -> (Vec<(&'static str, Value)>, Value) {
    let answer = json!({ "approval": { "action": "accept", "content": { "decision": "approve" } } });
    let with = |path: &str, state: &str| {
        json!({
            "name": "read", "arguments": { "path": path }, "inputResponses": answer, "requestState": state,
            "_meta": { "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} } },
        })
    };
    let last = if state.ends_with('0') { "1" } else { "0" };
    let tampered = format!("{}{last}", &state[..state.len() - 1]);
    let mut other_tool = with("a.txt", state);
    other_tool["name"] = "echo".into();
    let no_text = |state: Value| {
        let mut call = with("a.txt", "");
        call["requestState"] = state;
        call
    };
    let wrong = vec![
        ("tampered with", with("a.txt", &tampered)),
        ("cut short", with("a.txt", &state[..state.len() / 2])),
        ("empty", with("a.txt", "")),
        ("made up", with("a.txt", "approved")),
        ("of other arguments", with("b.txt", state)),
        ("of another tool", other_tool),
        ("a number", no_text(json!(5))),
        ("a list", no_text(json!([state]))),
    ];
    (wrong, with("a.txt", state))
}

#[test]
fn a_state_that_was_not_given_out_for_it_sends_nothing_over_a_pipe() {
    let home = guarded();
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let can = json!({ "elicitation": {} });
    let id = client.ask_as(&can, "tools/call", json!({ "name": "read", "arguments": { "path": "a.txt" } }));
    let asked = client.answer(id)["result"].clone();
    let (wrong, right) = states(asked["requestState"].as_str().unwrap());
    for (what, call) in wrong {
        let id = client.ask_as(&can, "tools/call", call);
        assert_eq!(client.answer(id)["error"]["code"], -32602, "{what}");
    }
    // Replayed, one yes sends one call: the second time a person is asked anew.
    let id = client.ask_as(&can, "tools/call", right.clone());
    assert_ne!(client.answer(id)["result"]["isError"], true);
    let id = client.ask_as(&can, "tools/call", right);
    let again = client.answer(id)["result"].clone();
    assert_eq!(again["resultType"], "input_required", "{again}");
    let audit = home.json(&["audit", "list"]).to_string();
    assert_eq!(audit.matches("call_tool").count(), 1, "{audit}");
}

#[test]
fn a_state_that_was_not_given_out_for_it_sends_nothing_over_http() {
    let home = guarded();
    let served = Served::start(&home).at("/mcp/env/default");
    let can = json!({ "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} } });
    let call = json!({ "name": "read", "arguments": { "path": "a.txt" }, "_meta": can });
    let asked = served.modern("tools/call", call, &[]).json()["result"].clone();
    let (wrong, right) = states(asked["requestState"].as_str().unwrap());
    for (what, call) in wrong {
        let answer = served.modern("tools/call", call, &[]);
        assert_eq!(answer.json()["error"]["code"], -32602, "{what}: {}", answer.body);
    }
    let answer = served.modern("tools/call", right.clone(), &[]).json();
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    let again = served.modern("tools/call", right, &[]).json();
    assert_eq!(again["result"]["resultType"], "input_required", "{again}");
    assert_eq!(home.json(&["audit", "list"]).to_string().matches("call_tool").count(), 1);
    served.stop();
}

/// The right to approve is a key's own: a client that can be asked is not asked for one that lacks it.
#[test]
fn who_may_not_approve_is_not_asked_to() {
    let home = guarded();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["user", "create", "root", "--admin"]).done();
    home.stn(&["user", "create", "ann", "--env", "default"]).done();
    let bearer = |name: &str, scopes: &[&str]| {
        let mut args = vec!["user", "key", "create", "ann", "--name", name];
        scopes.iter().for_each(|scope| args.extend(["--scope", scope]));
        format!("Bearer {}", home.json(&args)["secret"].as_str().unwrap())
    };
    let keys = [(bearer("may", &["run", "approve"]), true), (bearer("may-not", &["run"]), false)];
    let can = json!({ "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} } });
    let read = json!({ "name": "read", "arguments": { "path": "a.txt" }, "_meta": can });
    let run = json!({ "name": "call_agent", "arguments": { "agent_id": "reader", "task": "read a.txt" }, "_meta": can });
    for (path, call) in [("/mcp/env/default", read), ("/mcp", run)] {
        let served = Served::start(&home).at(path);
        for (key, may) in &keys {
            let answer = served.modern("tools/call", call.clone(), &[("authorization", key)]).json();
            let is_asked = answer["result"]["resultType"] == "input_required";
            assert_eq!(is_asked, *may, "{path}: {answer}");
            assert!(answer["result"].to_string().contains("approv"), "{path}: {answer}");
        }
        served.stop();
    }
}

/// Behind a balancer the answer comes to another instance than the question came from.
#[test]
fn a_question_of_one_instance_is_answered_at_another_and_a_session_is_not() {
    let home = guarded();
    let [one, other] = [(); 2].map(|()| Served::start(&home).at("/mcp/env/default"));
    let can = json!({ "io.modelcontextprotocol/clientCapabilities": { "elicitation": {} } });
    let call = json!({ "name": "read", "arguments": { "path": "a.txt" }, "_meta": can });
    let asked = one.modern("tools/call", call, &[]).json()["result"].clone();
    let (_, right) = states(asked["requestState"].as_str().unwrap());
    let answer = other.modern("tools/call", right.clone(), &[]).json();
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    // A yes is used once, wherever it comes to.
    let again = one.modern("tools/call", right, &[]).json();
    assert_eq!(again["result"]["resultType"], "input_required", "{again}");
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} } });
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string();
    let greeted = one.send("POST", &[], &hello);
    let session = greeted.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    let of_it = [("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")];
    assert_eq!(one.send("POST", &of_it, &list).status, 200);
    assert_eq!(other.send("POST", &of_it, &list).status, 404);
    one.stop();
    other.stop();
}

#[test]
fn an_environment_is_a_server_over_http() {
    let home = Home::with_fake();
    home.write("environments/default/environment.yml", "tools: {deny: [write]}\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home).at("/mcp/env/default");
    let listed = served.modern("tools/list", json!({}), &[]).json()["result"]["tools"].to_string();
    assert!(listed.contains("\"echo\"") && !listed.contains("\"write\""), "{listed}");
    let called = served.modern("tools/call", json!({ "name": "echo", "arguments": { "text": "hi" } }), &[]);
    assert_eq!(called.json()["result"]["content"][0]["text"], "hi", "{}", called.body);
    let denied = served.modern("tools/call", json!({ "name": "write", "arguments": { "text": "x" } }), &[]);
    assert_eq!((denied.status, &denied.json()["result"]["isError"]), (200, &json!(true)), "{}", denied.body);
    assert!(home.json(&["audit", "list"]).to_string().contains("deny_tool_call"));
    // Neither a stream's head nor another environment is there.
    assert_eq!(served.send("HEAD", &[("accept", "text/event-stream")], "").status, 405);
    let nowhere = served.at("/mcp/env/nowhere");
    assert_eq!(nowhere.modern("tools/list", json!({}), &[]).status, 404);
    nowhere.stop();
}

#[test]
fn a_modern_request_that_says_its_version_in_the_header_alone_is_told_what_it_lacks() {
    let home = Home::with_init();
    let served = Served::start(&home);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for headers in [
        &[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")][..],
        &[("mcp-protocol-version", "2026-07-28")],
    ] {
        let answer = served.send("POST", headers, list);
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &json!(-32602)),
            "{}",
            answer.body
        );
        assert!(answer.body.contains("_meta"), "{}", answer.body);
    }
    assert_eq!(served.send("HEAD", &[("accept", "text/event-stream")], "").status, 405);
    served.stop();
}
