//! Servers that lack values of variables: a client that can be asked is asked for all of them at once, for one run or one call.

use crate::gateway_whole::{legacy, request};
use crate::home::Home;
use crate::rpc::Client;
use serde_json::{Value, json};
use station_testkit::fake_server;

const REGION: &str = "a-region-that-nobody-keeps";

/// A home whose server was listed while it had its variables, and lacks them now.
fn home(variables: &[&str]) -> Home {
    let home = Home::with_init();
    let env: serde_json::Map<String, Value> =
        variables.iter().map(|name| ((*name).to_owned(), json!(format!("{{{{ .{name} }}}}")))).collect();
    let entry = json!({ "command": fake_server::binary(), "env": env });
    let says = json!({ "variables": { "REGION": { "description": "Where the fleet is." } } });
    let file = json!({ "mcpServers": { "fake": entry }, "metadata": says });
    home.write("environments/default/mcp-servers/fake.json", &file.to_string());
    let all: String = variables.iter().map(|name| format!("{name}: now\n")).collect();
    home.write("environments/default/variables.yml", &all);
    home.agent("default", "scout", "model: offline\ntools: [env]\n");
    home.stn(&["sync", "--quiet"]).done();
    home.write("environments/default/variables.yml", "{}\n");
    home.stn(&["sync", "--quiet", "--no-discover"]).done();
    home
}

fn accept(content: &Value) -> Value {
    json!({ "action": "accept", "content": content })
}

/// What is asked by a result, and the call as it is to be brought back with an answer.
fn asked(client: &mut Client, can: &Value, call: &Value) -> (Value, Value) {
    let id = client.ask_as(can, "tools/call", call.clone());
    let result = client.answer(id)["result"].clone();
    assert_eq!(result["resultType"], "input_required", "{result}");
    let mut back = call.clone();
    back["requestState"] = result["requestState"].clone();
    (result["inputRequests"]["variables"]["params"].clone(), back)
}

#[test]
fn a_modern_client_of_the_gateway_is_asked_for_all_that_a_server_lacks() {
    let home = home(&["REGION", "ZONE"]);
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let call = json!({ "name": "env", "arguments": { "name": "REGION" } });
    assert!(
        client.refused("env", &call["arguments"]).contains("no value for `REGION`"),
        "it cannot be asked"
    );
    let can = json!({ "elicitation": {} });
    let (question, mut back) = asked(&mut client, &can, &call);
    let schema = &question["requestedSchema"];
    assert_eq!(schema["required"], json!(["REGION", "ZONE"]), "{question}");
    let says = schema["properties"]["REGION"]["description"].as_str().unwrap();
    assert_eq!(says, "Where the fleet is. Needed by server `fake`.");
    let answer = accept(&json!({ "REGION": REGION, "ZONE": "z", "PATH": "/" }));
    back["inputResponses"] = json!({ "variables": answer });
    let id = client.ask_as(&can, "tools/call", back.clone());
    let answer = client.answer(id);
    assert_eq!(answer["result"]["content"][0]["text"], REGION, "{answer}");
    // For this call alone: the next one asks again, and whoever puts it away calls nothing.
    let (_, mut away) = asked(&mut client, &can, &call);
    away["inputResponses"] = json!({ "variables": { "action": "cancel" } });
    let id = client.ask_as(&can, "tools/call", away);
    assert!(client.answer(id)["result"].to_string().contains("nobody gave the values"));
    // What is missing still is not asked for over and over.
    back["inputResponses"] = json!({ "variables": accept(&json!({ "REGION": "" })) });
    let id = client.ask_as(&can, "tools/call", back);
    let still = client.answer(id)["result"].to_string();
    assert!(still.contains("no value for `REGION`"), "{still}");
    drop(client);
    assert!(!home.json(&["audit", "list"]).to_string().contains(REGION));
}

#[test]
fn values_that_were_given_go_with_the_call_through_an_approval() {
    let home = home(&["REGION"]);
    home.write("environments/default/environment.yml", "tools: {approve: [env]}\n");
    home.stn(&["sync", "--quiet", "--no-discover"]).done();
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let can = json!({ "elicitation": {} });
    let (_, mut back) =
        asked(&mut client, &can, &json!({ "name": "env", "arguments": { "name": "REGION" } }));
    back["inputResponses"] = json!({ "variables": accept(&json!({ "REGION": REGION })) });
    let id = client.ask_as(&can, "tools/call", back.clone());
    let result = client.answer(id)["result"].clone();
    assert!(result["inputRequests"]["approval"].is_object(), "{result}");
    let state = result["requestState"].as_str().unwrap();
    let hex: String = REGION.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!state.contains(REGION) && !state.contains(&hex), "{state}");
    back["requestState"] = state.into();
    back["inputResponses"] = json!({ "approval": accept(&json!({ "decision": "approve" })) });
    let id = client.ask_as(&can, "tools/call", back);
    let answer = client.answer(id);
    assert_eq!(answer["result"]["content"][0]["text"], REGION, "{answer}");
}

#[test]
fn an_older_client_of_the_gateway_is_asked_by_a_request() {
    let home = home(&["REGION"]);
    let mut client = legacy(&home, &json!({ "elicitation": {} }));
    let call = json!({ "name": "env", "arguments": { "name": "REGION" } });
    client.send(&request("call", "tools/call", &call));
    let question = client.next();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let answer = accept(&json!({ "REGION": REGION }));
    client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }).to_string());
    let answer = client.next();
    assert_eq!(answer["result"]["content"][0]["text"], REGION, "{answer}");
}

#[test]
fn a_secret_is_never_asked_for_by_a_form() {
    let home = home(&["REGION", "API_TOKEN"]);
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let call = json!({ "name": "env", "arguments": { "name": "REGION" } });
    let id = client.ask_as(&json!({ "elicitation": {} }), "tools/call", call);
    let result = client.answer(id)["result"].clone();
    assert_eq!(result["isError"], true, "{result}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("`stn variables set API_TOKEN --env default`"), "{text}");
}

#[test]
fn the_client_of_a_run_is_asked_for_what_its_servers_lack() {
    let home = home(&["REGION", "API_TOKEN"]);
    home.write("environments/default/variables.yml", "API_TOKEN: t\n");
    home.stn(&["sync", "--quiet", "--no-discover"]).done();
    let mut client = Client::start(&home, &["stdio"]);
    let can = json!({ "elicitation": { "form": {} } });
    let task = json!({ "agent_id": "scout", "task": "env \"REGION\"" });
    let call = json!({ "name": "call_agent", "arguments": task });
    let (question, mut back) = asked(&mut client, &can, &call);
    assert_eq!(question["requestedSchema"]["required"], json!(["REGION"]), "{question}");
    back["inputResponses"] = json!({ "variables": accept(&json!({ "REGION": REGION })) });
    let id = client.ask_as(&can, "tools/call", back.clone());
    let answer = client.answer(id)["result"]["structuredContent"]["execution"].clone();
    assert_eq!(answer["status"], "completed", "{answer}");
    assert!(answer["response"].to_string().contains(REGION), "{answer}");
    // Whoever declines has it run without; whoever puts the question away has it not run at all.
    back["inputResponses"] = json!({ "variables": { "action": "decline" } });
    let id = client.ask_as(&can, "tools/call", back.clone());
    let declined = client.answer(id)["result"]["structuredContent"]["execution"].clone();
    assert!(declined["run_id"].is_i64() && !declined["response"].to_string().contains(REGION), "{declined}");
    back["inputResponses"] = json!({ "variables": { "action": "cancel" } });
    let id = client.ask_as(&can, "tools/call", back);
    let away = client.answer(id)["result"].clone();
    assert!(away["content"][0]["text"].as_str().unwrap().contains("was not run"), "{away}");
    // A client that cannot be asked has it run as it can.
    let id = client.ask("tools/call", call);
    assert!(client.answer(id)["result"]["structuredContent"]["execution"]["run_id"].is_i64());
}

#[test]
fn an_older_client_of_a_run_is_asked_by_a_request() {
    let home = home(&["REGION"]);
    let mut client = Client::start(&home, &["stdio"]);
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} },
        "clientInfo": { "name": "old", "version": "1" },
    });
    client.send(&request("hello", "initialize", &hello));
    client.next();
    let task = json!({ "agent_id": "scout", "task": "env \"REGION\"" });
    client.send(&request("call", "tools/call", &json!({ "name": "call_agent", "arguments": task })));
    let question = client.next();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let answer = accept(&json!({ "REGION": REGION }));
    client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }).to_string());
    let answer = client.next()["result"]["structuredContent"]["execution"].clone();
    assert!(answer["response"].to_string().contains(REGION), "{answer}");
}

/// A home whose server was listed while it was told its eras by a variable, and lacks that now.
fn home_of_offers() -> Home {
    let home = Home::with_init();
    let entry = json!({ "command": fake_server::conformance(), "args": ["--era", "{{ .ERA }}"] });
    let file = json!({ "mcpServers": { "fixture": entry } });
    home.write("environments/default/mcp-servers/fixture.json", &file.to_string());
    home.write("environments/default/variables.yml", "ERA: both\n");
    home.stn(&["sync", "--quiet"]).done();
    home.write("environments/default/variables.yml", "{}\n");
    home.stn(&["sync", "--quiet", "--no-discover"]).done();
    home
}

/// What is looked at beside tools, and what stands in the answer.
fn looks() -> [(&'static str, Value, &'static str); 2] {
    let arguments = json!({ "arg1": "a", "arg2": "b" });
    [
        ("resources/read", json!({ "uri": "test://static-text" }), "the content of the static text resource"),
        ("prompts/get", json!({ "name": "test_prompt_with_arguments", "arguments": arguments }), "arg1='a'"),
    ]
}

#[test]
fn a_modern_client_that_reads_or_fills_in_a_prompt_is_asked_for_what_the_server_lacks() {
    let home = home_of_offers();
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let can = json!({ "elicitation": {} });
    for (method, params, expected) in looks() {
        let id = client.ask(method, params.clone());
        let refused = client.answer(id)["error"]["message"].to_string();
        assert!(refused.contains("no value for `ERA`"), "it cannot be asked: {refused}");
        let id = client.ask_as(&can, method, params.clone());
        let asked = client.answer(id)["result"].clone();
        let question = &asked["inputRequests"]["variables"]["params"];
        assert_eq!(question["requestedSchema"]["required"], json!(["ERA"]), "{method}: {asked}");
        let mut back = params.clone();
        back["requestState"] = asked["requestState"].clone();
        back["inputResponses"] = json!({ "variables": accept(&json!({ "ERA": "both" })) });
        let id = client.ask_as(&can, method, back.clone());
        let answer = client.answer(id)["result"].clone();
        assert!(answer.to_string().contains(expected), "{method}: {answer}");
        // Whoever puts the question away is shown nothing, and what was given holds for one request.
        back["inputResponses"] = json!({ "variables": { "action": "cancel" } });
        let id = client.ask_as(&can, method, back);
        let away = client.answer(id)["error"]["message"].to_string();
        assert!(away.contains("nobody gave the values"), "{method}: {away}");
    }
    // While somebody types, nothing is asked.
    let of = json!({ "type": "ref/prompt", "name": "test_prompt_with_arguments" });
    let completing = json!({ "ref": of, "argument": { "name": "arg1", "value": "par" } });
    let id = client.ask_as(&can, "completion/complete", completing);
    let refused = client.answer(id)["error"]["message"].to_string();
    assert!(refused.contains("no value for `ERA`"), "{refused}");
}

#[test]
fn an_older_client_that_reads_or_fills_in_a_prompt_is_asked_by_a_request() {
    let home = home_of_offers();
    let mut client = legacy(&home, &json!({ "elicitation": {} }));
    for (method, params, expected) in looks() {
        client.send(&request(method, method, &params));
        let question = client.next();
        assert_eq!(question["method"], "elicitation/create", "{question}");
        let answer = accept(&json!({ "ERA": "both" }));
        client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }).to_string());
        let answer = client.next();
        assert!(answer["result"].to_string().contains(expected), "{method}: {answer}");
    }
}

#[test]
fn whoever_calls_an_agent_as_a_tool_is_asked_for_what_its_servers_lack() {
    let home = home(&["REGION"]);
    home.write("environments/default/environment.yml", "agents_as_tools: true\n");
    home.stn(&["sync", "--quiet", "--no-discover"]).done();
    let call = json!({ "name": "agent_scout", "arguments": { "task": "env \"REGION\"" } });
    let can = json!({ "elicitation": {} });
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let (question, mut back) = asked(&mut client, &can, &call);
    assert_eq!(question["requestedSchema"]["required"], json!(["REGION"]), "{question}");
    back["inputResponses"] = json!({ "variables": accept(&json!({ "REGION": REGION })) });
    let id = client.ask_as(&can, "tools/call", back);
    let answer = client.answer(id)["result"].clone();
    assert!(answer["content"][0]["text"].to_string().contains(REGION), "{answer}");
    let mut client = legacy(&home, &can);
    client.send(&request("call", "tools/call", &call));
    let question = client.next();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let answer = accept(&json!({ "REGION": REGION }));
    client.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }).to_string());
    let answer = client.next();
    assert!(answer["result"]["content"][0]["text"].to_string().contains(REGION), "{answer}");
}
