//! Who may do what over MCP and at the port of agents: every management tool, resource and completion, by every role, about what is in
//! an environment that is assigned to it and about what is in one that is not.

use crate::http::Answer;
use crate::who_may::{ROLES, World, rank};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What there is in an environment, by the names of parameters.
type Place<'a> = BTreeMap<&'a str, String>;

/// A management tool, the least role for it, and arguments about what is in a place, whose environment has this number.
type Row = (&'static str, &'static str, fn(&Place<'_>, &Value) -> Value);

/// Those that change most come last.
const TOOLS: [Row; 13] = [
    ("list_environments", "viewer", |_, _| json!({})),
    ("list_agents", "viewer", |_, environment| json!({ "environment_id": environment })),
    ("get_agent_details", "viewer", |place, _| json!({ "agent_id": place["agent"] })),
    ("list_tools", "viewer", |_, environment| json!({ "environment_id": environment })),
    ("list_mcp_configs", "viewer", |_, environment| json!({ "environment_id": environment })),
    ("list_prompts", "viewer", |_, _| json!({})),
    ("discover_tools", "user", |_, environment| json!({ "environment_id": environment })),
    ("call_agent", "user", |place, _| json!({ "agent_id": place["agent"], "task": "x", "async": true })),
    (
        "call_agent_advanced",
        "user",
        |place, _| json!({ "agent_id": place["agent"], "task": "x", "async": true }),
    ),
    (
        "suggest_agent_config",
        "user",
        |place, _| json!({ "user_request": "read files", "environment_name": place["environment"] }),
    ),
    (
        "create_agent",
        "user",
        |_, environment| json!({ "name": "made", "description": "d", "prompt": "p", "environment_id": environment, "tool_names": ["read"] }),
    ),
    ("update_agent", "user", |place, _| json!({ "agent_id": place["agent"], "description": "changed" })),
    ("delete_agent", "user", |place, _| json!({ "agent_id": place["agent"] })),
];

impl World {
    /// The answer to a request of MCP by `role`.
    fn ask(&self, role: &str, method: &str, params: Value) -> Value {
        let bearer = format!("Bearer {}", self.keys[role]);
        self.served.modern(method, params, &[("authorization", &bearer)]).json()
    }

    /// What a tool says to `role`, and whether that is an error.
    fn call(&self, role: &str, tool: &str, arguments: &Value) -> (bool, String) {
        let answer = self.ask(role, "tools/call", json!({ "name": tool, "arguments": arguments }));
        let result = &answer["result"];
        assert!(result.is_object(), "{tool}: {answer}");
        (result["isError"] == true, result["content"][0]["text"].as_str().unwrap_or_default().to_owned())
    }

    /// What comes of a request to the MCP server of an environment.
    fn at_environment(&self, key: &str, environment: &str, method: &str, params: &Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        self.served.send_as(key, &format!("/mcp/env/{environment}"), "POST", &body)
    }
}

#[test]
fn every_management_tool_is_for_those_who_may() {
    let world = World::new();
    let listed = world.ask("viewer", "tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    let there: BTreeSet<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let walked: BTreeSet<&str> = TOOLS.iter().map(|(tool, ..)| *tool).collect();
    assert_eq!(there, walked, "every tool has a row here that says for whom it is");
    let environment = |place: &Place<'_>| {
        let path = format!("/environments/{}", place["environment"]);
        world.send("admin", "GET", &path, "").json()["environment"]["id"].clone()
    };
    for (tool, needed, arguments) in TOOLS {
        for role in ROLES {
            let mut own = world.own.clone();
            own.extend(world.spare(tool, rank(role)));
            let (is_error, told) = world.call(role, tool, &arguments(&own, &environment(&own)));
            if rank(role) < rank(needed) {
                assert!(is_error && told.contains("may not"), "{tool} by {role}: {told}");
                continue;
            }
            assert!(!told.contains("may not"), "{tool} by {role}: {told}");
            assert!(!told.contains("does not exist"), "{tool} by {role}: {told}");
            let foreign = arguments(&world.foreign, &environment(&world.foreign));
            if foreign == json!({}) {
                continue;
            }
            let (is_error, told) = world.call(role, tool, &foreign);
            let is_hidden = is_error && told.contains("does not exist");
            assert_eq!(is_hidden, role != "admin", "{tool} by {role} of what is foreign: {told}");
            assert!(!told.contains("may not"), "{tool} by {role} of what is foreign: {told}");
        }
    }
    let (is_error, told) = world.call("user", "discover_tools", &json!({ "config_id": 2 }));
    assert!(is_error && told.contains("server file 2 does not exist"), "{told}");
}

#[test]
fn the_gateway_of_an_environment_is_for_those_who_may() {
    let world = World::new();
    let ask = |role: &str, environment: &str, method: &str, params: Value| {
        world.at_environment(&world.keys[role], environment, method, &params)
    };
    let echo = || json!({ "name": "echo", "arguments": { "text": "hi" } });
    for role in ROLES {
        assert!(ask(role, "default", "tools/list", json!({})).body.contains("echo"), "{role}");
        let called = ask(role, "default", "tools/call", echo()).body;
        assert_eq!(called.contains("may not call tools"), role == "viewer", "{role}: {called}");
        assert_eq!(called.contains(r#""text":"hi""#), role != "viewer", "{role}: {called}");
        for (method, params) in [("tools/list", json!({})), ("tools/call", echo())] {
            let foreign = ask(role, "foreign", method, params);
            assert_eq!(foreign.status, if role == "admin" { 200 } else { 404 }, "{role}: {}", foreign.body);
        }
    }
    let wrong = format!("stn_1_{}", "0".repeat(64));
    assert_eq!(world.at_environment(&wrong, "default", "tools/list", &json!({})).status, 401);
}

#[test]
fn resources_and_completions_tell_nobody_of_what_is_foreign() {
    let world = World::new();
    let ask = |role: &str, method: &str, params: Value| world.ask(role, method, params);
    let named = |listed: &Value, nouns: &str, address: &str| -> Vec<String> {
        let all = listed["result"][nouns].as_array().unwrap_or_else(|| panic!("{listed}"));
        all.iter().map(|it| it[address].as_str().unwrap().to_owned()).collect()
    };
    let resources = named(&ask("viewer", "resources/list", json!({})), "resources", "uri");
    let templates =
        named(&ask("viewer", "resources/templates/list", json!({})), "resourceTemplates", "uriTemplate");
    assert_eq!((resources.len(), templates.len()), (3, 3), "{resources:?} {templates:?}");
    for role in ROLES {
        for uri in &resources {
            let read = ask(role, "resources/read", json!({ "uri": uri }));
            let text = read["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{read}"));
            let count = serde_json::from_str::<Value>(text).unwrap()["count"].as_i64().unwrap();
            // Both environments are alike.
            assert_eq!(count > 1, role == "admin", "{uri} by {role}: {text}");
        }
        for (place, is_told) in [(&world.own, true), (&world.foreign, role == "admin")] {
            for template in &templates {
                let noun = if template.contains("agents/{id}") { "agent" } else { "environment" };
                let uri = template.replace("{id}", &place[noun]);
                let read = ask(role, "resources/read", json!({ "uri": uri }));
                assert_eq!(read["error"].is_null(), is_told, "{uri} by {role}: {read}");
            }
        }
        let complete = |of: Value, argument: &str, context: Value| -> Vec<String> {
            let params =
                json!({ "ref": of, "argument": { "name": argument, "value": "" }, "context": context });
            let told = ask(role, "completion/complete", params);
            let values = told["result"]["completion"]["values"].as_array();
            let values = values.unwrap_or_else(|| panic!("{argument} by {role}: {told}"));
            values.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
        };
        for template in &templates {
            let of = json!({ "type": "ref/resource", "uri": template });
            let values = complete(of, "id", json!({}));
            // Agents that are not in `default` are told by number.
            let is_told = values.contains(&"foreign".to_owned()) || values.contains(&world.foreign["agent"]);
            assert_eq!(is_told, role == "admin", "{template} by {role}: {values:?}");
            assert!(!values.is_empty(), "{template} by {role}");
        }
        let prompt = json!({ "type": "ref/prompt", "name": "create_logs_analysis_agent" });
        let environments = complete(prompt.clone(), "environment", json!({}));
        assert_eq!(environments.contains(&"foreign".to_owned()), role == "admin", "{environments:?}");
        let tools = complete(prompt, "focus", json!({ "arguments": { "environment": "foreign" } }));
        assert_eq!(!tools.is_empty(), role == "admin", "{tools:?}");
    }
}

#[test]
fn the_port_of_agents_is_for_those_who_may() {
    let mut world = World::new();
    let nowhere = json!({ "name": "stranger", "role": "user", "environments": ["foreign"] }).to_string();
    assert_eq!(world.send("admin", "POST", "/users", &nowhere).status, 201);
    let key = world.send("admin", "POST", "/users/stranger/api-keys", r#"{"name": "k"}"#);
    let stranger = key.json()["secret"].as_str().unwrap().to_owned();
    world.served = world.served.at_last_port();
    let send = |key: &str, method: &str, path: &str, body: &Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        world.served.send_as(key, path, method, &body).status
    };
    let call = json!({ "name": "agent_reader", "arguments": { "task": "read it" } });
    for role in ROLES {
        let key = &world.keys[role];
        for (place, is_own) in [(&world.own, true), (&world.foreign, false)] {
            let execute = json!({ "agent_id": place["agent"].parse::<i64>().unwrap(), "task": "read it" });
            let there = if is_own || role == "admin" { 200 } else { 404 };
            let executed = if there == 200 { 202 } else { 404 };
            let executed = if role == "viewer" { 403 } else { executed };
            assert_eq!(send(key, "POST", "/execute", &execute), executed, "{role} {place:?}");
            let run = format!("/runs/{}", place["run"]);
            assert_eq!(send(key, "GET", &run, &Value::Null), there, "{role} {place:?}");
            let environment = &*place["environment"];
            let listed = world.at_environment(key, environment, "tools/list", &json!({}));
            assert_eq!(listed.status, there, "{role} {environment}: {}", listed.body);
            assert_eq!(listed.body.contains("agent_reader"), there == 200, "{role}: {}", listed.body);
            let called = world.at_environment(key, environment, "tools/call", &call);
            assert_eq!(called.status, there, "{role} {environment}: {}", called.body);
            let is_refused = role == "viewer" && there == 200;
            assert_eq!(called.body.contains("may not"), is_refused, "{role} {environment}: {}", called.body);
        }
        // Without the name of an environment it is `default`.
        let listed = world.ask(role, "tools/list", json!({}));
        assert!(listed.to_string().contains("agent_reader"), "{role}: {listed}");
        let (is_error, told) = world.call(role, "agent_reader", &call["arguments"]);
        assert!(is_error, "it waits for a person's approval, or is not begun: {told}");
        assert_eq!(told.contains("may not"), role == "viewer", "{role}: {told}");
    }
    // To whom `default` is not assigned there is nothing in it.
    world.keys.insert("stranger", stranger.clone());
    let listed = world.ask("stranger", "tools/list", json!({}));
    assert!(!listed.to_string().contains("agent_reader"), "{listed}");
    let called = world.ask("stranger", "tools/call", call);
    assert!(called["error"].is_object() || called["result"]["isError"] == true, "{called}");
    assert!(!called.to_string().contains("approval"), "{called}");
    let execute = json!({ "agent_name": "reader", "task": "read it" });
    let send = |key: &str, method: &str, path: &str, body: &Value| {
        world.served.send_as(key, path, method, &body.to_string()).status
    };
    assert_eq!(send(&stranger, "POST", "/execute", &execute), 404);
    let wrong = format!("stn_1_{}", "0".repeat(64));
    let run = format!("/runs/{}", world.own["run"]);
    for (method, path) in
        [("POST", "/execute"), ("GET", &*run), ("POST", "/mcp"), ("POST", "/mcp/env/default")]
    {
        assert_eq!(send(&wrong, method, path, &execute), 401, "{path}");
    }
}
