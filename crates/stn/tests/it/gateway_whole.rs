//! An environment as a gateway, whole: what its servers offer beside tools, what they say while they are at work, and what they
//! ask, in both eras on either side. The server behind it is the one that the official conformance suite describes.

use crate::home::Home;
use crate::rpc::Client;
use serde_json::{Value, json};
use station_testkit::fake_server;

/// A home with the conformance server in `default`, speaking the eras of `era`.
pub(crate) fn home(era: &str) -> Home {
    let home = Home::with_init();
    let entry = json!({ "command": fake_server::conformance(), "args": ["--era", era] });
    let file = json!({ "mcpServers": { "fixture": entry } });
    home.write("environments/default/mcp-servers/fixture.json", &file.to_string());
    home.stn(&["sync", "--quiet"]).done();
    home
}

/// A client of the newer era.
fn modern(home: &Home) -> Client {
    Client::start(home, &["stdio", "--env", "default"])
}

/// A client of the older era that can be asked for forms.
pub(crate) fn legacy(home: &Home, capabilities: &Value) -> Client {
    let mut client = modern(home);
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": { "name": "old", "version": "1" },
    });
    client.send(
        &json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello }).to_string(),
    );
    let answer = client.next();
    assert_eq!(answer["result"]["capabilities"]["logging"], json!({}), "{answer}");
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
    client
}

pub(crate) fn request(id: &str, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn form(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

#[test]
fn resources_prompts_and_completion_of_an_environment_are_passed_on() {
    let home = home("both");
    let mut client = modern(&home);
    let listed = client.request("resources/list", json!({}));
    assert_eq!(listed["resources"][0]["uri"], "test://static-text", "{listed}");
    let templates = client.request("resources/templates/list", json!({}));
    assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "test://template/{id}/data");
    let read = client.request("resources/read", json!({ "uri": "test://template/7/data" }));
    assert!(read["contents"][0]["text"].as_str().unwrap().contains("Data for ID: 7"), "{read}");
    assert_eq!(read["cacheScope"], "private");
    let id = client.ask("resources/read", json!({ "uri": "test://nowhere" }));
    assert_eq!(client.answer(id)["error"]["data"]["uri"], "test://nowhere");
    assert!(client.request("prompts/list", json!({})).to_string().contains("test_prompt_with_image"));
    let arguments = json!({ "arg1": "a", "arg2": "b" });
    let filled = client
        .request("prompts/get", json!({ "name": "test_prompt_with_arguments", "arguments": arguments }));
    assert_eq!(
        filled["messages"][0]["content"]["text"], "Prompt with arguments: arg1='a', arg2='b'",
        "{filled}"
    );
    let of = json!({ "type": "ref/prompt", "name": "test_prompt_with_arguments" });
    let argument = json!({ "name": "arg1", "value": "par" });
    let completed = client.request("completion/complete", json!({ "ref": of, "argument": argument }));
    assert_eq!(completed["completion"]["values"], json!(["paris", "park", "party"]));
    let id = client.ask("prompts/get", json!({ "name": "test_simple_promt" }));
    let refused = client.answer(id)["error"]["message"].to_string();
    assert!(refused.contains("did you mean `test_simple_prompt`?"), "{refused}");
}

#[test]
fn what_a_server_says_of_its_offers_survives_the_catalog() {
    let home = home("both");
    let mut client = modern(&home);
    let listed = client.request("resources/list", json!({}))["resources"][0].clone();
    let icons = json!([{ "src": "https://example.com/text.png", "mimeType": "image/png" }]);
    let expected = json!({
        "uri": "test://static-text", "name": "Static text", "title": "Some text", "mimeType": "text/plain", "size": 48,
        "icons": icons, "annotations": { "audience": ["user"], "priority": 0.5 }, "_meta": { "example.com/kept": true },
    });
    assert_eq!(listed, expected);
    let template = client.request("resources/templates/list", json!({}))["resourceTemplates"][0].clone();
    assert_eq!((&template["title"], &template["_meta"]), (&json!("Data by number"), &expected["_meta"]));
    let prompt = client.request("prompts/list", json!({}))["prompts"][0].clone();
    assert_eq!((&prompt["title"], &prompt["_meta"]), (&json!("A simple prompt"), &expected["_meta"]));
    let tool = client.request("tools/list", json!({}))["tools"][0].clone();
    let icons = json!([{ "src": "https://example.com/tool.png", "mimeType": "image/png" }]);
    assert_eq!((&tool["icons"], &tool["_meta"]), (&icons, &expected["_meta"]), "{tool}");
}

#[test]
fn what_a_server_says_while_it_is_at_work_comes_before_its_result() {
    for era in ["legacy", "modern"] {
        let home = home(era);
        let mut client = modern(&home);
        let meta = json!({ "progressToken": "mine", "io.modelcontextprotocol/logLevel": "info" });
        let params = json!({ "name": "test_tool_with_progress", "_meta": meta });
        let id = client.ask("tools/call", params);
        client.answer(id);
        let told: Vec<Value> = client.heard.drain(..).map(|message| message["params"].clone()).collect();
        let step = |progress: u64| json!({ "progressToken": "mine", "progress": progress, "total": 100 });
        assert_eq!(told, [step(0), step(50), step(100)], "{era}");
        let id = client.ask("tools/call", json!({ "name": "test_tool_with_logging", "_meta": meta }));
        client.answer(id);
        let said: Vec<Value> =
            client.heard.drain(..).map(|message| message["params"]["data"].clone()).collect();
        assert_eq!(said.len(), 3, "{era}: {said:?}");
        // Who does not say that it wants any hears none.
        client.call("test_tool_with_logging", &json!({}));
        assert_eq!(client.heard.len(), 0, "{era}: {:?}", client.heard);
    }
}

/// What a server asks of its client.
struct Question {
    tool: &'static str,
    /// What the client says that it can.
    capability: &'static str,
    method: &'static str,
    answer: Value,
    /// What the tool says of it.
    said: &'static str,
}

fn questions() -> [Question; 3] {
    let message = json!({
        "role": "assistant", "model": "m", "stopReason": "endTurn", "content": { "type": "text", "text": "It is Paris." },
    });
    [
        Question {
            tool: "test_input_required_result_elicitation",
            capability: "elicitation",
            method: "elicitation/create",
            answer: form("Ada"),
            said: "Hello, Ada!",
        },
        Question {
            tool: "test_input_required_result_sampling",
            capability: "sampling",
            method: "sampling/createMessage",
            answer: message,
            said: "It is Paris.",
        },
        Question {
            tool: "test_input_required_result_list_roots",
            capability: "roots",
            method: "roots/list",
            answer: json!({ "roots": [{ "uri": "file:///where/ada/works" }] }),
            said: "file:///where/ada/works",
        },
    ]
}

#[test]
fn a_modern_client_is_asked_by_a_result_whatever_the_era_of_the_server() {
    for era in ["legacy", "modern"] {
        let home = home(era);
        let mut client = modern(&home);
        for Question { tool, capability, method, answer, said } in questions() {
            let can = json!({ capability: {} });
            let call = json!({ "name": tool, "arguments": {} });
            let id = client.ask_as(&can, "tools/call", call.clone());
            let asked = client.answer(id)["result"].clone();
            assert_eq!(asked["resultType"], "input_required", "{era}: {asked}");
            let requests = asked["inputRequests"].as_object().unwrap();
            let (key, question) = requests.iter().next().unwrap();
            assert_eq!(question["method"], method, "{era}: {question}");
            let mut back = call;
            back["requestState"] = asked["requestState"].clone();
            back["inputResponses"] = json!({ key: answer });
            let id = client.ask_as(&can, "tools/call", back.clone());
            let answer = client.answer(id);
            let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
            assert!(text.contains(said), "{era}: {answer}");
            // What waits is taken up once; what a modern server asks is its own to judge.
            let id = client.ask_as(&can, "tools/call", back);
            let again = client.answer(id)["result"].clone();
            assert_eq!(again["isError"] == true, era == "legacy", "{era}: {again}");
        }
    }
}

#[test]
fn an_older_client_is_asked_by_a_request_whatever_the_era_of_the_server() {
    for era in ["legacy", "modern"] {
        let home = home(era);
        for Question { tool, capability, method, answer, said } in questions() {
            let mut client = legacy(&home, &json!({ capability: {} }));
            client.send(&request("call", "tools/call", &json!({ "name": tool })));
            let question = client.next();
            assert_eq!(question["method"], method, "{era}: {question}");
            client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }).to_string());
            let answer = client.next();
            let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
            assert!(text.contains(said), "{era}: {answer}");
            assert_eq!(answer["result"].get("resultType"), None, "{era}: {answer}");
        }
    }
}

#[test]
fn a_client_that_cannot_be_asked_is_told_what_is_missing() {
    let home = home("legacy");
    let mut client = legacy(&home, &json!({}));
    client.send(&request(
        "call",
        "tools/call",
        &json!({ "name": "test_sampling", "arguments": { "prompt": "x" } }),
    ));
    let answer = client.next();
    assert_eq!(answer["error"]["data"]["requiredCapabilities"], json!({ "sampling": {} }), "{answer}");
}

#[test]
fn a_list_that_a_server_changes_is_told_at_once() {
    for era in ["legacy", "modern"] {
        let home = home(era);
        let mut client = modern(&home);
        // Somebody must be connected to hear of it.
        client.call("test_simple_text", &json!({}));
        let wanted = json!({ "toolsListChanged": true, "promptsListChanged": true });
        client.ask("subscriptions/listen", json!({ "notifications": wanted }));
        assert_eq!(client.next()["method"], "notifications/subscriptions/acknowledged");
        for (tool, told) in [("test_trigger_tool_change", "tools"), ("test_trigger_prompt_change", "prompts")]
        {
            let id = client.ask("tools/call", json!({ "name": tool }));
            let both = [client.next(), client.next()];
            let method = format!("notifications/{told}/list_changed");
            assert!(both.iter().any(|message| message["id"] == id), "{era}: {both:?}");
            assert!(both.iter().any(|message| message["method"] == method), "{era}: {both:?}");
        }
        let listed = client.request("tools/list", json!({})).to_string();
        assert!(listed.contains("test_extra_tool"), "{era}: {listed}");
    }
}

#[test]
fn a_denied_call_is_in_the_audit() {
    let home = home("both");
    home.write("environments/default/environment.yml", "tools: {deny: [test_simple_text]}\n");
    home.stn(&["sync", "--quiet"]).done();
    let mut client = modern(&home);
    client.refused("test_simple_text", &json!({}));
    assert!(home.json(&["audit", "list"]).to_string().contains("deny_tool_call"));
}

#[test]
fn a_batch_is_the_same_road_as_its_requests() {
    let home = home("both");
    let mut client = modern(&home);
    let hello = json!({
        "protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": { "name": "old", "version": "1" },
    });
    client.send(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }).to_string());
    assert_eq!(client.next()["result"]["protocolVersion"], "2025-03-26");
    let one = |id: u64, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let batch = json!([
        one(1, "resources/subscribe", json!({ "uri": "test://watched-resource" })),
        one(2, "logging/setLevel", json!({ "level": "loud" })),
        one(2, "logging/setLevel", json!({ "level": "error" })),
    ]);
    client.send(&batch.to_string());
    let answers = client.next();
    assert_eq!(answers[0]["result"], json!({}), "{answers}");
    assert_eq!(answers[1]["error"]["code"], -32602, "{answers}");
    assert_eq!(answers[2]["result"], json!({}), "{answers}");
}

#[test]
fn one_yes_sends_one_call_also_where_the_server_asks_before_it_is_done() {
    const TOOL: &str = "test_input_required_result_elicitation";
    let home = home("both");
    home.write("environments/default/environment.yml", &format!("tools: {{approve: [{TOOL}]}}\n"));
    home.stn(&["sync", "--quiet"]).done();
    let mut client = modern(&home);
    let can = json!({ "elicitation": {} });
    let mut call = |answers: Value, state: &Value| {
        let mut call = json!({ "name": TOOL, "arguments": {} });
        if !state.is_null() {
            call["inputResponses"] = answers;
            call["requestState"] = state.clone();
        }
        let id = client.ask_as(&can, "tools/call", call);
        client.answer(id)["result"].clone()
    };
    let yes = json!({ "approval": { "action": "accept", "content": { "decision": "approve" } } });
    let name = json!({ "user_name": form("Ada") });
    let asked = call(json!({}), &Value::Null);
    let questioned = call(yes, &asked["requestState"]);
    assert!(questioned["inputRequests"]["user_name"].is_object(), "{questioned}");
    let done = call(name.clone(), &questioned["requestState"]);
    assert!(done["content"][0]["text"].as_str().unwrap().contains("Ada"), "{done}");
    // Brought back a second time, its yes is used up: a person is asked anew.
    let again = call(name, &questioned["requestState"]);
    assert!(again["inputRequests"]["approval"].is_object(), "{again}");
    let sent = home.json(&["audit", "list"]).to_string().matches("call_tool").count();
    assert_eq!(sent, 2, "the call, and the same with the answer");
}
