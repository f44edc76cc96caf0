//! Agents as tools: in the gateway of an environment that says so, and at the port next to that of MCP, with the addresses that
//! older scripts know.

use crate::gateway::names;
use crate::home::Home;
use crate::http::Served;
use crate::rpc::Client;
use crate::watch::until;
use expect_test::expect;
use serde_json::{Value, json};

const READER: &str = "model: offline\ntools: [read]\n";

fn agents(list: &Value) -> Vec<String> {
    names(list).into_iter().filter(|name| name.starts_with("agent_")).collect()
}

#[test]
fn a_gateway_offers_its_agents_where_the_environment_says_so() {
    let home = Home::with_fake();
    home.agent("default", "File Reader", READER);
    home.agent(
        "default",
        "regional",
        "model: offline\ntools: [read]\ninput: {schema: {region?: string, count?: integer}}\n",
    );
    home.agent("default", "asleep", READER);
    home.stn(&["sync", "--quiet"]).done();
    let mut own = Client::start(&home, &["stdio"]);
    own.done("update_agent", &json!({ "agent_id": "asleep", "enabled": false }));
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let nothing: [&str; 0] = [];
    assert_eq!(agents(&client.request("tools/list", json!({}))), nothing);
    client.ask("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    assert_eq!(client.next()["params"]["notifications"], json!({ "toolsListChanged": true }));
    home.write("environments/default/environment.yml", "agents_as_tools: true\n");
    home.stn(&["sync", "--quiet"]).done();
    assert_eq!(client.next()["method"], "notifications/tools/list_changed");
    let listed = client.request("tools/list", json!({}));
    assert_eq!(agents(&listed), ["agent_file_reader", "agent_regional"]);
    let tools = listed["tools"].as_array().unwrap();
    let reader = tools.iter().find(|tool| tool["name"] == "agent_file_reader").unwrap();
    assert_eq!(
        (&reader["title"], &reader["description"]),
        (&json!("File Reader"), &json!("It is File Reader"))
    );
    assert_eq!(reader["inputSchema"]["required"], json!(["task"]));
    // The answer of the agent is the tool's, and the run is one like any other.
    let called = client.call("agent_file_reader", &json!({ "task": "read notes.txt" }));
    assert_eq!(called["isError"], false, "{called}");
    assert!(called["content"][0]["text"].as_str().unwrap().contains("notes.txt"), "{called}");
    let run = called["_meta"]["station/run-id"].to_string();
    assert_eq!(home.json(&["runs", "inspect", &run])["run"]["status"], "completed");
    // What the agent's file declares is what is checked.
    let misfit = client.refused("agent_regional", &json!({ "task": "read notes.txt", "count": "many" }));
    expect![[r#"`/count`: "many" is not of types "null", "integer""#]].assert_eq(&misfit);
    assert!(client.refused("agent_regional", &json!({ "task": " " })).contains("`task`"));
    let id = client.ask("tools/call", json!({ "name": "agent_asleep", "arguments": { "task": "x" } }));
    expect!["there is no tool `agent_asleep`"]
        .assert_eq(client.answer(id)["error"]["message"].as_str().unwrap());
    // Station's own server stays what it is.
    assert_eq!(names(&own.request("tools/list", json!({}))).len(), 13);
}

#[test]
fn an_approval_that_an_agent_needs_is_asked_of_who_called_it_as_a_tool() {
    let home = Home::with_fake();
    home.agent("default", "reader", READER);
    home.write("environments/default/environment.yml", "agents_as_tools: true\ntools: {approve: [read]}\n");
    home.stn(&["sync", "--quiet"]).done();
    let mut client = Client::start(&home, &["stdio", "--env", "default"]);
    let told = client.refused("agent_reader", &json!({ "task": "read notes.txt" }));
    assert!(told.contains("waits for a person's approval: `stn approvals approve 1`"), "{told}");
    let can = json!({ "elicitation": {} });
    let call = json!({ "name": "agent_reader", "arguments": { "task": "read notes.txt" } });
    let id = client.ask_as(&can, "tools/call", call.clone());
    let asked = client.answer(id)["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let mut back = call;
    back["requestState"] = asked["requestState"].clone();
    back["inputResponses"] =
        json!({ "approval-2": { "action": "accept", "content": { "decision": "approve" } } });
    let id = client.ask_as(&can, "tools/call", back);
    let done = client.answer(id)["result"].clone();
    assert_eq!(done["isError"], false, "{done}");
}

#[test]
fn the_port_next_to_mcp_has_agents_as_tools_and_runs_them_for_older_scripts() {
    let home = Home::with_fake().set("STN_MCP_PORT", "0");
    home.agent("default", "reader", READER);
    home.agent("staging", "reader", READER);
    home.server("staging", "fake", &[]);
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["sync", "staging", "--quiet"]).done();
    let served = Served::start(&home).at_last_port();
    let listed = served.modern("tools/list", json!({}), &[]);
    assert_eq!(names(&listed.json()["result"]), ["agent_reader"], "{}", listed.body);
    let call = json!({ "name": "agent_reader", "arguments": { "task": "read notes.txt" } });
    assert_eq!(served.modern("tools/call", call, &[]).json()["result"]["isError"], false);
    let execute = |body: Value| {
        let answer = served.send_to("/execute", "POST", &[], &body.to_string());
        (answer.status, answer.json())
    };
    let (status, executed) =
        execute(json!({ "agent_name": "reader", "task": "read notes.txt", "variables": {} }));
    assert_eq!((status, &executed["agent_name"]), (202, &json!("reader")), "{executed}");
    let run = executed["run_id"].as_i64().unwrap();
    let told = || served.send_to(&format!("/runs/{run}"), "GET", &[], "").json()["run"].clone();
    until("the run has ended", || told()["status"] == "completed");
    let told = told();
    assert!(told["final_response"].as_str().unwrap().contains("notes.txt"), "{told}");
    assert_eq!(
        (&told["id"], &told["agent_name"], &told["tools_used"]),
        (&json!(run), &json!("reader"), &json!(1))
    );
    let (status, other) =
        execute(json!({ "agent_name": "reader", "environment": "staging", "task": "read notes.txt" }));
    assert_eq!(status, 202, "{other}");
    assert_ne!(other["agent_id"], executed["agent_id"]);
    let refused = [
        (json!({ "agent_name": "reader" }), 400),
        (json!({ "task": "x" }), 400),
        (json!({ "agent_name": "raeder", "task": "x" }), 404),
        (json!({ "agent_id": 4711, "task": "x" }), 404),
        (json!({ "agent_name": "reader", "task": "x", "variables": [] }), 400),
        (json!([]), 400),
    ];
    let told: Vec<String> = refused
        .into_iter()
        .map(|(body, expected)| {
            let (status, answer) = execute(body.clone());
            assert_eq!(status, expected, "{body}: {answer}");
            format!("{}: {}", answer["error"].as_str().unwrap(), answer["message"].as_str().unwrap())
        })
        .collect();
    expect![[r#"
        invalid: `task` is missing: what the agent is to do, in words
        invalid: `agent_name` is missing, or `agent_id`
        not_found: agent `raeder` does not exist in environment `default` (hint: did you mean `reader`?)
        not_found: agent 4711 does not exist (hint: `stn agent list` shows them)
        invalid: the body is not what is expected: invalid type: sequence, expected a map at line 1 column 46 (hint: send {"agent_name": …, "task": …}, or agent_id in place of the name; `variables` is an object)
        invalid: `task` is missing: what the agent is to do, in words"#]].assert_eq(&told.join("\n"));
    for (path, status) in [("/runs/x", 400), ("/runs/4711", 404), ("/nothing", 404)] {
        assert_eq!(served.send_to(path, "GET", &[], "").status, status, "{path}");
    }
    // Nobody else's page, and no program without the token's right, runs an agent here.
    let foreign = served.send_to("/execute", "POST", &[("origin", "http://example.com")], "{}");
    assert_eq!(foreign.status, 403);
    served.stop();
}
