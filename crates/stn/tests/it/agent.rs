//! `stn agent …`

use crate::home::Home;
use expect_test::expect;
use station_testkit::openai::{self, OpenAi};

#[test]
fn the_examples_of_the_documentation_work() {
    let home = Home::with_fake();
    home.stn(&["agent", "create", "name", "description", "--domain", "devops"]).is(&expect![[r#"
        Created agent 1 `name` in environment `default`.
          file  $HOME/.config/station/environments/default/agents/name.prompt
          tools  __env (of server `fake`: matches name (domain `devops` was counted in))
        --- stderr
        Tools are chosen by ranking: no model is configured that could plan.
        hint: run it with `stn agent run 1 "your task"`
    "#]]);
    home.stn(&["agent", "run", "1", "task description"]).is(&expect![[r#"
        No tool that rules may call fits this task, or the task does not say what it needs.

        At hand: `env`.

        — answered by Station's offline model: rules, not a language model
        --- stderr
        Driving run 1 here.
        run 1 of `name` in `default`: model offline, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 2 words)
          turn 1: answer (offline, [span], 43 tokens in, 32 out)
        run 1 completed in [span] (1 step, 0 tool calls, 43 tokens in, 32 out)
    "#]]);
}

#[test]
fn tools_are_chosen_with_reasons_and_used() {
    let home = Home::with_fake();
    let args = [
        "agent",
        "create",
        "reader",
        "Read a file and echo its text",
        "--model",
        "offline",
        "--max-steps",
        "5",
    ];
    home.stn(&args).is(&expect![[r#"
        Created agent 1 `reader` in environment `default`.
          file  $HOME/.config/station/environments/default/agents/reader.prompt
          tools  __echo (of server `fake`: matches echo, text)
                 __read (of server `fake`: matches read)
        --- stderr
        Tools are chosen by ranking: no model is configured that could plan.
        hint: run it with `stn agent run 1 "your task"`
    "#]]);
    home.stn(&["agent", "list"]).is(&expect![[r#"
        ID  ENVIRONMENT  NAME  MODEL  DESCRIPTION
        1  default  reader  offline  Read a file and echo its text
    "#]]);
    home.stn(&["agent", "show", "reader"]).is(&expect![[r#"
        Agent 1 `reader` in environment `default`
          description  Read a file and echo its text
          model  offline
          steps  at most 5
          file  $HOME/.config/station/environments/default/agents/reader.prompt
          updated  [time]
          tools
            __echo = fake/echo
            __read = fake/read
          prompt
            {{role "system"}}
            You are reader. Read a file and echo its text.
    
            Use your tools to find out what you need to know, and do not guess. Answer in a few sentences, and say what you looked at.
    
            {{role "user"}}
            {{userInput}}
    "#]]);
    home.stn(&["agent", "run", "reader", "read /notes.md"]).is(&expect![[r#"
        `/notes.md`:
        contents of /notes.md

        — answered by Station's offline model: rules, not a language model
        --- stderr
        Driving run 1 here.
        run 1 of `reader` in `default`: model offline, at most 5 steps (max_steps of the agent)
          turn 1: 1 call (offline, [span], 45 tokens in, 2 out)
          -> fake/read {"path":"/notes.md"}
          <- read: 21 bytes in [span]
          turn 2: answer (offline, [span], 77 tokens in, 15 out)
        run 1 completed in [span] (2 steps, 1 tool call, 122 tokens in, 17 out)
    "#]]);
    home.stn(&["agent", "create", "reader", "again"]).is(&expect![[r#"
        --- stderr
        Tools are chosen by ranking: no model is configured that could plan.
        error: agent `reader` exists already in environment `default`
        hint: choose another name, or edit its file
        --- exit 1
    "#]]);
}

#[test]
fn a_model_is_asked_and_its_tools_are_called() {
    let model = OpenAi::from_fn(|seen| {
        let messages = seen.body["messages"].as_array().unwrap();
        match messages.iter().filter(|message| message["role"] == "tool").count() {
            0 => openai::calls([("echo", r#"{"text": "hello"}"#)]),
            1 => openai::calls([("fail", "{}")]),
            _ => openai::reply("They said hello."),
        }
    });
    let home = Home::with_fake().asking(&model).set("STN_AI_API_KEY", "sk-of-the-stand-in");
    home.agent("default", "talker", "tools: [__echo, __fail]\n");
    let said = home.stn(&["agent", "run", "talker", "say hello", "--tail"]);
    said.is(&expect![[r#"
        They said hello.
        --- stderr
        Driving run 1 here.
        run 1 of `talker` in `default`: model openai/stand-in-1, at most 5 steps (computed: 2 tools, 0 sub-agents, a task of 2 words)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/echo {"text": "hello"}
          <- echo: 5 bytes in [span]
          turn 2: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/fail
          <- fail failed in [span]: it did not work
        talker says:
        They said hello.
          turn 3: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (3 steps, 2 tool calls, 300 tokens in (192 cached), 60 out)
    "#]]);
    let home = home.set("STN_LOG_LEVEL", "trace");
    let log = home.stn(&["agent", "run", "talker", "say hello"]);
    assert!(!log.stderr.contains("sk-of-the-stand-in"), "{}", log.stderr);
}

#[test]
fn a_missing_key_names_its_variable() {
    let home = Home::with_init();
    home.agent("default", "modern", "model: openai/gpt-4o-mini\n");
    home.stn(&["agent", "run", "modern", "anything"]).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        run 1 failed in [span] (0 steps, 0 tool calls)
        error: run 1 failed: model `openai/gpt-4o-mini` needs a key: `OPENAI_API_KEY` is not set
        hint: set `OPENAI_API_KEY`
        hint: or map the name to a model you have, in config.yaml: `models: {gpt-4o-mini: <provider>/<model>}`
        hint: see what happened with `stn runs inspect 1`
        --- exit 3
    "#]]);
}

#[test]
fn nothing_configured_is_no_offline_model() {
    let home = Home::new();
    home.write("config.yaml", "");
    home.stn(&["env", "create", "default"]).done();
    home.agent("default", "plain", "");
    home.stn(&["agent", "run", "plain", "anything"]).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        run 1 failed in [span] (0 steps, 0 tool calls)
        error: run 1 failed: no model is configured
        hint: set `STN_AI_PROVIDER` and `STN_AI_MODEL`, or `model:` in the agent's file, e.g. openai/gpt-4o-mini
        hint: for first steps without a provider: `--model offline`, Station's built-in rules
        hint: see what happened with `stn runs inspect 1`
        --- exit 3
    "#]]);
}

#[test]
fn ids_and_names() {
    let home = Home::with_init();
    home.stn(&["env", "create", "prod"]).done();
    home.agent("prod", "triage", "model: offline\n");
    home.agent("default", "watch", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["agent", "show", "triage"]).is(&expect![[r#"
        --- stderr
        error: agent `triage` does not exist in environment `default`
        hint: there is one elsewhere: `--env prod`
        --- exit 1
    "#]]);
    home.stn(&["agent", "show", "wathc"]).is(&expect![[r#"
        --- stderr
        error: agent `wathc` does not exist in environment `default`
        hint: did you mean `watch`?
        --- exit 1
    "#]]);
    home.stn(&["agent", "show", "99"]).is(&expect![[r#"
        --- stderr
        error: agent 99 does not exist
        hint: `stn agent list` shows them
        --- exit 1
    "#]]);
    home.stn(&["agent", "run", "2", "x", "--env", "default"]).is(&expect![[r#"
        --- stderr
        error: agent 2 lives in environment `prod`, not in `default`
        hint: a number is enough: leave `--env` out
        --- exit 1
    "#]]);
    home.stn(&["agent", "run", "triage", "x", "--env", "nowhere"]).is(&expect![[r#"
        --- stderr
        error: environment `nowhere` does not exist
        hint: there are `default`, `prod`; make one with `stn env create nowhere`
        hint: there is one elsewhere: `--env prod`
        --- exit 1
    "#]]);
    home.stn(&["agent", "run", "triage", "x", "--env", "prod", "--quiet"]).done();
    home.stn(&["agent", "run", "2", "x", "--quiet"]).done();
    home.stn(&["agent", "create", "42", "digits"]).is(&expect![[r#"
        --- stderr
        error: `42` cannot be the name of an agent: a name of digits alone would be read as an id
        --- exit 1
    "#]]);
}

#[test]
fn an_agent_with_a_broken_file_says_so() {
    let home = Home::with_init();
    home.agent("default", "good", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    home.agent("default", "good", "model: offline\nmax_steps: many\n");
    home.agent("default", "bad", "model: [offline\n");
    home.stn(&["agent", "show", "bad"]).is(&expect![[r#"
        --- stderr
        environments/default/agents/bad.prompt:4:8: this is not YAML: unclosed bracket '['
          4 | model: [offline
            |        ^
        error: agent `bad` does not exist in environment `default`: its file is refused
        hint: mend the file, then `stn sync default`
        --- exit 1
    "#]]);
    home.stn(&["agent", "show", "good"]).is(&expect![[r#"
        Agent 1 `good` in environment `default`
          description  It is good
          model  offline
          steps  computed for each run
          file  $HOME/.config/station/environments/default/agents/good.prompt
          updated  [time]
          tools
            none
          prompt
            You are good.
        --- stderr
        environments/default/agents/good.prompt:5:12: `max_steps` must be a whole number
          5 | max_steps: many
            |            ^
        hint: this is what is stored: mend the file, then `stn sync default`
    "#]]);
    home.stn(&["agent", "run", "good", "still runs as it was"]).is(&expect![[r#"
        No tool that rules may call fits this task, or the task does not say what it needs.

        — answered by Station's offline model: rules, not a language model
        --- stderr
        environments/default/agents/bad.prompt:4:8: this is not YAML: unclosed bracket '['
          4 | model: [offline
            |        ^
        environments/default/agents/good.prompt:5:12: `max_steps` must be a whole number
          5 | max_steps: many
            |            ^
        Driving run 1 here.
        run 1 of `good` in `default`: model offline, at most 3 steps (computed: 0 tools, 0 sub-agents, a task of 5 words)
          turn 1: answer (offline, [span], 16 tokens in, 29 out)
        run 1 completed in [span] (1 step, 0 tool calls, 16 tokens in, 29 out)
    "#]]);
}

#[test]
fn variables_are_given_with_the_run_and_never_shown() {
    let home = Home::with_init();
    home.write(
        "environments/default/agents/greeter.prompt",
        "---\nmodel: offline\n---\n{{role \"system\"}}\nGreet {{who}}.\n{{role \"user\"}}\n{{userInput}}\n",
    );
    let said = home.stn(&["agent", "run", "greeter", "greet", "--var", "who=s3cret-guest"]);
    said.done();
    assert!(!said.stderr.contains("s3cret-guest"), "{}", said.stderr);
    home.stn(&["agent", "run", "greeter", "greet", "--var", "who"]).exits(2);
}

#[test]
fn the_first_command_of_all_may_make_an_agent() {
    let home = Home::new();
    let said = home.stn(&["agent", "create", "name", "description", "--domain", "devops"]);
    assert!(said.done().stderr.contains("Made environment `default`"), "{}", said.shown());
    assert_eq!(home.json(&["agent", "list"])["count"], 1);
}

#[test]
fn a_named_tool_that_nothing_offers_is_said_with_what_was_meant() {
    let home = Home::with_init();
    // Nobody has asked this server yet: it is asked before anything is said of its tools.
    home.server("default", "fake", &[]);
    home.stn(&[
        "agent",
        "create",
        "one",
        "It echoes",
        "--tool",
        "__ehco",
        "--tool",
        "nosuch",
        "--tool",
        "echo",
    ])
    .is(&expect![[r#"
        Created agent 1 `one` in environment `default`.
          file  $HOME/.config/station/environments/default/agents/one.prompt
          tools  __ehco (named, but nothing offers it now: did you mean `__echo`?)
                 nosuch (named, but nothing offers it now)
                 echo (named)
        --- stderr
        fake: 15 tools
        hint: it works without `__ehco`; `stn mcp tools --env default` shows what there is, and `stn agent update 1 --remove-tool __ehco` takes it out
        hint: run it with `stn agent run 1 "your task"`
    "#]]);
    let tools = &home.json(&["agent", "create", "two", "It echoes", "--tool", "__ehco"])["tools"];
    assert_eq!(tools[0]["offered"], false, "{tools}");
    home.stn(&["agent", "update", "one", "--remove-tool", "nosuch"]).is(&expect![[r#"
        Changed agent 1 `one` of environment `default`.
        --- stderr
        warning: environments/default/agents/one.prompt: nothing offers the tool `__ehco`: agent `one` works without it
        hint: did you mean `__echo`?
    "#]]);
}

#[test]
fn a_sub_agent_that_is_not_there_is_met_with_the_one_that_is_meant() {
    let home = Home::with_init();
    home.agent("default", "triage", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    let said = home.stn(&["agent", "create", "boss", "Leads", "--model", "offline", "--agent", "triagge"]);
    let shown = said.shown();
    assert!(
        shown.contains(
            "warning: there is no agent `triagge` in environment `default`: `boss` works without it\n\
             hint: did you mean `triage`?"
        ),
        "{shown}"
    );
    home.stn(&["sync", "defalt"]).is(&expect![[r#"
        --- stderr
        error: environment `defalt` has no folder $HOME/.config/station/environments/defalt
        hint: did you mean `default`?
        hint: there are folders for `default`
        --- exit 1
    "#]]);
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_written() {
    let home = Home::with_init();
    home.agent("default", "one", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    let before = home.read("environments/default/agents/one.prompt");
    let mut said = String::new();
    for args in [
        &["update", "one", "--model", ""][..],
        &["update", "one", "--tool", ""],
        &["update", "one", "--schedule", "zz"],
        &["update", "one", "--unset", "max_steps", "--max-steps", "3"],
        &["create", "two", "x", "--schedule", "zz", "--ranked"],
        &["create", "two", "x", "--model", "", "--ranked"],
        &["create", "two", "x", "--tool", ""],
        &["show", "one", "--env", "nosuch"],
        &["delete", "one", "--env", "nosuch", "--yes"],
        &["update", "one", "--env", "nosuch", "--model", "offline"],
        &["run", "one", "x", "--env", "nosuch"],
    ] {
        let all: Vec<&str> = ["agent"].iter().chain(args).copied().collect();
        said += &format!("{args:?}\n{}", home.stn(&all).exits(1).stderr);
    }
    expect![[r#"
        ["update", "one", "--model", ""]
        error: an empty text is nothing that `model` could name
        hint: to have none, take `model` out
        ["update", "one", "--tool", ""]
        error: an empty text is nothing that `tools` could name
        hint: to have none, take `tools` out
        ["update", "one", "--schedule", "zz"]
        error: `zz` is no cron expression
        hint: write five fields, or six with seconds first, e.g. `0 9 * * *`
        ["update", "one", "--unset", "max_steps", "--max-steps", "3"]
        error: `max_steps` is to be changed and to be taken out
        hint: say one of the two
        ["create", "two", "x", "--schedule", "zz", "--ranked"]
        error: `zz` is no cron expression
        hint: write five fields, or six with seconds first, e.g. `0 9 * * *`
        ["create", "two", "x", "--model", "", "--ranked"]
        error: an empty text is nothing that `model` could name
        hint: to have none, take `model` out
        ["create", "two", "x", "--tool", ""]
        error: an empty text is nothing that `tools` could name
        hint: to have none, take `tools` out
        ["show", "one", "--env", "nosuch"]
        error: environment `nosuch` does not exist
        hint: there are `default`; make one with `stn env create nosuch`
        hint: there is one elsewhere: `--env default`
        ["delete", "one", "--env", "nosuch", "--yes"]
        error: environment `nosuch` does not exist
        hint: there are `default`; make one with `stn env create nosuch`
        hint: there is one elsewhere: `--env default`
        ["update", "one", "--env", "nosuch", "--model", "offline"]
        error: environment `nosuch` does not exist
        hint: there are `default`; make one with `stn env create nosuch`
        hint: there is one elsewhere: `--env default`
        ["run", "one", "x", "--env", "nosuch"]
        error: environment `nosuch` does not exist
        hint: there are `default`; make one with `stn env create nosuch`
        hint: there is one elsewhere: `--env default`
    "#]]
    .assert_eq(&said);
    home.stn(&["agent", "run", "one", "x", "--model", ""]).exits(2);
    assert_eq!(home.read("environments/default/agents/one.prompt"), before);
    assert!(!home.config("environments/default/agents/two.prompt").exists());
}
