//! `stn sync`

use crate::home::Home;
use expect_test::expect;

#[test]
fn a_dry_run_prints_the_plan_and_changes_nothing() {
    let home = Home::new();
    home.server("default", "fake", &[]);
    home.agent("default", "triage", "model: offline\ntools: [__read]\n");
    home.write("environments/default/variables.yml", "TOKEN: s3cret-value\n");
    let before = everything(&home);
    let said = home.stn(&["sync", "default", "--dry-run"]);
    said.is(&expect![[r#"
        Environment `default`: 4 changes to apply, 0 unchanged. This was a dry run.
          + environment default
          + variable TOKEN
          + server file fake (fake)
          + agent triage
    "#]]);
    assert_eq!(everything(&home), before, "no key, no database, no workspace_id");
    let said = home.stn(&["sync", "default"]);
    said.is(&expect![[r#"
        Environment `default`: 4 changes applied, 0 unchanged.
          + environment default
          + variable TOKEN
          + server file fake (fake)
          + agent triage
          server fake: 15 tools in [span]
        --- stderr
        Made a new encryption key: $HOME/.config/station/station.key
        hint: back it up: without it nobody can open the database, and it is kept nowhere else
    "#]]);
    assert!(!said.shown().contains("s3cret-value"));
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: nothing to change, 3 definitions up to date.
    "#]]);
    std::fs::remove_file(home.config("environments/default/agents/triage.prompt")).unwrap();
    home.stn(&["sync", "--dry-run"]).is(&expect![[r#"
        Environment `default`: 1 change to apply, 2 unchanged. This was a dry run.
          - agent triage
    "#]]);
    assert_eq!(home.json(&["agent", "list"])["count"], 1);
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: 1 change applied, 2 unchanged.
          - agent triage
    "#]]);
    assert_eq!(home.json(&["agent", "list"])["count"], 0);
}

/// Every file of the configuration folder with its text.
fn everything(home: &Home) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn what_is_broken_in_a_schema_is_shown() {
    let home = Home::with_init();
    home.agent(
        "default",
        "rater",
        "model: offline\noutput:\n  schema:\n    type: object\n    properties:\n      risk: {type: strnig}\n",
    );
    home.agent(
        "default",
        "sorter",
        "model: offline\noutput_schema: |\n  {\"type\": \"object\",\n   \"required\": \"risk\"}\n",
    );
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: nothing to change, 0 definitions up to date.
        --- stderr
        environments/default/agents/rater.prompt:9:20: `output.schema.properties.risk.type`: the schema is broken: `strnig` is no type: string, number, integer, boolean, object, array and null are
          9 |  risk: {type: strnig}
            |                    ^
        environments/default/agents/sorter.prompt:7:16: `output_schema.required`: the schema is broken: "risk" is not of type "array"
          7 |  "required": "risk"}
            |                ^
        --- exit 4
    "#]]);
}

#[test]
fn of_a_long_line_what_stands_around_the_place_is_shown() {
    let home = Home::with_init();
    let text = "Look at everything that there is. ".repeat(20);
    let text = format!("---\nmodel: offline\n---\n{text}{{{{jsn host}}}} {text}\n");
    home.write("environments/default/agents/long.prompt", &text);
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: nothing to change, 0 definitions up to date.
        --- stderr
        environments/default/agents/long.prompt:4:681: `jsn` is neither a variable nor a word of templates
          4 | …t there is. Look at everything that there is. Look at everything that there is. {{jsn host}} Look at everything that there is. Look at everything that there is.…
            |                                                                                  ^
        hint: did you mean `json`?
        --- exit 4
    "#]]);
}

#[test]
fn a_slip_in_a_template_is_shown_before_a_run_needs_it() {
    let home = Home::with_init();
    let body = |name: &str, body: &str| {
        let text = format!("---\nmodel: offline\n---\n{body}\n");
        home.write(&format!("environments/default/agents/{name}.prompt"), &text);
    };
    body("block", "You watch.\n{{#iff loud}}Shout.{{/iff}}");
    body("role", "{{role \"sytem\"}}You watch.");
    body("value", "You know {{json}}.");
    body("late", "You watch.\n{{role who}} Be brief.");
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: 1 change applied, 0 unchanged.
          + agent late
        --- stderr
        environments/default/agents/block.prompt:5:1: `iff` is neither a variable nor a word of templates
          5 | {{#iff loud}}Shout.{{/iff}}
            | ^
        hint: did you mean `if`?
        environments/default/agents/role.prompt:4:1: `sytem` is no role: "system", "user" and "model" are
          4 | {{role "sytem"}}You watch.
            | ^
        hint: did you mean `system`?
        environments/default/agents/value.prompt:4:10: `json` needs a value
          4 | You know {{json}}.
            |          ^
        hint: it is written `{{json name}}`
        --- exit 4
    "#]]);
    home.stn(&["agent", "run", "late", "watch"]).is(&expect![[r#"
        --- stderr
        environments/default/agents/block.prompt:5:1: `iff` is neither a variable nor a word of templates
          5 | {{#iff loud}}Shout.{{/iff}}
            | ^
        hint: did you mean `if`?
        environments/default/agents/role.prompt:4:1: `sytem` is no role: "system", "user" and "model" are
          4 | {{role "sytem"}}You watch.
            | ^
        hint: did you mean `system`?
        environments/default/agents/value.prompt:4:10: `json` needs a value
          4 | You know {{json}}.
            |          ^
        hint: it is written `{{json name}}`
        Driving run 1 here.
        run 1 failed in [span] (0 steps, 0 tool calls)
        error: run 1 failed: the prompt of agent `late`: environments/default/agents/late.prompt:5:1: the template cannot be filled: a role is written {{role "system"}}, "user" or "model"
        hint: line 5 is `{{role who}} Be brief.`
        hint: see what happened with `stn runs inspect 1`
        --- exit 3
    "#]]);
}

#[test]
fn a_broken_file_refuses_itself_alone() {
    let home = Home::with_init();
    home.agent("default", "good", "model: offline\nmemory: {kind: none}\n");
    home.agent("default", "bad", "model: offline\nmax_steps: many\n");
    home.write(
        "environments/default/agents/worse.prompt",
        "---\nmodel: offline\n---\n{{#if x}}never closed\n",
    );
    home.write(
        "environments/default/mcp-servers/keys.json",
        "{\"mcpServers\": {\n  \"github\": {\"command\": \"x\", \"env\": {\"TOKEN\": \"s3cret-value\",, \"A\": \"{{ .A }}\"}}\n}}\n",
    );
    home.write("environments/default/variables.yml", "A: s3cret-value\nB: [s3cret-list]\n");
    let said = home.stn(&["sync", "default"]);
    said.is(&expect![[r#"
        Environment `default`: 1 change applied, 0 unchanged.
          + agent good
        --- stderr
        environments/default/variables.yml:2:4: variable `B` must be a text, not a list or a map
          2 | B: *************
            |    ^
        hint: write `KEY: value`, one per line
        environments/default/mcp-servers/keys.json:2:62: this is not JSON: key must be a string
          2 |  "github": {"command": "*", "env": {"TOKEN": "************",, "A": "{{ .A }}"}}
            |                                                              ^
        environments/default/agents/bad.prompt:5:12: `max_steps` must be a whole number
          5 | max_steps: many
            |            ^
        note: environments/default/agents/good.prompt:5:1: `memory` is kept, but has no effect here
        environments/default/agents/worse.prompt:4:1: the block `{{#if}}` is not closed: `{{/if}}` is missing
          4 | {{#if x}}never closed
            | ^
        hint: a literal `{{` is written `\{{`
        --- exit 4
    "#]]);
    assert!(!said.shown().contains("s3cret"), "{}", said.shown());
    assert_eq!(home.json(&["agent", "list"])["agents"][0]["name"], "good");
}

#[test]
fn a_file_that_ends_too_early_is_shown_where_it_ends() {
    let home = Home::with_init();
    home.agent("default", "good", "model: offline\n");
    home.write("environments/default/cut.json", "{\"mcpServers\": {\"x\": {\n  \"command\": \"a\"\n\n");
    home.write("environments/default/open.json", "{\"mcpServers\": {}}\n{{ if .A }}\n");
    home.stn(&["sync", "default", "--no-discover"]).is(&expect![[r#"
        Environment `default`: 1 change applied, 0 unchanged.
          + agent good
        --- stderr
        environments/default/cut.json:2:17: this is not JSON: EOF while parsing an object
          2 |  "command": "*"
            |                 ^
        environments/default/open.json:2:1: this `{{ if }}` has no `{{ end }}`
          2 | {{ if .A }}
            | ^
        --- exit 4
    "#]]);
}

#[test]
fn a_server_that_fails_makes_a_sync_partial() {
    let home = Home::with_init();
    home.server("default", "fake", &[]);
    home.server("default", "broken", &["--exit-at-start", "3"]);
    home.stn(&["sync", "--json", "--quiet"]).exits(4);
    let tools = home.json(&["mcp", "tools"]);
    assert_eq!(tools["count"], 15, "its sibling works");
}

#[test]
fn a_missing_folder_is_an_error_and_never_a_removal() {
    let home = Home::with_init();
    home.agent("default", "triage", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    std::fs::rename(home.config("environments/default"), home.config("elsewhere")).unwrap();
    home.stn(&["sync", "default"]).is(&expect![[r#"
        --- stderr
        error: environment `default` has lost its folder $HOME/.config/station/environments/default
        hint: what is stored of it stays: bring the folder back. An empty one in its place (`mkdir -p $HOME/.config/station/environments/default`) counts as it is: `stn sync` removes what it no longer holds
        --- exit 1
    "#]]);
    home.stn(&["sync"]).is(&expect![[r#"
        --- stderr
        error: environment `default` has lost its folder $HOME/.config/station/environments/default
        hint: what is stored of it stays: bring the folder back. An empty one in its place (`mkdir -p $HOME/.config/station/environments/default`) counts as it is: `stn sync` removes what it no longer holds
        --- exit 1
    "#]]);
    assert_eq!(home.json(&["agent", "list"])["count"], 1);
}

#[test]
fn rules_that_cannot_be_read_let_nothing_run() {
    let home = Home::with_init();
    let log = home.work("calls.log");
    home.server("default", "fake", &["--log", log.to_str().unwrap()]);
    home.agent("default", "reader", "model: offline\ntools: [echo]\n");
    home.write("environments/default/environment.yml", "tools:\n  deny: [\"*\"\n");
    let said = home.stn(&["agent", "run", "reader", "echo \"hi\""]);
    said.exits(3);
    assert!(
        said.shown().contains("the environment's rules cannot be read: environment.yml"),
        "{}",
        said.shown()
    );
    assert_eq!(std::fs::read_to_string(&log).unwrap_or_default(), "", "no call reached the server");
    // A pipe or a folder of that name closes it as well.
    let other = Home::with_init();
    other.server("default", "fake", &[]);
    other.agent("default", "reader", "model: offline\ntools: [echo]\n");
    std::fs::create_dir_all(other.config("environments/default/environment.yml")).unwrap();
    let said = other.stn(&["agent", "run", "reader", "echo \"hi\""]);
    said.exits(3);
    other.write("environments/default/agents/shout.PROMPT", "x");
    std::fs::create_dir_all(other.config("environments/a b")).unwrap();
    let said = other.stn(&["sync"]).shown();
    for expected in [
        "environments/default/environment.yml: this has the name of a definition, but it is no regular file",
        "agents/shout.PROMPT: this file is passed over and has no effect: it should be `shout.prompt`",
        "environments/a b: this folder is passed over: `a b` cannot be the name of an environment",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}

#[test]
fn a_folder_that_is_gone_is_an_error_where_others_are_there() {
    let home = Home::with_init();
    home.agent("bb", "worker", "model: offline\n");
    home.stn(&["sync"]).done();
    std::fs::remove_dir_all(home.config("environments/bb")).unwrap();
    let said = home.stn(&["sync"]);
    assert!(said.exits(4).stderr.contains("environment `bb` has lost its folder"), "{}", said.shown());
    let said = home.stn(&["agent", "run", "worker", "x", "--env", "bb"]);
    assert!(said.exits(1).stderr.contains("environment `bb` has lost its folder"), "{}", said.shown());
    home.stn(&["agent", "run", "worker", "x", "--env", "bb", "--no-sync"]).done();
}

/// In a pipe there is no spinner: a sync that takes long was silent until its end.
#[test]
fn a_sync_that_takes_long_says_so_in_plain_lines() {
    let home = Home::with_init();
    home.server("default", "fake", &[]);
    home.server("default", "silent", &["--silent"]);
    let path = "environments/default/mcp-servers/silent.json";
    home.write(path, &home.read(path).replace("\"args\"", "\"station\": {\"timeout_s\": 2}, \"args\""));
    let said = home.stn(&["sync", "default"]);
    let lines: Vec<&str> = said.exits(4).stderr.lines().collect();
    assert_eq!(lines[..2], ["syncing `default` …", "fake: 15 tools"], "{}", said.shown());
    assert!(lines[2].starts_with("silent: failed: "), "{}", said.shown());
    // What does not take long has nothing to say.
    assert_eq!(home.stn(&["sync", "default", "--no-discover"]).done().stderr, "");
}

/// One folder that could not be read kept every environment after it from being applied.
#[test]
fn a_folder_that_cannot_be_read_keeps_no_other_from_being_applied() {
    let home = Home::with_init();
    home.agent("aa", "lost", "model: offline\n");
    home.agent("zz", "worker", "model: offline\n");
    let agents = home.config("environments/aa/agents");
    std::fs::remove_dir_all(&agents).unwrap();
    std::os::unix::fs::symlink("nowhere", &agents).unwrap();
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: nothing to change, 0 definitions up to date.
        Environment `zz`: 2 changes applied, 0 unchanged.
          + environment zz
          + agent worker
        --- stderr
        error: environment `aa` is left as it is: $HOME/.config/station/environments/aa/agents cannot be read: entity not found
        --- exit 4
    "#]]);
    assert_eq!(home.json(&["agent", "list", "--env", "zz"])["count"], 1);
    home.stn(&["sync", "aa"]).exits(1);
}

/// `stn sync` advised `stn env create`, which said that it exists already.
#[test]
fn what_is_advised_for_a_lost_folder_leads_somewhere() {
    let home = Home::with_init();
    home.agent("bb", "worker", "model: offline\n");
    home.stn(&["sync"]).done();
    std::fs::remove_dir_all(home.config("environments/bb")).unwrap();
    for args in [&["sync", "bb"], &["env", "create", "bb"][..]] {
        home.stn(args).is(&expect![[r#"
            --- stderr
            error: environment `bb` has lost its folder $HOME/.config/station/environments/bb
            hint: what is stored of it stays: bring the folder back. An empty one in its place (`mkdir -p $HOME/.config/station/environments/bb`) counts as it is: `stn sync` removes what it no longer holds
            --- exit 1
        "#]]);
    }
}

/// It was said to be missing, with the advice that an empty file removes what is stored.
#[test]
fn variables_that_cannot_be_read_are_not_said_to_be_missing() {
    let home = Home::with_init();
    home.stn(&["variables", "set", "KEPT=1"]).done();
    home.write("environments/default/variables.yml", "KEPT: \0\n");
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: nothing to change, 0 definitions up to date.
        --- stderr
        environments/default/variables.yml:1:7: the file holds a NUL character here
          1 | KEPT: *
            |       ^
        --- exit 4
    "#]]);
}

#[test]
fn a_line_end_in_the_name_of_a_file_is_not_printed_as_one() {
    let home = Home::with_init();
    home.write("environments/default/mcp-servers/a\nerror: b.json", "{");
    home.write("environments/default/mcp-servers/c\nd.json", r#"{"mcpServers": {}}"#);
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: 1 change applied, 0 unchanged.
          + server file c�d
        --- stderr
        environments/default/mcp-servers/a�error: b.json:1:2: this is not JSON: EOF while parsing an object
          1 | {
            |  ^
        --- exit 4
    "#]]);
}
