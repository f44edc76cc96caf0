//! `stn stdio --env` and `/mcp/env/<name>`: an environment as one MCP server.

use crate::home::Home;
use crate::rpc::Client;
use expect_test::expect;
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<String> {
    list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_tools_of_an_environment_are_one_server_through_one_gate() {
    let home = Home::with_fake();
    home.write("environments/default/environment.yml", "tools: {deny: [write], approve: [read]}\n");
    home.stn(&["sync", "--quiet"]).done();
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let listed = client.request("tools/list", json!({}));
    assert!(names(&listed).contains(&"echo".to_owned()), "{listed}");
    assert!(!names(&listed).contains(&"write".to_owned()), "what is denied is not offered: {listed}");
    assert_eq!(client.request("tools/list", json!({})), listed, "the same each time");
    let called = client.call("echo", &json!({ "text": "hi" }));
    assert_ne!(called["isError"], true, "{called}");
    assert!(called["content"][0]["text"].as_str().unwrap().contains("hi"), "{called}");
    // It is in the audit, by the id that the call carried.
    let effect = called["_meta"]["station/effect-id"].as_str().unwrap().to_owned();
    assert!(home.json(&["audit", "list"]).to_string().contains(&effect));
    let denied = client.refused("write", &json!({ "text": "b" }));
    assert!(denied.contains("write"), "{denied}");
    // Who cannot be asked is told what to do.
    expect![[r#"`read` of server `fake` is about to be called with {"path":"notes.txt"}. `read` in `tools.approve` of the environment asks for a person's yes. This client cannot be asked: call it with `stn mcp call fake read --env default`"#]].assert_eq(&client.refused("read", &json!({ "path": "notes.txt" })));
    let can = json!({ "elicitation": {} });
    let call = json!({ "name": "read", "arguments": { "path": "notes.txt" } });
    let id = client.ask_as(&can, "tools/call", call.clone());
    let asked = client.answer(id)["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let mut back = call;
    back["requestState"] = asked["requestState"].clone();
    back["inputResponses"] =
        json!({ "approval": { "action": "accept", "content": { "decision": "approve" } } });
    let id = client.ask_as(&can, "tools/call", back.clone());
    assert_ne!(client.answer(id)["result"]["isError"], true);
    // A yes is for what was shown.
    back["arguments"]["path"] = "other.txt".into();
    let id = client.ask_as(&can, "tools/call", back);
    assert_eq!(client.answer(id)["error"]["code"], -32602);
    let id = client.ask("tools/call", json!({ "name": "ehco" }));
    assert_eq!(client.answer(id)["error"]["message"], "there is no tool `ehco` did you mean `echo`?");
    let (said, _) = client.end(&home);
    said.is(&expect![""]);
    home.stn(&["stdio", "--env", "nowhere"]).exits(1);
}

#[test]
fn a_name_that_two_servers_have_says_whose_it_is_and_a_new_server_is_heard_of() {
    let home = Home::with_fake();
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    client.ask("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    assert_eq!(client.next()["params"]["notifications"], json!({ "toolsListChanged": true }));
    home.server("default", "other", &[]);
    home.stn(&["sync", "--quiet"]).done();
    assert_eq!(client.next()["method"], "notifications/tools/list_changed");
    let listed = names(&client.request("tools/list", json!({})));
    assert!(
        listed.contains(&"fake__echo".to_owned()) && listed.contains(&"other__echo".to_owned()),
        "{listed:?}"
    );
    assert_ne!(client.call("other__echo", &json!({ "text": "hi" }))["isError"], true);
}

#[test]
fn a_server_that_died_is_back_within_the_next_call() {
    let home = Home::with_fake();
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let listed = names(&client.request("tools/list", json!({})));
    assert!(listed.contains(&"crash".to_owned()), "{listed:?}");
    client.refused("crash", &json!({}));
    assert_ne!(client.call("echo", &json!({ "text": "hi" }))["isError"], true);
}

#[test]
fn a_long_list_can_be_searched() {
    let home = Home::with_init();
    home.server("default", "fake", &["--tools", "60"]);
    home.stn(&["sync", "--quiet"]).done();
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    assert_eq!(
        names(&client.request("tools/list", json!({}))).last().map(String::as_str),
        Some("search_tools")
    );
    let found = client.done("search_tools", &json!({ "query": "echo" }));
    assert_eq!(found["tools"][0]["name"], "echo", "{found}");
    assert!(client.refused("search_tools", &json!({})).contains("`query` is missing"));
}

#[test]
fn a_tool_that_is_denied_while_a_client_listens_is_heard_of() {
    let home = Home::with_fake();
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    client.ask("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    assert_eq!(client.next()["params"]["notifications"], json!({ "toolsListChanged": true }));
    home.write("environments/default/environment.yml", "tools: {deny: [echo]}\n");
    home.stn(&["sync", "--quiet"]).done();
    assert_eq!(client.next()["method"], "notifications/tools/list_changed");
    assert!(!names(&client.request("tools/list", json!({}))).contains(&"echo".to_owned()));
}
