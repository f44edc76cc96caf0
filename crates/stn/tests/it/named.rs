//! Environments, agents and servers are named by the numbers that lists show, too.

use crate::home::Home;
use expect_test::expect;

/// `prod` is environment 2, with server 2 and agent 2; `default` has number 1 of each.
fn home() -> Home {
    let home = Home::with_init();
    home.stn(&["env", "create", "prod"]).done();
    for environment in ["default", "prod"] {
        home.server(environment, "fake", &[]);
        home.agent(environment, "helper", "model: offline\ntools: [__echo]\n");
    }
    home.stn(&["sync", "--quiet"]).done();
    home
}

#[test]
fn a_number_means_what_its_name_means() {
    let home = home();
    let yes_is_not_said = 1;
    for (by_name, by_number, code) in [
        (&["sync", "prod"][..], &["sync", "2"][..], 0),
        (&["sync", "prod", "--dry-run"], &["sync", "2", "--dry-run"], 0),
        (&["env", "get", "prod"], &["env", "get", "2"], 0),
        (&["agent", "list", "--env", "prod"], &["agent", "list", "--env", "2"], 0),
        (&["agent", "show", "helper", "--env", "prod"], &["agent", "show", "2"], 0),
        (&["agent", "show", "helper", "--env", "prod"], &["agent", "show", "helper", "--env", "2"], 0),
        (&["agent", "show", "helper", "--env", "prod"], &["agent", "show", "2", "--env", "2"], 0),
        (&["agent", "export", "helper", "--env", "prod"], &["agent", "export", "2"], 0),
        (&["agent", "delete", "helper", "--env", "prod"], &["agent", "delete", "2"], yes_is_not_said),
        (&["mcp", "list", "--env", "prod"], &["mcp", "list", "--env", "2"], 0),
        (&["mcp", "status", "--env", "prod"], &["mcp", "status", "--env", "2"], 0),
        (&["mcp", "show", "fake", "--env", "prod"], &["mcp", "show", "2"], 0),
        (&["mcp", "tools", "fake", "--env", "prod"], &["mcp", "tools", "2"], 0),
        (&["mcp", "tools", "--env", "prod"], &["mcp", "tools", "--env", "2"], 0),
        (&["mcp", "sync", "fake", "--env", "prod"], &["mcp", "sync", "2"], 0),
        (
            &["mcp", "call", "fake", "echo", "{\"text\": \"x\"}", "--env", "prod"],
            &["mcp", "call", "2", "echo", "{\"text\": \"x\"}"],
            0,
        ),
        (&["mcp", "delete", "fake", "--env", "prod"], &["mcp", "delete", "2"], yes_is_not_said),
        (&["variables", "set", "A=1", "--env", "prod"], &["variables", "set", "A=1", "--env", "2"], 0),
        (&["variables", "list", "--env", "prod"], &["variables", "list", "--env", "2"], 0),
        (&["budget", "set", "env:prod", "calls=9"], &["budget", "set", "env:2", "calls=9"], 0),
        (&["runs", "list", "--env", "prod"], &["runs", "list", "--env", "2"], 0),
    ] {
        let (named, numbered) = (home.stn(by_name), home.stn(by_number));
        assert_eq!(named.exits(code).shown(), numbered.exits(code).shown(), "{by_number:?}");
    }
    home.stn(&["agent", "run", "helper", "echo \"hi\"", "--env", "2", "--quiet"]).done();
    assert_eq!(home.json(&["runs", "list", "--env", "2"])["runs"][0]["environment"], "prod");
}

#[test]
fn a_number_that_nothing_has_and_one_of_another_environment_are_told() {
    let home = home();
    for args in [&["env", "get", "7"][..], &["sync", "7"], &["mcp", "list", "--env", "7"]] {
        home.stn(args).is(&expect![[r#"
            --- stderr
            error: environment 7 does not exist
            hint: `stn env list` shows them
            --- exit 1
        "#]]);
    }
    home.stn(&["mcp", "show", "7"]).is(&expect![[r#"
        --- stderr
        error: server 7 does not exist
        hint: `stn mcp list` shows them
        --- exit 1
    "#]]);
    home.stn(&["mcp", "show", "1", "--env", "prod"]).is(&expect![[r#"
        --- stderr
        error: server 1 lives in environment `default`, not in `prod`
        hint: a number is enough: leave `--env` out
        --- exit 1
    "#]]);
    home.stn(&["agent", "delete", "1", "--env", "prod", "--yes"]).is(&expect![[r#"
        --- stderr
        error: agent 1 lives in environment `default`, not in `prod`
        hint: a number is enough: leave `--env` out
        --- exit 1
    "#]]);
    home.stn(&["runs", "list", "--agent", "helper"]).is(&expect![[r#"
        --- stderr
        error: several environments have an agent `helper`: 1 in `default`, 2 in `prod`
        hint: say which with `--env`, or give its number
        --- exit 1
    "#]]);
}

#[test]
fn a_name_of_digits_alone_is_refused_where_something_is_made() {
    let home = Home::with_init();
    home.stn(&["env", "create", "42"]).is(&expect![[r#"
        --- stderr
        error: invalid value '42' for '<NAME>': `42` cannot be the name of an environment: a name of digits alone would be read as an id: add a letter

        For more information, try '--help'.
        --- exit 2
    "#]]);
    home.stn(&["mcp", "add", "42", "sh"]).is(&expect![[r#"
        --- stderr
        error: `42` cannot be the name of a server: digits alone would be read as an id
        hint: give it another name, with a letter in it
        --- exit 1
    "#]]);
    home.stn(&["agent", "create", "42", "It helps"]).is(&expect![[r#"
        --- stderr
        error: `42` cannot be the name of an agent: a name of digits alone would be read as an id
        --- exit 1
    "#]]);
    home.write("environments/2024/agents/helper.prompt", "---\nmodel: offline\n---\nYou help.\n");
    home.write("environments/default/mcp-servers/7.json", r#"{"mcpServers":{"7":{"command":"x"}}}"#);
    let said = home.stn(&["sync"]);
    said.is(&expect![[r#"
        Environment `default`: nothing to change, 0 definitions up to date.
        --- stderr
        warning: environments/2024: this folder is passed over: `2024` cannot be the name of an environment
        hint: a name of digits alone would be read as an id: add a letter
        environments/default/mcp-servers/7.json:1:16: `7` cannot be the name of a server: digits alone would be read as an id
          1 | {"mcpServers":{"7":{"command":"*"}}}
            |                ^
        hint: give it another name, with a letter in it
        --- exit 4
    "#]]);
}
