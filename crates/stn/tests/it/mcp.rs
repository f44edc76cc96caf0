//! `stn mcp …`

use crate::home::Home;
use expect_test::expect;
use serde_json::Value;

#[test]
fn servers_and_tools_as_they_were_found_last() {
    let home = Home::with_init();
    home.stn(&["mcp", "list"]).is(&expect![[r#"
        --- stderr
        hint: there are no servers: put server files into an environment's `mcp-servers/`, then `stn sync`
    "#]]);
    home.server("default", "fake", &[]);
    home.server("default", "broken", &["--exit-at-start", "3"]);
    home.stn(&["sync", "--no-discover", "--quiet"]).done();
    home.stn(&["mcp", "status"]).is(&expect![[r#"
        default/broken: never listed, confined
        default/fake: never listed, confined
        --- stderr
        hint: `stn sync` asks servers that were never listed or have changed
    "#]]);
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: nothing to change, 2 definitions up to date.
          server broken: failed: server `broken` ended with exit code 3 before it answered; it said: fatal: this server was told to end at once
          server fake: 15 tools in [span]
        --- exit 4
    "#]]);
    home.stn(&["mcp", "list"]).is(&expect![[r#"
        ID  ENVIRONMENT  SERVER  TOOLS  TRANSPORT  FILE  STATE
        1  default  broken  0  stdio  broken.json  failed since [time]: server `broken` ended with exit code 3 before it answered; it said: fatal: this server was told to end at once
        2  default  fake  15  stdio  fake.json  ok
    "#]]);
    home.stn(&["mcp", "status"]).is(&expect![[r#"
        default/broken: failed since [time], asked [time], confined: server `broken` ended with exit code 3 before it answered; it said: fatal: this server was told to end at once
        default/fake: ok, 15 tools, modern protocol, confined, asked [time]
        --- stderr
        hint: `stn sync` asks servers that were never listed or have changed
    "#]]);
    home.stn(&["mcp", "tools", "--search", "echo"]).is(&expect![[r#"
        SERVER  TOOL  EFFECT  DESCRIPTION
        fake  echo  reads  The fake tool `echo`.
    "#]]);
    home.stn(&["mcp", "tools", "nobody"]).is(&expect![[r#"
        --- stderr
        error: server `nobody` does not exist in environment `default`
        hint: there are `broken`, `fake`
        --- exit 1
    "#]]);
    assert_eq!(home.json(&["mcp", "tools"])["count"], 15);
    let server = &home.json(&["mcp", "status"])["servers"][0];
    assert_eq!((&server["name"], &server["state"]), (&"broken".into(), &"failed".into()));
}

#[test]
fn a_silent_server_keeps_no_run_waiting_that_does_not_use_it() {
    let home = Home::with_init();
    home.server("default", "g", &[]);
    // It would be waited for far longer than this test may take.
    home.server("default", "a-silent", &["--silent"]);
    home.agent("default", "user", "model: offline\ntools: [g__echo]\n");
    let said = home.stn(&["agent", "run", "user", "echo \"hi\""]);
    assert!(said.done().stdout.contains("hi"), "{}", said.shown());
    let servers = home.json(&["mcp", "list"]);
    let silent = servers["servers"].as_array().unwrap().iter().find(|it| it["name"] == "a-silent").unwrap();
    assert_eq!(silent["discovered_at"], Value::Null, "nobody asked it: {silent}");
    // Its own file says how long it may take to list its tools.
    let path = "environments/default/mcp-servers/a-silent.json";
    let text = home.read(path).replace("\"args\"", "\"station\": {\"timeout_s\": 1}, \"args\"");
    home.write(path, &text);
    let said = home.stn(&["sync"]).shown();
    assert!(said.contains("`a-silent` did not answer within 1s"), "{said}");
}

#[test]
fn variables_named_like_a_providers_reach_a_server() {
    // The Go program left names out by their beginnings.
    let home = Home::with_init().set("GOOGLE_API_KEY", "from-the-process");
    let seen = home.work("seen");
    let spy = format!("printf '%s|%s' \"$GOOGLE\" \"$PAGER\" > '{}'; exec \"$0\"", seen.display());
    let server = serde_json::json!({ "mcpServers": { "fake": {
        "command": "sh",
        "args": ["-c", spy, station_testkit::fake_server::binary()],
        "env": { "GOOGLE": "{{ .GOOGLE_API_KEY }}", "PAGER": "{{ .PAGERDUTY_TOKEN }}" },
    }}});
    home.write("environments/default/mcp-servers/fake.json", &server.to_string());
    home.write("environments/default/variables.yml", "PAGERDUTY_TOKEN: from-the-file\n");
    home.stn(&["sync", "--quiet"]).done();
    assert_eq!(std::fs::read_to_string(seen).unwrap(), "from-the-process|from-the-file");
}
