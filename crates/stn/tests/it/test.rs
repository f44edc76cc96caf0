//! `stn runs record` and `stn test`: runs that are replayed against today's agent, without models, servers and keys.

use crate::home::{Home, Said};
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::fake_server;
use station_testkit::openai::{self, OpenAi};

const SECRET: &str = "a-token-that-nobody-may-see";

/// A recorded run: it reads a variable of its server, writes, asks a helper, and answers in JSON.
fn recorded() -> Home {
    let model = OpenAi::from_fn(|seen| {
        let messages = seen.body["messages"].as_array().unwrap();
        let results = messages.iter().filter(|it| it["role"] == "tool").count();
        if messages[0]["content"].as_str().unwrap().contains("You are helper") {
            return openai::reply("the helper helped");
        }
        match results {
            0 => openai::calls([("env", r#"{"name": "TOKEN"}"#), ("write", r#"{"text": "once"}"#)]),
            2 => openai::calls([("__agent_helper", r#"{"task": "help me"}"#)]),
            3 => openai::calls([("big", r#"{"bytes": 100000}"#)]),
            4 => openai::calls([("read_result", r#"{"handle": "r3.1", "offset": 99990}"#)]),
            _ => openai::reply(r#"{"n": 7}"#),
        }
    });
    let home = Home::with_init().asking(&model).set("TOKEN", SECRET);
    let entry = json!({"command": fake_server::binary(), "args": ["--log", "/dev/null"], "env": {"TOKEN": "{{ .TOKEN }}"}});
    home.write(
        "environments/default/mcp-servers/fake.json",
        &json!({"mcpServers": {"fake": entry}}).to_string(),
    );
    agent(&home, "max_steps: 8\ntools: [__env, __write, __big]\nagents: [helper]\n", "integer");
    home.agent("default", "helper", "");
    home.stn(&["sync", "--quiet"]).done();
    let said = home.stn(&["agent", "run", "worker", "look", "--quiet"]);
    assert_eq!(said.stdout, "{\"n\":7}\n", "{}", said.shown());
    std::fs::create_dir_all(home.config("environments/default/tests")).unwrap();
    let file = home.config("environments/default/tests/look.case.json");
    home.stn(&["runs", "record", "1", "-o", file.to_str().unwrap()]).done();
    home
}

fn agent(home: &Home, front: &str, kind: &str) {
    let output = format!("output:\n  format: json\n  schema: {{n: {kind}}}\n");
    home.agent("default", "worker", &format!("{output}{front}"));
}

/// The files of `home` as a fresh checkout has them, and nothing else: no database, no key, no model.
fn checkout(home: &Home) -> Home {
    let fresh = Home::new();
    let from = home.config("environments");
    std::fs::create_dir_all(fresh.config("")).unwrap();
    let copied = std::process::Command::new("cp").arg("-r").arg(from).arg(fresh.config("")).status();
    assert!(copied.unwrap().success());
    fresh
}

fn test(home: &Home) -> Said {
    home.stn(&["test"])
}

#[test]
fn a_case_is_replayed_in_a_fresh_checkout() {
    let home = recorded();
    let text = home.read("environments/default/tests/look.case.json");
    assert!(!text.contains(SECRET) && text.contains("[secret]"), "{text}");
    let fresh = checkout(&home);
    test(&fresh).is(&expect![[r#"
        passed $HOME/.config/station/environments/default/tests/look.case.json (5 steps)
        --- stderr
        1 case: 1 passed, 0 failed
    "#]]);
    let made: Vec<String> = std::fs::read_dir(fresh.config(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(made, ["environments"], "a test leaves nothing behind");
    let told = fresh.json(&["test"]);
    assert_eq!((&told["count"], &told["cases"][0]["passed"]), (&json!(1), &json!(true)));
}

#[test]
fn a_tool_that_is_no_longer_granted_is_a_difference() {
    let fresh = checkout(&recorded());
    agent(&fresh, "max_steps: 8\ntools: [__env, __big]\nagents: [helper]\n", "integer");
    test(&fresh).is(&expect![[r#"
        failed $HOME/.config/station/environments/default/tests/look.case.json (5 steps)
              step 1
                fake/env {"name":"TOKEN"}
            -  fake/write {"text":"once"}
            +  not called: write {"text":"once"}  (there is no tool `write`; there are: env, big, __agent_helper, read_result)
              step 2
                helper {"task":"help me"}
              step 3
                fake/big {"bytes":100000}
              step 4
                station/read_result {"handle":"r3.1","offset":99990}
              step 5: answer
              completed
            note: not offered any more: `write`
        --- stderr
        1 case: 0 passed, 1 failed
        --- exit 1
    "#]]);
}

#[test]
fn a_rule_a_limit_and_a_schema_that_forbid_what_was_are_differences() {
    let home = recorded();
    let fresh = checkout(&home);
    fresh.write("environments/default/environment.yml", "tools:\n  deny: [write]\n");
    test(&fresh).is(&expect![[r#"
        failed $HOME/.config/station/environments/default/tests/look.case.json (5 steps)
              step 1
                fake/env {"name":"TOKEN"}
            -  fake/write {"text":"once"}
            +  not called: write {"text":"once"}  (there is no tool `write`; there are: env, big, __agent_helper, read_result)
              step 2
                helper {"task":"help me"}
              step 3
                fake/big {"bytes":100000}
              step 4
                station/read_result {"handle":"r3.1","offset":99990}
              step 5: answer
              completed
            note: not offered any more: `write`
        --- stderr
        1 case: 0 passed, 1 failed
        --- exit 1
    "#]]);

    let fresh = checkout(&home);
    agent(&fresh, "max_steps: 3\ntools: [__env, __write, __big]\nagents: [helper]\n", "integer");
    test(&fresh).is(&expect![[r#"
        failed $HOME/.config/station/environments/default/tests/look.case.json (5 steps)
              step 1
                fake/env {"name":"TOKEN"}
                fake/write {"text":"once"}
              step 2
                helper {"task":"help me"}
              step 3
            -  fake/big {"bytes":100000}
            - step 4
            -  station/read_result {"handle":"r3.1","offset":99990}
            - step 5: answer
            - completed
            +  not called: fake/big {"bytes":100000}
            + failed: steps  (the model still wanted to call tools after its last step (3 steps: max_steps of the agent))
            note: the limit of steps was 8 and is 3
        --- stderr
        1 case: 0 passed, 1 failed
        --- exit 1
    "#]]);

    let fresh = checkout(&home);
    agent(&fresh, "max_steps: 8\ntools: [__env, __write, __big]\nagents: [helper]\n", "string");
    test(&fresh).is(&expect![[r#"
        failed $HOME/.config/station/environments/default/tests/look.case.json (5 steps)
              step 1
                fake/env {"name":"TOKEN"}
                fake/write {"text":"once"}
              step 2
                helper {"task":"help me"}
              step 3
                fake/big {"bytes":100000}
              step 4
                station/read_result {"handle":"r3.1","offset":99990}
              step 5: answer
            - completed
            + failed: model  (the record ends here, and the model is asked again: [Station] the answer does not fit its schema: `/n`: 7 is not of type "string" Answer again with JSON that fits the schema, and nothing else.)
            note: the output schema has changed since
        --- stderr
        1 case: 0 passed, 1 failed
        --- exit 1
    "#]]);
}

#[test]
fn a_prompt_that_changed_is_noted_and_fails_where_that_is_asked_for() {
    let fresh = checkout(&recorded());
    let file = "environments/default/agents/worker.prompt";
    fresh.write(file, &fresh.read(file).replace("You are worker.", "You are worker, and careful."));
    test(&fresh).is(&expect![[r#"
        passed $HOME/.config/station/environments/default/tests/look.case.json (5 steps)
            note: the prompt has changed since: the model's answers are those to the old one
        --- stderr
        1 case: 1 passed, 0 failed
    "#]]);
    fresh.stn(&["test", "--strict"]).exits(1);
}

#[test]
fn a_call_that_waited_for_a_person_is_decided_as_it_was() {
    let fresh = checkout(&recorded());
    let front =
        "max_steps: 8\ntools: [__env, __write, __big]\nagents: [helper]\nstation: {approve: [write]}\n";
    agent(&fresh, front, "integer");
    test(&fresh).is(&expect![[r#"
        passed $HOME/.config/station/environments/default/tests/look.case.json (5 steps)
        --- stderr
        1 case: 1 passed, 0 failed
    "#]]);
}

#[test]
fn what_an_installation_may_spend_is_nothing_to_a_replay() {
    let fresh = checkout(&recorded());
    fresh.write("config.yaml", "limits: {run: {tokens: 1, calls: 1}, day: {calls: 1}}\n");
    let said = test(&fresh);
    assert_eq!(said.code, Some(0), "{}", said.shown());
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let fresh = checkout(&recorded());
    let case = fresh.read("environments/default/tests/look.case.json");
    let mut newer: Value = serde_json::from_str(&case).unwrap();
    newer["version"] = json!(99);
    fresh.write("more/newer.case.json", &newer.to_string());
    fresh.write("more/none.case.json", "[]");
    let mut gone: Value = serde_json::from_str(&case).unwrap();
    gone["agent"] = json!("gone");
    fresh.write("more/deep/gone.case.json", &gone.to_string());
    fresh.write("environments/default/agents/broken.prompt", "no front matter");
    let mut broken: Value = serde_json::from_str(&case).unwrap();
    broken["agent"] = json!("broken");
    fresh.write("more/broken.case.json", &broken.to_string());
    fresh.stn(&["test", ".config/station/more"]).is(&expect![[r#"
        failed .config/station/more/broken.case.json (5 steps)
            environments/default/agents/broken.prompt:1:1: the front matter is missing
        failed .config/station/more/deep/gone.case.json (5 steps)
            agent `gone` does not exist in environment `default`
        failed .config/station/more/newer.case.json
            the case is of version 99, and this Station knows 1
        failed .config/station/more/none.case.json
            this is no case: it has no `version`
        --- stderr
        4 cases: 0 passed, 4 failed
        --- exit 1
    "#]]);
    let empty = Home::new();
    empty.stn(&["test"]).is(&expect![[r#"
        --- stderr
        error: there are no cases in environments/*/tests
        hint: record one with `stn runs record RUN -o environments/default/tests/NAME.case.json`
        --- exit 1
    "#]]);
    fresh.stn(&["test", "nowhere"]).exits(1);
}

/// A second recording wrote over the first.
#[test]
fn a_file_that_is_there_is_not_written_over() {
    let home = Home::with_init();
    home.agent("default", "one", "model: offline\n");
    home.stn(&["agent", "run", "one", "anything", "--quiet"]).done();
    let file = home.work("of runs");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "mine").unwrap();
    for verb in [&["runs", "record", "1", "-o", path][..], &["runs", "export", "1", "-o", path]] {
        home.stn(verb).is(&expect![[r#"
            --- stderr
            error: the file $HOME/work/of runs is there already, and stays as it is
            hint: name another
            --- exit 1
        "#]]);
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    // When it was recorded is another time each time.
    let lasting = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("\"recorded_at\"")).map(str::to_owned).collect()
    };
    for verb in ["record", "export"] {
        let printed = lasting(&home.stn(&["runs", verb, "1"]).done().stdout);
        assert_eq!(lasting(&home.stn(&["runs", verb, "1", "-o", "-"]).done().stdout), printed);
        assert!(!home.path().join("-").exists());
        let written = home.work(verb);
        let told = home.json(&["runs", verb, "1", "-o", written.to_str().unwrap()]);
        let told = told.as_object().unwrap().values().next().unwrap();
        assert_eq!(told["path"], written.to_str().unwrap());
        assert_eq!(lasting(&std::fs::read_to_string(&written).unwrap()), printed);
    }
}
