//! What holds for every command: streams, JSON, exit codes.

use crate::home::Home;
use expect_test::expect;
use serde_json::Value;
use std::process::Stdio;

#[test]
fn a_closed_pipe_is_not_an_error() {
    let home = Home::with_init();
    home.agent("default", "one", "model: offline\n");
    for args in [
        &["--help"][..],
        &["agent", "list"],
        &["config", "show"],
        &["agent", "list", "--json"],
        &["agent", "run", "one", "anything"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child =
            home.command(args).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let said = home.said(child);
        said.done();
        assert!(!said.stderr.contains("error"), "{args:?}: {}", said.stderr);
    }
    assert_eq!(home.json(&["runs", "list"])["runs"][0]["status"], "completed");
}

/// `stn sync | head -1` ended well, whatever had been refused.
#[test]
fn a_closed_pipe_hides_no_failure() {
    let home = Home::with_init();
    home.agent("default", "modern", "model: openai/gpt-4o-mini\n");
    home.agent("default", "broken", "model: [\n");
    for (args, code) in [
        (&["sync"][..], 4),
        (&["sync", "--json"], 4),
        (&["agent", "run", "modern", "anything"], 3),
        (&["agent", "run", "modern", "anything", "--json"], 3),
        (&["model", "test", "openai/gpt-4o-mini"], 1),
        (&["agent", "show", "nobody", "--json"], 1),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = home.command(args);
        let child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        home.said(child).exits(code);
    }
}

#[test]
fn a_closed_stderr_is_not_an_error() {
    let home = Home::with_init();
    home.agent("default", "one", "model: offline\n");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = home
        .command(&["agent", "run", "one", "anything"])
        .stdout(Stdio::piped())
        .stderr(writer)
        .spawn()
        .unwrap();
    home.said(child).done();
}

#[test]
fn what_stands_on_standard_input_is_nobodys_business() {
    let home = Home::with_init();
    home.agent("default", "one", "model: offline\n");
    let garbage = "{\"jsonrpc\": \u{0}\u{1b}[2J\n".repeat(1000);
    home.stn_reading(&["agent", "run", "one", "anything"], &garbage).done();
    home.stn_reading(&["init"], &garbage).done();
}

#[test]
fn json_has_one_shape() {
    let home = Home::with_fake();
    home.agent("default", "one", "model: offline\ntools: [__read]\n");
    let run = home.json(&["agent", "run", "one", "read /notes.md"]);
    assert_eq!(run["run"]["status"], "completed");
    assert_eq!(run["run"]["environment"], "default");
    assert!(
        run["run"]["id"].is_i64()
            && run["run"]["duration_ms"].is_u64()
            && run["run"]["usage"]["input"].is_u64()
    );
    assert!(run["run"]["created_at"].as_str().unwrap().ends_with('Z'));
    for (args, nouns) in [
        (&["agent", "list"][..], "agents"),
        (&["runs", "list"], "runs"),
        (&["env", "list"], "environments"),
        (&["mcp", "list"], "servers"),
        (&["mcp", "status"], "servers"),
        (&["mcp", "tools"], "tools"),
        (&["sync"], "environments"),
        (&["config", "show"], "settings"),
    ] {
        let json = home.json(args);
        let n = json[nouns].as_array().unwrap_or_else(|| panic!("{args:?}: {json}")).len();
        assert_eq!(json["count"], n, "{args:?}");
    }
    assert_eq!(home.json(&["agent", "show", "one"])["tools"][0]["tool"], "read");
    let inspected = home.json(&["runs", "inspect", "1"]);
    let events: Vec<&Value> =
        inspected["journal"].as_array().unwrap().iter().map(|entry| &entry["event"]["event"]).collect();
    let last = events.last().unwrap();
    assert_eq!((events[0], *last), (&Value::from("adopted"), &Value::from("run_ended")));
}

#[test]
fn errors_are_json_too() {
    let home = Home::with_init();
    home.stn(&["agent", "show", "nobody", "--json"]).is(&expect![[r#"
        {
          "error": {
            "kind": "not_found",
            "message": "agent `nobody` does not exist in environment `default`",
            "hints": [
              "`stn agent list` shows them"
            ],
            "retry_after_s": null
          }
        }
        --- exit 1
    "#]]);
    home.stn(&["agent", "frobnicate", "--json"]).is(&expect![[r#"
        {
          "error": {
            "kind": "usage",
            "message": "unrecognized subcommand 'frobnicate'\n\nUsage: stn agent [OPTIONS] <COMMAND>\n\nFor more information, try '--help'.",
            "hints": [],
            "retry_after_s": null
          }
        }
        --- exit 2
    "#]]);
    home.stn(&["agent", "frobnicate"]).exits(2);
}

#[test]
fn control_characters_are_shown_and_not_obeyed() {
    let home = Home::with_init();
    home.write(
        "environments/default/agents/odd.prompt",
        "---\nmetadata: {description: \"\\x1b[2Jgone\"}\nmodel: offline\n---\nYou are odd.\n",
    );
    home.stn(&["sync", "--quiet"]).done();
    assert!(!home.stn(&["agent", "list", "--color", "always"]).stdout.contains('\u{1b}'));
    assert!(!home.stn(&["agent", "show", "odd", "--color", "never"]).stdout.contains('\u{1b}'));
}

#[test]
fn the_version_starts_nothing() {
    let home = Home::new();
    home.stn(&["--version"]).done();
    assert!(!home.path().join(".config").exists());
}

#[test]
fn a_run_that_failed_says_why_and_what_to_try_in_json_on_stdout() {
    let home = Home::with_init();
    home.agent("default", "modern", "model: openai/gpt-4o-mini\n");
    let said = home.stn(&["--json", "agent", "run", "modern", "anything"]);
    let told: Value = serde_json::from_str(&said.exits(3).stdout).unwrap();
    assert_eq!(told["run"]["status"], "failed");
    assert_eq!(told["error"]["kind"], "run");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("`OPENAI_API_KEY` is not set"), "{message}");
    assert_eq!(told["error"]["hints"][0], "set `OPENAI_API_KEY`");
    // One that did not fail has no error.
    let told = home.json(&["agent", "run", "modern", "anything", "--model", "offline"]);
    assert!(told["run"]["status"] == "completed" && told.get("error").is_none(), "{told}");
}

#[test]
fn an_error_that_stdout_cannot_take_is_on_stderr() {
    let home = Home::with_init();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let child = home
        .command(&["--json", "agent", "show", "nobody"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = home.said(child);
    let told: Value = serde_json::from_str(&said.exits(1).stderr).unwrap();
    assert_eq!(told["error"]["kind"], "not_found");
}
