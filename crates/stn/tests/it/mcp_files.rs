//! `stn mcp add|show|sync|call|delete`

use crate::home::Home;
use expect_test::expect;
use station_testkit::fake_server;

#[test]
fn a_server_is_added_asked_and_deleted() {
    let home = Home::with_init();
    let fake = fake_server::binary().display().to_string();
    home.stn(&["mcp", "add", "fake", &fake, "--", "--log", "/dev/null"]).is(&expect![[r#"
        Added server 1 `fake` to environment `default`.
          file  environments/default/mcp-servers/fake.json
        fake: 15 tools in [span]
    "#]]);
    home.stn(&["mcp", "add", "fake", "other"]).is(&expect![[r#"
        --- stderr
        error: server `fake` exists already in environment `default`
        hint: choose another name, or edit its file
        --- exit 1
    "#]]);
    home.stn(&["mcp", "add", "web", "--url", "nowhere"]).is(&expect![[r#"
        --- stderr
        error: environments/default/mcp-servers/web.json:4:14: `web.url` must begin with `http://` or `https://`
        --- exit 1
    "#]]);
    assert!(!home.config("environments/default/mcp-servers/web.json").exists());
    home.stn(&[
        "mcp",
        "add",
        "web",
        "--url",
        "https://h",
        "--header",
        "Authorization=Bearer {{ .TOKEN }}",
        "--no-discover",
    ])
    .is(&expect![[r#"
            Added server 2 `web` to environment `default`.
              file  environments/default/mcp-servers/web.json
            --- stderr
            hint: list its tools with `stn mcp sync web --env default`
        "#]]);
    home.stn(&["mcp", "show", "web"]).is(&expect![[r#"
        Server 2 `web` of environment `default`
          file  environments/default/mcp-servers/web.json
          transport  http
          state  never listed
          isolation  environment
          variables  TOKEN (no value)
    "#]]);
    home.stn(&["mcp", "sync", "fkae"]).is(&expect![[r#"
        --- stderr
        error: server `fkae` does not exist in environment `default`
        hint: did you mean `fake`?
        --- exit 1
    "#]]);
    home.stn(&["mcp", "sync", "fake"]).is(&expect![[r#"
        fake: 15 tools in [span]
    "#]]);
    home.stn(&["mcp", "sync"]).is(&expect![[r#"
        fake: 15 tools in [span]
        web: failed: server `web` cannot start: no value for `TOKEN` (environments/default/mcp-servers/web.json:6:34)
        --- exit 4
    "#]]);
    home.stn(&["mcp", "delete", "web"]).is(&expect![[r#"
        --- stderr
        Server 2 `web` of environment `default` would go with 0 tools.
          its file environments/default/mcp-servers/web.json would go too
        error: nobody can be asked: delete server `web`?
        hint: say yes with `--yes`
        --- exit 1
    "#]]);
    home.stn(&["mcp", "delete", "web", "--yes"]).is(&expect![[r#"
        Deleted server `web`.
        --- stderr
        Server 2 `web` of environment `default` would go with 0 tools.
          its file environments/default/mcp-servers/web.json would go too
    "#]]);
    assert!(!home.config("environments/default/mcp-servers/web.json").exists());
}

/// The Go program deletes by substring.
#[test]
fn deleting_git_leaves_github() {
    let home = Home::with_init();
    let file = "environments/default/template.json";
    home.write(
        file,
        "{\n  \"mcpServers\": {\n    \"github\": {\"command\": \"a\"},\n    \"git\": {\"command\": \"b\", \"args\": [{{ .N }}]},\n    \"gitlab\": {\"command\": \"c\"}\n  }, \"metadata\": {}\n}\n",
    );
    home.stn(&["sync", "--quiet", "--no-discover"]).done();
    home.stn(&["mcp", "delete", "git", "--yes"]).is(&expect![[r#"
        Deleted server `git`.
        --- stderr
        Server 2 `git` of environment `default` would go with 0 tools.
          environments/default/template.json would stay with its other servers
    "#]]);
    assert_eq!(
        home.read(file),
        "{\n  \"mcpServers\": {\n    \"github\": {\"command\": \"a\"},\n    \"gitlab\": {\"command\": \"c\"}\n  }, \"metadata\": {}\n}\n"
    );
    home.stn(&["mcp", "list"]).is(&expect![[r#"
        ID  ENVIRONMENT  SERVER  TOOLS  TRANSPORT  FILE  STATE
        1  default  github  0  stdio  template.json  never listed
        3  default  gitlab  0  stdio  template.json  never listed
    "#]]);
    home.stn(&["mcp", "add", "more", "x", "--file", "template", "--no-discover", "--quiet"]).done();
    expect![[r#"
        {
          "mcpServers": {
            "github": {"command": "a"},
            "gitlab": {"command": "c"},
            "more": {
              "command": "x",
              "args": []
            }
          }, "metadata": {}
        }
    "#]]
    .assert_eq(&home.read(file));
}

#[test]
fn a_tool_is_called_through_the_gate() {
    let home = Home::with_fake();
    home.stn(&["mcp", "call", "fake", "echo", "--arg", "text=hello"]).is(&expect![[r#"
        hello
    "#]]);
    home.stn(&["mcp", "call", "fake", "ehco"]).is(&expect![[r#"
        --- stderr
        error: server `fake` offers no tool `ehco`
        hint: did you mean `echo`?
        --- exit 1
    "#]]);
    assert_eq!(home.json(&["mcp", "call", "1", "echo", "{\"text\": \"a\"}"])["is_error"], false);
    home.write("environments/default/environment.yml", "tools: {deny: [echo], approve: [read]}\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["mcp", "call", "fake", "echo", "--arg", "text=hello"]).is(&expect![[r#"
        --- stderr
        error: `echo` of `fake` may not be called: it is denied there (`tools.deny`)
        --- exit 1
    "#]]);
    home.stn(&["mcp", "call", "fake", "read", "--arg", "path=a"]).is(&expect![[r#"
        --- stderr
        The rule `read` makes calls of `read` wait for a person.
          read {"path":"a"}
        error: nobody can be asked: call `read`?
        hint: say yes with `--yes`
        --- exit 1
    "#]]);
    home.stn(&["mcp", "call", "fake", "read", "--arg", "path=a", "--yes"]).is(&expect![[r#"
        contents of a
    "#]]);
    home.stn(&["mcp", "call", "fake", "fail"]).is(&expect![[r#"
        --- stderr
        it did not work
        --- exit 1
    "#]]);
    let audit = home.json(&["audit", "list"]);
    // Three that were sent to their end, one that failed, and one that was denied.
    let rows = audit["audit"].as_array().unwrap().iter();
    let calls = rows.filter(|row| row["action"] == "call_tool" || row["action"] == "deny_tool_call");
    assert_eq!(calls.count(), 5, "{audit:#}");
    assert_eq!(audit["audit"][0]["action"], "call_tool", "{audit:#}");
    home.stn(&["audit", "verify"]).done();
}

#[test]
fn a_server_that_a_second_file_defines_too_is_deleted_with_a_word_of_it() {
    let home = Home::with_init();
    let entry = r#"{"mcpServers": {"git": {"command": "x"}}}"#;
    home.write("environments/default/mcp-servers/a.json", entry);
    home.write("environments/default/mcp-servers/b.json", entry);
    home.stn(&["sync", "--quiet", "--no-discover"]);
    home.stn(&["mcp", "delete", "git"]).is(&expect![[r#"
        --- stderr
        Server 1 `git` of environment `default` would go with 0 tools.
          its file environments/default/mcp-servers/a.json would go too
          environments/default/mcp-servers/b.json defines a `git` too: the next sync puts that one in its place, as server 1
        error: nobody can be asked: delete server `git`?
        hint: say yes with `--yes`
        --- exit 1
    "#]]);
}

#[test]
fn a_secret_that_is_written_into_a_server_file_is_warned_of() {
    let home = Home::with_init();
    let add = ["mcp", "add", "tok", "--no-discover", "--env-var", "TOKEN=ghp_plainsecret"];
    let said = home
        .stn(&[&add[..], &["--env-var", "LOG_LEVEL=debug", "--env-var", "KEY={{ .KEY }}", "npx"]].concat());
    said.is(&expect![[r#"
        Added server 1 `tok` to environment `default`.
          file  environments/default/mcp-servers/tok.json
        --- stderr
        warning: the value of `TOKEN` stands in environments/default/mcp-servers/tok.json, for everybody who can read that file
        hint: if it is a secret, write `{{ .TOKEN }}` there and set it with `stn variables set TOKEN --env default`
        hint: list its tools with `stn mcp sync tok --env default`
    "#]]);
    assert!(!said.shown().contains("ghp_"), "{}", said.shown());
}

#[test]
fn where_files_are_read_only_a_server_lives_in_the_store() {
    let home = Home::with_init();
    let config = std::fs::read_to_string(home.config("config.yaml")).unwrap();
    home.write("config.yaml", &format!("{config}files: readonly\n"));
    let fake = fake_server::binary().display().to_string();
    home.stn(&["mcp", "add", "fake", &fake, "--", "--log", "/dev/null"]).is(&expect![[r#"
        Added server 1 `fake` to environment `default`.
          file  none: it lives in the store, because files are read-only
        fake: 15 tools in [span]
    "#]]);
    assert!(!home.config("environments/default/mcp-servers/fake.json").exists());
    // No sync takes it out, and it is there for calls.
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["mcp", "call", "fake", "echo", "{\"text\": \"hi\"}"]).is(&expect![[r#"
        hi
    "#]]);
    home.stn(&["mcp", "add", "web", "--url", "nowhere"]).is(&expect![[r#"
        --- stderr
        error: mcp-servers/web.json:4:14: `web.url` must begin with `http://` or `https://`
        --- exit 1
    "#]]);
    home.stn(&["mcp", "add", "fake", "other"]).exits(1);
    home.agent("default", "echoer", "model: offline\ntools: [fake__echo]\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["mcp", "delete", "fake", "--yes"]).is(&expect![[r#"
        Deleted server `fake`.
        --- stderr
        Server 1 `fake` of environment `default` would go with 15 tools.
          it lives in the store alone, no file would change
          used by echoer, whose grants would have nothing behind them
    "#]]);
    let audit = home.json(&["audit", "list"]);
    assert!(audit["audit"].to_string().contains("delete_server"), "{audit}");
    assert_eq!(home.json(&["mcp", "list"])["count"], 0);
    // The same name comes back under the same number.
    home.stn(&["mcp", "add", "fake", &fake, "--quiet", "--", "--log", "/dev/null"]).done();
    assert_eq!(home.json(&["mcp", "list"])["servers"][0]["id"], 1);
}

/// It was dropped without a word.
#[test]
fn a_header_for_a_program_is_refused() {
    let home = Home::with_init();
    home.stn(&["mcp", "add", "x", "--header", "A=B", "--no-discover", "--", "prog"]).is(&expect![[r#"
        --- stderr
        error: the argument '--header <NAME=VALUE>' cannot be used with '[COMMAND]'

        Usage: stn mcp add --url <URL> --header <NAME=VALUE> --no-discover <NAME> [COMMAND] [ARGS]...

        For more information, try '--help'.
        --- exit 2
    "#]]);
}
