//! `stn mcp read` and `stn mcp prompt`: what a server offers beside tools, at a terminal; and `--var`, values for one command.

use crate::at_server::{ask, url};
use crate::gateway_whole;
use crate::home::Home;
use crate::http::Served;
use expect_test::expect;
use serde_json::json;
use station_testkit::fake_server;

#[test]
fn a_resource_is_read() {
    let home = gateway_whole::home("both");
    home.stn(&["mcp", "read", "fixture", "test://template/7/data"]).is(&expect![[r#"
        {"id":"7","templateTest":true,"data":"Data for ID: 7"}
    "#]]);
    home.stn(&["mcp", "read", "fixture", "test://static-binary"]).is(&expect![[r#"
        --- stderr
        `test://static-binary` is image/png, and no text.
        hint: `--json` has it in base64
    "#]]);
    home.stn(&["mcp", "read", "fixture", "test://static-txt"]).is(&expect![[r#"
        --- stderr
        error: server `fixture` refuses: Resource not found
        hint: did you mean `test://static-text`?
        --- exit 1
    "#]]);
    home.stn(&["mcp", "read", "fixtrue", "test://static-text"]).is(&expect![[r#"
        --- stderr
        error: server `fixtrue` does not exist in environment `default`
        hint: did you mean `fixture`?
        --- exit 1
    "#]]);
    let read = home.json(&["mcp", "read", "fixture", "test://static-binary"]);
    assert_eq!(read["contents"][0]["mimeType"], "image/png", "{read}");
    assert!(read["contents"][0]["blob"].as_str().unwrap().len() > 16, "{read}");
}

#[test]
fn a_prompt_is_filled_in() {
    let home = gateway_whole::home("both");
    let filled = ["mcp", "prompt", "fixture", "test_prompt_with_arguments", "arg1=a b", "arg2="];
    home.stn(&filled).is(&expect![[r#"
        user: Prompt with arguments: arg1='a b', arg2=''
    "#]]);
    home.stn(&["mcp", "prompt", "fixture", "test_prompt_with_image"]).is(&expect![[r#"
        user: [image image/png, 70 bytes]
        user: Please analyze the image above.
    "#]]);
    home.stn(&["mcp", "prompt", "fixture", "test_simple_promt"]).is(&expect![[r#"
        --- stderr
        error: server `fixture` refuses: there is no such prompt
        hint: did you mean `test_simple_prompt`?
        --- exit 1
    "#]]);
    home.stn(&["mcp", "prompt", "fixture", "test_simple_prompt", "word"]).is(&expect![[r#"
        --- stderr
        error: `word` is no argument of a prompt
        hint: write NAME=VALUE
        --- exit 1
    "#]]);
    let filled = home.json(&["mcp", "prompt", "fixture", "test_simple_prompt"]);
    assert_eq!(filled["messages"][0]["role"], "user", "{filled}");
}

#[test]
fn what_stands_in_no_file_is_read_and_filled_in_at_its_address() {
    let home = gateway_whole::home("both");
    let served = Served::start(&home);
    let url = format!("http://127.0.0.1:{}/mcp/env/default", served.port);
    let elsewhere = Home::new();
    let at = |verb: &str, words: &[&str]| elsewhere.stn(&[&["mcp", verb, "--url", &url], words].concat());
    at("read", &["test://static-text"]).is(&expect![[r#"
        This is the content of the static text resource.
    "#]]);
    at("prompt", &["test_prompt_with_arguments", "arg1=a", "arg2=b"]).is(&expect![[r#"
        user: Prompt with arguments: arg1='a', arg2='b'
    "#]]);
    at("read", &["fixture", "test://static-text"]).is(&expect![[r#"
        --- stderr
        error: with `--url` there is no server to name
        hint: write the resource alone
        --- exit 1
    "#]]);
    assert!(!elsewhere.config("station.db").exists(), "a store was made");
    served.stop();
}

#[test]
fn a_server_reads_and_fills_in_as_here() {
    let home = gateway_whole::home("both");
    let made = |name: &str, role: &str| home.key_of(name, &["--role", role, "--env", "default"]);
    let (root, ann) = (made("root", "admin"), made("ann", "viewer"));
    let (served, elsewhere) = (Served::start(&home), Home::new());
    let by = |key: &str, args: &[&str]| ask(&elsewhere, &url(&served), key, args);
    for words in [
        &["read", "fixture", "test://template/7/data"] as &[&str],
        &["read", "fixture", "test://static-binary"],
        &["read", "fixture", "test://static-binary", "--json"],
        &["read", "fixture", "test://static-txt"],
        &["read", "fixtrue", "test://static-text"],
        &["prompt", "fixture", "test_prompt_with_arguments", "arg1=a b", "arg2="],
        &["prompt", "fixture", "test_prompt_with_image"],
        &["prompt", "fixture", "test_prompt_with_image", "--json"],
        &["prompt", "fixture", "test_simple_promt"],
    ] {
        let args = [&["mcp"], words].concat();
        assert_eq!(by(&root, &args).shown(), home.stn(&args).shown(), "{args:?}");
    }
    by(&ann, &["mcp", "read", "fixture", "test://static-text"]).is(&expect![[r#"
        --- stderr
        error: `ann` may not call tools: its role is `viewer`
        hint: ask somebody whose role is at least `user`
        --- exit 1
    "#]]);
    by(&root, &["mcp", "read", "fixture", "test://static-text", "--var", "A=b"]).is(&expect![[r#"
        --- stderr
        error: `--var` is for the Station of this machine: a server has its own, see `stn variables set`
        hint: leave `--var` out with `--server`
        --- exit 1
    "#]]);
    by(&root, &["mcp", "prompt", "--url", "http://127.0.0.1:1/mcp", "x"]).is(&expect![[r#"
        --- stderr
        error: `--url` is for the Station of this machine: that address is reached from here
        hint: leave `--url` out with `--server`
        --- exit 1
    "#]]);
    served.stop();
}

#[test]
fn a_variable_is_given_for_one_command() {
    let home = Home::with_init();
    let script = "exec \"$0\" --echo-says \"$SAYS\"";
    let entry = json!({
        "command": "sh", "args": ["-c", script, fake_server::binary()], "env": { "SAYS": "{{ .SAYS }}" },
    });
    // On lines of its own, so that the place of the variable does not depend on where the program lies.
    let file = serde_json::to_string_pretty(&json!({ "mcpServers": { "fake": entry } })).unwrap();
    home.write("environments/default/mcp-servers/fake.json", &file);
    home.stn(&["sync", "--quiet"]);
    let says = home.work("says");
    std::fs::write(&says, "What this environment says.").unwrap();
    let given = format!("SAYS={}", says.display());
    home.stn(&["mcp", "tools", "--search", "echo"]).is(&expect![[r#"
        --- stderr
        hint: no tool is known here; `stn mcp status --env default` says why
    "#]]);
    home.stn(&["mcp", "tools", "--search", "echo", "--var", &given]).is(&expect![[r#"
        SERVER  TOOL  EFFECT  DESCRIPTION
        fake  echo  reads  What this environment says.
    "#]]);
    let call = ["mcp", "call", "fake", "echo", r#"{"text": "hi"}"#];
    home.stn(&call).is(&expect![[r#"
        --- stderr
        error: server `fake` cannot start: no value for `SAYS` (environments/default/mcp-servers/fake.json:11:18)
        --- exit 1
    "#]]);
    home.stn(&[&call[..], &["--var", &given]].concat()).is(&expect![[r#"
        hi
    "#]]);
    home.stn(&[&call[..], &["--var", &given, "--var", "SAY=x"]].concat()).is(&expect![[r#"
        hi
        --- stderr
        warning: the variable `SAY` was given, and nothing asks for it; did you mean `SAYS`?
    "#]]);
    home.stn(&["mcp", "read", "fake", "fake://one"]).is(&expect![[r#"
        --- stderr
        error: server `fake` cannot start: no value for `SAYS` (environments/default/mcp-servers/fake.json:11:18)
        --- exit 1
    "#]]);
    home.stn(&["variables", "list"]).is(&expect![[r#"
        VARIABLE  FROM  ASKED FOR BY
        SAYS  not set  fake
        --- stderr
        hint: a default in the server's file holds for what is not set; set it with `stn variables set SAYS --env default`
    "#]]);
}
