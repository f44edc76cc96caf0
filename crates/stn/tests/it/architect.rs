//! Agents made and changed in words: `stn agent create`, `stn agent update`, and `suggest_agent_config`, as the architect plans
//! them through Station's own server.

use crate::at_server::{ask, url};
use crate::home::Home;
use crate::http::Served;
use crate::rpc::Client;
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::openai::{self, OpenAi, Seen, Turn};

/// Proposes an agent with the fake server's `echo`, after a look at the tools.
fn planner(seen: &Seen) -> Turn {
    let told = seen.results();
    let task: Value = serde_json::from_str(task(seen)).unwrap_or_default();
    match told.len() {
        0 => openai::calls([("list_tools", &json!({"environment_id": task["environment_id"]}).to_string())]),
        1 if task.get("change").is_some() => {
            let change = json!({
                "agent_id": task["agent_id"], "tool_names": ["fake__echo", "fake__add"], "max_steps": 9,
                "tool_reasons": {"fake__echo": "as before", "fake__add": "sums are asked for"},
            });
            openai::calls([("update_agent", &change.to_string())])
        }
        1 => {
            assert!(told[0].contains("echo"), "the tools of the environment: {}", told[0]);
            let new = json!({
                "name": task.get("name").cloned().unwrap_or("parrot".into()),
                "description": "Repeats what it is told", "environment_id": task["environment_id"],
                "prompt": "You repeat.\nSay nothing else.", "max_steps": 4, "tool_names": ["fake__echo"],
                "tool_reasons": {"fake__echo": "it says back what it is given"},
                "output_schema": {"type": "object", "properties": {"said": {"type": "string"}}},
            });
            openai::calls([("create_agent", &new.to_string())])
        }
        _ => openai::reply("It is done."),
    }
}

fn task(seen: &Seen) -> &str {
    let messages = seen.body["messages"].as_array().unwrap();
    let user = messages.iter().find(|message| message["role"] == "user");
    user.and_then(|message| message["content"].as_str()).unwrap_or_default()
}

fn home(model: &OpenAi) -> Home {
    Home::with_fake().asking(model).set("STN_AI_API_KEY", "a-key")
}

#[test]
fn an_agent_is_planned_shown_and_made_on_a_yes() {
    let model = OpenAi::from_fn(planner);
    let home = home(&model);
    home.stn(&["agent", "create", "parrot", "Repeats what it is told"]).is(&expect![[r#"
        Plan:
          name  parrot
          description  Repeats what it is told
          max_steps  4
          output_schema  {"type":"object","properties":{"said":{"type":"string"}}}
          tools  fake__echo (it says back what it is given)
          prompt
            You repeat.
            Say nothing else.
        --- stderr
        The architect plans it with openai/stand-in-1, in run 1.
        run 1 of `architect` in `@station`: model openai/stand-in-1, at most 12 steps (max_steps of the agent)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> station/list_tools {"environment_id":1}
          <- list_tools: 4.6 KB in [span]
          turn 2: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          ? station/create_agent waits for an approval (`grants beyond the run's own` in Station's own rules) {"name":"parrot","description":"Repeats what it is told","environment_id":1,"prompt":"You repeat.\nSay nothing else.","…
        hint: nothing was changed: carry it out with `stn approvals approve 1`, then `stn runs resume 1`, or say yes from the start with `--yes`
        hint: drop it with `stn runs cancel 1`
        --- exit 5
    "#]]);
    home.stn(&["agent", "list"]).is(&expect![[r#"
        --- stderr
        hint: there are no agents yet: `stn agent create NAME DESCRIPTION`, or `stn demo` for a first look
    "#]]);
    home.stn(&["approvals", "approve", "1"]).done();
    home.stn(&["runs", "resume", "1"]).is(&expect![[r#"
        It is done.
        --- stderr
        Driving run 1 here.
          create_agent was approved by root
          -> station/create_agent {"name":"parrot","description":"Repeats what it is told","environment_id":1,"prompt":"You repeat.\nSay nothing else.","…
          <- create_agent: 843 bytes in [span]
          turn 3: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (3 steps, 2 tool calls, 300 tokens in (192 cached), 60 out)
    "#]]);
    home.stn(&["agent", "create", "second", "Repeats what it is told", "--yes"]).is(&expect![[r#"
        Created agent 3 `second` in environment `default`.
          file  $HOME/.config/station/environments/default/agents/second.prompt
          tools  fake__echo (it says back what it is given)
        --- stderr
        The architect plans it with openai/stand-in-1, in run 2.
        run 2 of `architect` in `@station`: model openai/stand-in-1, at most 12 steps (max_steps of the agent)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> station/list_tools {"environment_id":1}
          <- list_tools: 4.6 KB in [span]
          turn 2: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          ? station/create_agent waits for an approval (`grants beyond the run's own` in Station's own rules) {"name":"second","description":"Repeats what it is told","environment_id":1,"prompt":"You repeat.\nSay nothing else.","…
        Plan:
          name  second
          description  Repeats what it is told
          max_steps  4
          output_schema  {"type":"object","properties":{"said":{"type":"string"}}}
          tools  fake__echo (it says back what it is given)
          prompt
            You repeat.
            Say nothing else.
          create_agent was approved by root
          -> station/create_agent {"name":"second","description":"Repeats what it is told","environment_id":1,"prompt":"You repeat.\nSay nothing else.","…
          <- create_agent: 843 bytes in [span]
          turn 3: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        hint: run it with `stn agent run 3 "your task"`
    "#]]);
    let made = home.read("environments/default/agents/second.prompt");
    expect![[r#"
        ---
        metadata:
          name: "second"
          description: "Repeats what it is told"
        max_steps: 4
        tools:
          - "fake__echo"
        output:
          schema: {"type":"object","properties":{"said":{"type":"string"}}}
        ---
        {{role "system"}}
        You repeat.
        Say nothing else.

        {{role "user"}}
        {{userInput}}
    "#]]
    .assert_eq(&made);
    home.stn(&["agent", "update", "second", "it should add, too", "--yes"]).is(&expect![[r#"
        Changed agent 3 `second` of environment `default`.
        --- stderr
        The architect plans it with openai/stand-in-1, in run 3.
        run 3 of `architect` in `@station`: model openai/stand-in-1, at most 12 steps (max_steps of the agent)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> station/list_tools {"environment_id":1}
          <- list_tools: 4.6 KB in [span]
          turn 2: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          ? station/update_agent waits for an approval (`grants beyond the run's own` in Station's own rules) {"agent_id":3,"tool_names":["fake__echo","fake__add"],"max_steps":9,"tool_reasons":{"fake__echo":"as before","fake__add…
        Plan:
          @@ -3,7 +3,8 @@
             name: "second"
             description: "Repeats what it is told"
          -max_steps: 4
          +max_steps: 9
           tools:
             - "fake__echo"
          +  - "fake__add"
           output:
             schema: {"type":"object","properties":{"said":{"type":"string"}}}
          tools  fake__echo (as before)
                         fake__add (sums are asked for)
          update_agent was approved by root
          -> station/update_agent {"agent_id":3,"tool_names":["fake__echo","fake__add"],"max_steps":9,"tool_reasons":{"fake__echo":"as before","fake__add…
          <- update_agent: 607 bytes in [span]
          turn 3: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
    "#]]);
    home.stn(&["env", "list"]).is(&expect![[r#"
        ID  NAME  AGENTS  SERVERS  ORIGIN  DESCRIPTION
        1  default  2  1  file
    "#]]);
}

/// A model that changes agent 1 at once, as `change` says.
fn changing(change: &Value) -> OpenAi {
    let mut change = change.clone();
    change["agent_id"] = json!(1);
    OpenAi::from_fn(move |seen| match seen.results().len() {
        0 => openai::calls([("update_agent", &change.to_string())]),
        _ => openai::reply("It is done."),
    })
}

const VICTIM: &str = "environments/default/agents/victim.prompt";

/// A home with the agent that is changed.
fn with_victim(model: &OpenAi) -> Home {
    let home = home(model);
    home.agent("default", "victim", "tools: [fake__echo]\n");
    home.stn(&["sync", "--quiet"]).done();
    home
}

/// Without tools in it, a change was made at once, and then it was said that nothing was changed.
#[test]
fn every_change_that_is_planned_waits_for_a_yes() {
    for (change, shown) in [
        (json!({"prompt": "Do evil."}), "+Do evil."),
        (json!({"description": "Something else"}), "Something else"),
        (json!({"name": "other", "enabled": false}), "  name           other\n  enabled        false\n"),
        (json!({"max_steps": 3, "enabled": false}), "  enabled        false\n"),
    ] {
        let model = changing(&change);
        let home = with_victim(&model);
        let before = (home.read(VICTIM), home.json(&["agent", "list"]));
        let said = home.stn(&["agent", "update", "victim", "say it better"]);
        said.exits(5);
        assert!(said.stdout.contains(shown), "{change}: {}", said.shown());
        assert_eq!((home.read(VICTIM), home.json(&["agent", "list"])), before, "{change}");
        // What is shown is what is made.
        home.stn(&["approvals", "approve", "1"]).done();
        home.stn(&["runs", "resume", "1", "--quiet"]).done();
        assert_eq!(home.json(&["runs", "list"])["runs"][0]["status"], "completed", "{change}");
        let is_renamed = change.get("name").is_some();
        let after =
            (if is_renamed { String::new() } else { home.read(VICTIM) }, home.json(&["agent", "list"]));
        assert_ne!(after, before, "{change}");
    }
}

/// One poisoned description of a tool was enough to have an agent changed by who only asked for a suggestion.
#[test]
fn a_suggestion_changes_no_agent_whatever_the_model_calls() {
    for change in [json!({"prompt": "Do evil."}), json!({"name": "other", "enabled": false})] {
        let model = changing(&change);
        let home = with_victim(&model);
        let before = (home.read(VICTIM), home.json(&["agent", "list"]));
        let mut client = Client::start(&home, &["stdio"]);
        let suggestion = client.done("suggest_agent_config", &json!({"user_request": "echo what I say"}));
        assert_eq!(suggestion["planner"], "ranking", "{suggestion}");
        client.end(&home).0.done();
        assert_eq!((home.read(VICTIM), home.json(&["agent", "list"])), before, "{change}");
        let rows = home.json(&["audit", "list"]);
        let actions: Vec<&str> =
            rows["audit"].as_array().unwrap().iter().filter_map(|row| row["action"].as_str()).collect();
        assert!(!actions.contains(&"update_agent"), "{actions:?}");
    }
}

#[test]
fn where_no_model_can_plan_the_ranking_takes_over_and_says_so() {
    let home = Home::with_fake();
    home.stn(&["agent", "create", "echoer", "says back an echo", "--model", "offline"]).is(&expect![[r#"
        Created agent 1 `echoer` in environment `default`.
          file  $HOME/.config/station/environments/default/agents/echoer.prompt
          tools  __echo (of server `fake`: matches echo)
        --- stderr
        Tools are chosen by ranking: no model is configured that could plan.
        hint: run it with `stn agent run 1 "your task"`
    "#]]);
    // A provider that refuses is as good as none.
    let refusing = OpenAi::from_fn(|_| openai::bad_key("a-key"));
    let home = home.asking(&refusing).set("STN_AI_API_KEY", "a-key");
    let said = home.stn(&["agent", "create", "second", "says back an echo"]);
    assert!(said.done().stderr.contains("Tools are chosen by ranking: "), "{}", said.shown());
    assert!(said.stderr.contains("401"), "{}", said.shown());
    home.stn(&["agent", "delete", "second", "--yes"]).done();
    let model = OpenAi::from_fn(|_| openai::reply("Nothing here can do that."));
    let home = home.asking(&model).set("STN_AI_API_KEY", "a-key");
    home.stn(&["agent", "create", "other", "says back an echo"]).is(&expect![[r#"
        Created agent 4 `other` in environment `default`.
          file  $HOME/.config/station/environments/default/agents/other.prompt
          tools  __echo (of server `fake`: matches echo)
        --- stderr
        The architect plans it with openai/stand-in-1, in run 2.
        run 2 of `architect` in `@station`: model openai/stand-in-1, at most 12 steps (max_steps of the agent)
          turn 1: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        Tools are chosen by ranking: Nothing here can do that.
        hint: run it with `stn agent run 4 "your task"`
    "#]]);
    home.stn(&["agent", "update", "other", "more"]).is(&expect![[r#"
        --- stderr
        The architect plans it with openai/stand-in-1, in run 3.
        run 3 of `architect` in `@station`: model openai/stand-in-1, at most 12 steps (max_steps of the agent)
          turn 1: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        error: there is no plan: Nothing here can do that
        hint: nothing was changed; options change it without a model: `stn agent update --help`
        --- exit 1
    "#]]);
}

/// A home with an agent `boss` that is granted `tools` of Station itself, and an agent `clerk`.
fn managed(model: &OpenAi, tools: &str) -> Home {
    let home = home(model);
    let file = json!({ "mcpServers": { "own": { "command": "stn", "args": ["stdio"] } } });
    home.write("environments/default/mcp-servers/own.json", &file.to_string());
    home.agent("default", "boss", &format!("tools: [{tools}]\n"));
    home.agent("default", "clerk", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    home
}

#[test]
fn a_run_that_calls_an_agent_through_station_is_above_it_and_approves_nothing() {
    let model = OpenAi::from_fn(|seen| match seen.results().len() {
        0 => openai::calls([("call_agent", r#"{"agent_id": "clerk", "task": "say hello"}"#)]),
        _ => openai::reply(&seen.results()[0]),
    });
    let home = managed(&model, "own__call_agent");
    home.stn(&["agent", "run", "boss", "have the clerk say hello", "--quiet"]).done();
    let runs = home.json(&["runs", "list"]);
    let child = runs["runs"].as_array().unwrap().iter().find(|run| run["agent"] == "clerk").unwrap();
    assert_eq!((&child["parent_id"], &child["status"]), (&json!(1), &json!("completed")));
    // Who made what a run made is told as the run's.
    let model = OpenAi::from_fn(|seen| match seen.results().len() {
        0 => openai::calls([(
            "create_agent",
            r#"{"name": "third", "description": "d", "prompt": "p", "environment_id": "default", "tool_names": ["fake__echo"]}"#,
        )]),
        _ => openai::reply(&seen.results()[0]),
    });
    let home = managed(&model, "own__create_agent");
    home.stn(&["agent", "run", "boss", "make an agent", "--quiet"]).exits(5);
    let waiting = home.json(&["approvals", "list"]);
    assert_eq!(waiting["approvals"][0]["tool"], "create_agent", "{waiting}");
    home.stn(&["approvals", "deny", "1", "--reason", "no"]).done();
    home.stn(&["runs", "resume", "1", "--quiet"]).done();
    assert!(home.stn(&["agent", "show", "third"]).stderr.contains("does not exist"));
}

#[test]
fn what_is_handed_to_nobody_starts_nothing() {
    Home::with_init().stn(&["stdio", "--handed"]).is(&expect![[r#"
        --- stderr
        error: `--handed` is how Station starts its own server for a run: nothing was handed over
        hint: for a client, `stn stdio` alone is right
        --- exit 1
    "#]]);
}

#[test]
fn a_client_of_mcp_is_given_a_plan_first() {
    let model = OpenAi::from_fn(planner);
    let home = home(&model);
    let mut client = Client::start(&home, &["stdio"]);
    let wish = json!({"user_request": "repeat what I say", "include_tool_details": false});
    let suggestion = client.done("suggest_agent_config", &wish);
    assert_eq!(suggestion["planner"], "openai/stand-in-1", "{suggestion}");
    assert_eq!(suggestion["suggestion"]["name"], "parrot");
    assert_eq!(
        suggestion["tools"],
        json!([{"name": "fake__echo", "reason": "it says back what it is given"}])
    );
    client.end(&home).0.done();
    assert_eq!(home.json(&["agent", "list"])["count"], 0, "nothing was made");
    assert_eq!(home.json(&["runs", "list"])["runs"][0]["status"], "cancelled");
}

#[test]
fn an_agent_is_planned_and_changed_in_words_at_a_server() {
    let model = OpenAi::from_fn(planner);
    let home = home(&model);
    let key = home.key_of("olga", &["--admin"]);
    let served = Served::start(&home);
    let ask = |args: &[&str]| ask(&home, &url(&served), &key, args);
    ask(&["agent", "create", "parrot", "Repeats what it is told"]).is(&expect![[r#"
        Plan:
          name  parrot
          description  Repeats what it is told
          max_steps  4
          output_schema  {"type":"object","properties":{"said":{"type":"string"}}}
          tools  fake__echo (it says back what it is given)
          prompt
            You repeat.
            Say nothing else.
        --- stderr
        The architect planned it with openai/stand-in-1, in run 1.
        hint: nothing was changed: carry it out with `stn approvals approve 1`, then `stn runs resume 1`, or say yes from the start with `--yes`
        hint: drop it with `stn runs cancel 1`
        --- exit 5
    "#]]);
    assert_eq!(home.json(&["agent", "list"])["count"], 0, "nothing was made yet");
    ask(&["agent", "create", "second", "Repeats what it is told", "--yes"]).is(&expect![[r#"
        Created agent 2 `second` in environment `default`.
          file  $HOME/.config/station/environments/default/agents/second.prompt
          tools  fake__echo (it says back what it is given)
        --- stderr
        The architect planned it with openai/stand-in-1, in run 2.
        Plan:
          name  second
          description  Repeats what it is told
          max_steps  4
          output_schema  {"type":"object","properties":{"said":{"type":"string"}}}
          tools  fake__echo (it says back what it is given)
          prompt
            You repeat.
            Say nothing else.
          create_agent was approved by olga
          -> station/create_agent {"name":"second","description":"Repeats what it is told","environment_id":1,"prompt":"You repeat.\nSay nothing else.","…
          <- create_agent: 843 bytes in [span]
          turn 3: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        hint: run it with `stn agent run 2 "your task"`
    "#]]);
    ask(&["agent", "update", "second", "let it add, too", "--yes"]).is(&expect![[r#"
        Changed agent 2 `second` of environment `default`.
        --- stderr
        The architect planned it with openai/stand-in-1, in run 3.
        Plan:
          @@ -3,7 +3,8 @@
             name: "second"
             description: "Repeats what it is told"
          -max_steps: 4
          +max_steps: 9
           tools:
             - "fake__echo"
          +  - "fake__add"
           output:
             schema: {"type":"object","properties":{"said":{"type":"string"}}}
          tools  fake__echo (as before)
                         fake__add (sums are asked for)
          update_agent was approved by olga
          -> station/update_agent {"agent_id":2,"tool_names":["fake__echo","fake__add"],"max_steps":9,"tool_reasons":{"fake__echo":"as before","fake__add…
          <- update_agent: 607 bytes in [span]
          turn 3: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
    "#]]);
    // Without a yes nothing is left of it but the run.
    ask(&["runs", "cancel", "1"]).done();
    // Who may plan and not approve learns who may, and that the plan is there.
    let scopes = ["read", "run", "edit"].map(|scope| ["--scope", scope]).concat();
    let lesser = home.json(&[&["user", "key", "create", "olga"], scopes.as_slice()].concat());
    let lesser = lesser["secret"].as_str().unwrap();
    let args = ["agent", "create", "third", "Repeats what it is told", "--yes", "--quiet"];
    crate::at_server::ask(&home, &url(&served), lesser, &args).is(&expect![[r#"
        --- stderr
        error: the API key of `olga` may not decide about calls that wait for a person: it lacks the scope `approve`
        hint: use a key with the scope `approve`
        hint: the plan waits as approval 4: whoever may approve it does so, then `stn runs resume 4`
        hint: drop it with `stn runs cancel 4`
        --- exit 1
    "#]]);
    served.stop();
}
