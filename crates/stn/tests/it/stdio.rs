//! `stn stdio` beside MCP clients of both eras.

use crate::home::Home;
use crate::rpc::Client;
use crate::watch::until;
use expect_test::expect;
use serde_json::{Value, json};
use station_core::schema;

/// A home with an agent that reads, and one that never ends.
fn home() -> Home {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.agent("default", "waiter", "model: offline\ntools: [hang, read]\n");
    home.stn(&["sync", "--quiet"]).done();
    home
}

fn status(home: &Home, run: i64) -> String {
    let run = home.json(&["runs", "inspect", &run.to_string()]);
    run["run"]["status"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn both_eras_are_greeted_on_one_pipe_and_no_version_is_echoed() {
    let home = Home::with_init();
    let mut client = Client::start(&home, &["stdio"]);
    // A client looks whether anybody is there before it says who it is.
    client.send(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#);
    assert_eq!(client.next(), json!({ "jsonrpc": "2.0", "id": "p", "result": {} }));
    let discovered = client.request("server/discover", json!({}));
    assert_eq!(
        discovered["supportedVersions"],
        json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"])
    );
    assert_eq!(discovered["resultType"], "complete");
    assert_eq!(discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "station");
    for (asked, agreed) in [
        ("2025-11-25", "2025-11-25"),
        ("2024-11-05", "2024-11-05"),
        ("1999-01-01", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
    ] {
        let params = json!({ "protocolVersion": asked, "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } });
        client.send(
            &json!({ "jsonrpc": "2.0", "id": 90, "method": "initialize", "params": params }).to_string(),
        );
        assert_eq!(client.answer(90)["result"]["protocolVersion"], agreed, "{asked}");
    }
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    client.send(r#"{"jsonrpc":"2.0","id":91,"method":"tools/list"}"#);
    let listed = client.answer(91);
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(13));
    assert_eq!(listed["result"].get("resultType"), None, "an older client is told nothing it does not know");
    // A modern request on the same pipe is answered as one.
    assert_eq!(client.request("tools/list", json!({}))["resultType"], "complete");
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2027-01-01" });
    let id = client.ask("tools/list", json!({ "_meta": meta }));
    let error = client.answer(id)["error"].clone();
    assert_eq!((&error["code"], &error["data"]["requested"]), (&json!(-32022), &json!("2027-01-01")));
    let (said, rest) = client.end(&home);
    assert!(rest.is_empty(), "{rest:?}");
    said.is(&expect![""]);
}

#[test]
fn the_thirteen_tools_are_told_with_what_calling_them_does() {
    let home = Home::with_init();
    let mut client = Client::start(&home, &["stdio"]);
    let tools = client.request("tools/list", json!({}))["tools"].clone();
    let mut shown = String::new();
    for tool in tools.as_array().unwrap() {
        let hint = |name: &str| tool["annotations"][name] == true;
        let effect = match (hint("readOnlyHint"), hint("destructiveHint"), hint("idempotentHint")) {
            (true, ..) => "reads",
            (_, true, true) => "changes",
            (_, true, false) => "acts",
            (..) => "adds",
        };
        let required = &tool["inputSchema"]["required"];
        let mut all: Vec<&String> = tool["inputSchema"]["properties"].as_object().unwrap().keys().collect();
        all.sort();
        let names: Vec<String> = all
            .into_iter()
            .map(|name| {
                if required.as_array().unwrap().contains(&json!(name)) {
                    format!("{name}*")
                } else {
                    name.clone()
                }
            })
            .collect();
        shown += &format!("{} ({effect}): {}\n", tool["name"].as_str().unwrap(), names.join(", "));
        for key in ["inputSchema", "outputSchema"] {
            assert_eq!(schema::fault(&tool[key]), None, "{tool}");
        }
        assert!(tool["description"].as_str().unwrap().len() > 60, "{tool}");
        assert!(tool["title"].as_str().is_some_and(|title| title != tool["name"]), "{tool}");
    }
    expect![[r#"
        create_agent (adds): agents, description*, domain, enabled, environment_id*, input_schema, max_steps, model, name*, output_schema, prompt*, schedule, tool_names, tool_reasons
        update_agent (changes): agent_id*, agents, description, enabled, environment_id, max_steps, model, name, prompt, schedule, tool_names, tool_reasons
        delete_agent (changes): agent_id*, environment_id
        list_agents (reads): enabled_only, environment_id
        get_agent_details (reads): agent_id*, environment_id
        call_agent (acts): agent_id*, async, context, environment_id, store_run, task*, timeout
        call_agent_advanced (acts): agent_id*, async, budget, context, environment_id, max_steps, model, store_run, task*, timeout, variables
        discover_tools (acts): config_id, environment_id
        list_tools (reads): environment_id, search
        list_mcp_configs (reads): environment_id
        list_environments (reads): 
        list_prompts (reads): category
        suggest_agent_config (reads): domain, environment_name, include_tool_details, user_request*
    "#]].assert_eq(&shown);
}

#[test]
fn what_every_tool_gives_fits_what_it_says_it_gives() {
    let home = home();
    let mut client = Client::start(&home, &["stdio"]);
    let tools = client.request("tools/list", json!({}))["tools"].clone();
    let calls = [
        ("list_environments", json!({})),
        ("create_agent", json!({ "name": "new", "description": "d", "prompt": "p", "environment_id": 1 })),
        ("update_agent", json!({ "agent_id": "new", "description": "other", "enabled": false })),
        ("list_agents", json!({ "environment_id": "1" })),
        ("get_agent_details", json!({ "agent_id": "reader" })),
        ("delete_agent", json!({ "agent_id": "new" })),
        ("call_agent", json!({ "agent_id": "reader", "task": "read notes.txt" })),
        ("call_agent_advanced", json!({ "agent_id": "reader", "task": "read notes.txt" })),
        ("discover_tools", json!({})),
        ("list_tools", json!({ "search": "echo" })),
        ("list_mcp_configs", json!({})),
        ("list_prompts", json!({})),
        ("suggest_agent_config", json!({ "user_request": "read files and echo them" })),
    ];
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        assert!(calls.iter().any(|(called, _)| *called == name), "no call of {name}");
    }
    for (name, arguments) in calls {
        let tool = tools.as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
        assert_eq!(schema::check(&tool["inputSchema"], &arguments), Vec::<String>::new(), "{name}");
        let result = client.call(name, &arguments);
        assert_eq!(result["isError"], false, "{name}: {result}");
        let structured = &result["structuredContent"];
        assert_eq!(
            schema::check(&tool["outputSchema"], structured),
            Vec::<String>::new(),
            "{name}: {structured}"
        );
        assert_eq!(structured["success"], true, "{name}");
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, *structured, "the text is the same JSON");
    }
}

#[test]
fn an_agent_is_made_called_changed_and_deleted_by_a_client() {
    let home = home();
    let mut client = Client::start(&home, &["stdio"]);
    let environment = client.done("list_environments", &json!({}))["environments"][0]["id"].clone();
    let made = client.done(
        "create_agent",
        &json!({
            "name": "echoer", "description": "Echoes", "prompt": "You echo.", "environment_id": environment,
            "tool_names": ["__echo", "nobody"], "max_steps": 4, "model": "offline",
        }),
    );
    assert_eq!(made["agent"]["max_steps"], 4);
    let assignment = &made["tool_assignment"];
    assert_eq!(assignment["assigned_tools"], json!(["__echo"]));
    assert_eq!(
        (&assignment["skipped_tools"], &assignment["status"]),
        (&json!(["nobody"]), &json!("partial"))
    );
    assert!(home.read("environments/default/agents/echoer.prompt").contains("You echo."));
    let id = made["agent"]["id"].clone();
    let called =
        client.done("call_agent_advanced", &json!({ "agent_id": id.to_string(), "task": "echo \"hi\"" }));
    let execution = &called["execution"];
    assert_eq!((&execution["status"], &execution["agent_id"]), (&json!("completed"), &id));
    assert!(execution["response"].as_str().unwrap().contains("hi"), "{execution}");
    let call = &execution["tool_calls"][0];
    assert_eq!(
        (&call["server"], &call["tool"], &call["status"]),
        (&json!("fake"), &json!("echo"), &json!("returned"))
    );
    // Editing one field keeps the rest of the file.
    let path = "environments/default/agents/echoer.prompt";
    home.write(path, &home.read(path).replacen("---\n", "---\n# a note of mine\n", 1));
    client.done("update_agent", &json!({ "agent_id": "echoer", "description": "Echoes more" }));
    let text = home.read(path);
    assert!(text.contains("# a note of mine") && text.contains("Echoes more"), "{text}");
    client.done("update_agent", &json!({ "agent_id": id, "enabled": false }));
    let refused = client.refused("call_agent", &json!({ "agent_id": id, "task": "echo" }));
    assert_eq!(refused, "agent `echoer` is disabled");
    let on = client.done("list_agents", &json!({ "enabled_only": true }));
    assert!(!on.to_string().contains("echoer"), "{on}");
    client.done("delete_agent", &json!({ "agent_id": id }));
    assert!(!home.config(path).exists());
    assert_eq!(client.done("list_agents", &json!({}))["count"], 2);
    // A run that nobody wants to keep leaves nothing.
    let gone =
        client.done("call_agent", &json!({ "agent_id": "reader", "task": "read a", "store_run": false }));
    let run = gone["execution"]["run_id"].as_i64().unwrap();
    home.stn(&["runs", "inspect", &run.to_string()]).exits(1);
}

#[test]
fn a_mistake_is_a_sentence_and_only_broken_protocol_is_an_error() {
    let home = home();
    let mut client = Client::start(&home, &["stdio"]);
    let mut check = |tool: &str, arguments: Value, expected: &str| {
        assert_eq!(client.refused(tool, &arguments), expected, "{tool} {arguments}");
    };
    check(
        "call_agent",
        json!({ "agent": 1 }),
        "`agent_id` is missing: Id of the agent, from list_agents, or its name (in environment `default` unless environment_id \
         says another); `task` is missing: What the agent is to do, in words; `agent` is no argument; did you mean `agent_id`?",
    );
    check(
        "call_agent",
        json!({ "agent_id": "raeder", "task": "x" }),
        "agent `raeder` does not exist in environment `default`\nhint: did you mean `reader`?",
    );
    check(
        "delete_agent",
        json!({ "agent_id": 77 }),
        "agent 77 does not exist\nhint: `stn agent list` shows them",
    );
    check(
        "list_agents",
        json!({ "environment_id": "nowhere" }),
        "environment `nowhere` does not exist\nhint: there are `default`; make one with `stn env create nowhere`",
    );
    check(
        "create_agent",
        json!({ "name": "7", "description": "d", "prompt": "p", "environment_id": 1 }),
        "`7` cannot be the name of an agent: a name of digits alone would be read as an id",
    );
    check(
        "discover_tools",
        json!({ "config_id": 99 }),
        "server file 99 does not exist\nhint: `list_mcp_configs` shows them",
    );
    check(
        "update_agent",
        json!({ "agent_id": "reader", "max_steps": 26 }),
        "`max_steps` must be a whole number from 1 to 25",
    );
    check("update_agent", json!({ "agent_id": "reader" }), "nothing is named that is to change");
    let seen = client.done("list_agents", &json!({ "user_id": 3 }));
    assert_eq!(seen["ignored_arguments"], json!(["user_id"]));
    let mut broken = |method: &str, params: Value, code: i64| {
        let id = client.ask(method, params);
        let answer = client.answer(id);
        assert_eq!(answer["error"]["code"], code, "{method}: {answer}");
    };
    broken("tools/call", json!({ "name": "call_agnet", "arguments": {} }), -32602);
    broken("tools/call", json!({ "arguments": {} }), -32602);
    broken("tools/call", json!({ "name": "list_agents", "arguments": [] }), -32602);
    broken("tools/list", json!({ "cursor": "next" }), -32602);
    broken("no/such", json!({}), -32601);
    broken("ping", json!({}), -32601);
    broken("prompts/get", json!({ "name": "create_comprehensive_agent" }), -32602);
    broken("tasks/get", json!({ "taskId": "1" }), -32021);
}

#[test]
fn a_run_for_a_worker_that_is_not_there_stays_in_the_queue_and_says_so() {
    let home = home();
    let mut client = Client::start(&home, &["stdio"]);
    let queued =
        client.done("call_agent", &json!({ "agent_id": "reader", "task": "read notes.txt", "async": true }));
    assert_eq!(queued["message"], "queued: no worker is running, start stn serve");
    assert_eq!(queued["execution"]["status"], "queued");
    // It is no worker of others' runs, and none of its own that it only queued.
    client.done("list_agents", &json!({}));
    let (said, _) = client.end(&home);
    said.is(&expect![""]);
    assert_eq!(status(&home, 1), "queued");
}

#[test]
fn whoever_asks_how_far_it_is_is_told_and_whoever_cancels_ends_the_run() {
    let home = home();
    let mut client = Client::start(&home, &["stdio"]);
    let params = json!({
        "_meta": { "progressToken": "t" }, "name": "call_agent",
        "arguments": { "agent_id": "reader", "task": "read notes.txt" },
    });
    client.request("tools/call", params);
    let told: Vec<String> = client
        .heard
        .drain(..)
        .map(|it| {
            format!(
                "{} {}: {}",
                it["params"]["progressToken"], it["params"]["progress"], it["params"]["message"]
            )
        })
        .collect();
    expect![[r#"
        "t" 1: "asking offline"
        "t" 2: "calling fake/read"
        "t" 3: "asking offline""#]]
    .assert_eq(&told.join("\n"));
    let params = json!({ "name": "call_agent", "arguments": { "agent_id": "waiter", "task": "hang now" } });
    let id = client.ask("tools/call", params);
    until("the call is out", || home.stn(&["runs", "inspect", "2"]).stdout.contains("-> fake/hang"));
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
    client.send(&cancel.to_string());
    until("the run has ended", || status(&home, 2) == "cancelled");
    // The next answer is that of the next request: what was cancelled is not answered.
    client.done("list_environments", &json!({}));
}

#[test]
fn the_end_of_the_input_is_the_end_whatever_is_under_way() {
    let home = home();
    let mut client = Client::start(&home, &["stdio"]);
    let call = |task: &str, timeout: i64| json!({ "name": "call_agent", "arguments": { "agent_id": "waiter", "task": task, "timeout": timeout } });
    // One takes longer than its client waits, and goes on.
    let on = client.request("tools/call", call("hang now", 1))["structuredContent"].clone();
    assert_eq!(on["execution"]["status"], "running", "{on}");
    assert!(on["message"].as_str().unwrap().starts_with("it takes longer than 1 s and goes on"), "{on}");
    // One is still waited for.
    client.ask("tools/call", call("hang now", 300));
    until("the call is out", || home.stn(&["runs", "inspect", "2"]).stdout.contains("-> fake/hang"));
    let (said, rest) = client.end(&home);
    said.done();
    assert!(rest.is_empty(), "nobody waits for an answer any more: {rest:?}");
    // What nobody waits for is over; what was told to go on is a worker's.
    assert_eq!((status(&home, 2), status(&home, 1)), ("cancelled".to_owned(), "queued".to_owned()));
}

#[test]
fn a_few_requests_that_are_piped_in_are_answered_before_the_end() {
    let home = Home::with_init();
    let meta = crate::rpc::meta(&json!({}));
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "_meta": meta, "name": "list_agents" } });
    let said = home.stn_reading(&["stdio"], &format!("{request}\nthis is no JSON\n\n"));
    let answers: Vec<Value> =
        said.done().stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(answers.iter().any(|it| it["error"]["code"] == -32700), "{answers:?}");
    assert!(answers.iter().any(|it| it["result"]["structuredContent"]["count"] == 0), "{answers:?}");
}

#[test]
fn notes_of_a_first_start_are_not_on_the_protocols_stream() {
    // A home without a key and without a database: `stn` has something to say about both.
    let home = Home::new();
    let mut client = Client::start(&home, &["stdio"]);
    assert_eq!(client.request("tools/list", json!({}))["tools"].as_array().map(Vec::len), Some(13));
    let (said, rest) = client.end(&home);
    assert!(rest.is_empty());
    assert!(said.done().stderr.contains("Made a new encryption key"), "{}", said.shown());
}

#[test]
fn station_is_a_server_to_itself() {
    let home = Home::with_init();
    let entry = json!({
        "command": env!("CARGO_BIN_EXE_stn"), "args": ["--config", home.config(""), "stdio"],
        // Without a token for a run it is a server like any other, and would not reach its own configuration.
        "station": { "sandbox": "off" },
    });
    let file = json!({ "mcpServers": { "station": entry } });
    home.write("environments/default/mcp-servers/station.json", &file.to_string());
    home.stn(&["sync", "--quiet"]).done();
    let servers = home.json(&["mcp", "status"]);
    let server = &servers["servers"][0];
    assert_eq!((&server["tools_count"], &server["era"]), (&json!(13), &json!("modern")), "{server}");
    let called = home.json(&["mcp", "call", "station", "list_environments"]);
    assert!(called.to_string().contains("default"), "{called}");
}
