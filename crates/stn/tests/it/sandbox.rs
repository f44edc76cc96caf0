//! What a tool server reaches of Station, and what is shown of that.

use crate::home::Home;
use expect_test::expect;
use serde_json::json;
use station_testkit::fake_server;

/// A home with a server that tries, under `sandbox`.
fn home(sandbox: &serde_json::Value) -> Home {
    let home = Home::with_init();
    let entry = json!({
        "command": fake_server::binary(), "args": ["--reach"], "station": { "sandbox": sandbox },
    });
    let file = json!({ "mcpServers": { "spy": entry } });
    home.write("environments/default/mcp-servers/spy.json", &file.to_string());
    home.write("environments/default/variables.yml", "TOKEN: a-secret\n");
    home.stn(&["sync", "--quiet"]).done();
    home
}

fn reach(home: &Home, what: &str, target: &str) -> String {
    let arguments = json!({ "what": what, "target": target }).to_string();
    home.stn(&["mcp", "call", "spy", "reach", &arguments]).done().stdout.trim().to_owned()
}

const DENIED: &str = "permission denied";

#[test]
fn a_tool_server_reads_no_key_no_variable_and_no_database() {
    let home = home(&json!({}));
    let files = ["station.key", "station.db", "config.yaml", "environments/default/variables.yml"];
    for file in files.iter().chain(&["environments/default/mcp-servers/spy.json"]) {
        assert!(home.config(file).exists(), "{file}");
        assert_eq!(reach(&home, "read", home.config(file).to_str().unwrap()), DENIED, "{file}");
    }
    assert_eq!(reach(&home, "list", home.config("").to_str().unwrap()), DENIED);
    let planted = home.config("environments/default/mcp-servers/evil.json");
    assert_eq!(reach(&home, "make", planted.to_str().unwrap()), DENIED);
    assert_eq!(reach(&home, "make", home.work("mine").to_str().unwrap()), "ok");
}

#[test]
fn the_status_shows_which_confinement_is_in_force() {
    let shown = |sandbox: serde_json::Value| {
        let status = home(&sandbox).json(&["mcp", "status"]);
        status["servers"][0]["sandbox"].clone()
    };
    assert_eq!(shown(json!({})), json!({ "state": "confined", "says": "confined" }));
    assert_eq!(
        shown(json!({ "network": false, "write": [] })),
        json!({ "state": "confined", "says": "confined, only named paths, no network" })
    );
    assert_eq!(shown(json!("required"))["state"], "confined");
    let off = home(&json!("off"));
    off.stn(&["mcp", "status"]).is(&expect![[r#"
        default/spy: ok, 16 tools, modern protocol, unconfined (`sandbox` of its file is off), asked [time]
    "#]]);
    let database = off.config("config.yaml");
    assert!(reach(&off, "read", database.to_str().unwrap()).starts_with("ok "));
}

#[test]
fn a_server_that_the_sandbox_keeps_from_what_it_needs_says_where_to_look() {
    let home = Home::with_init();
    // A Station without a token for a run is a program like any other.
    let entry =
        json!({ "command": env!("CARGO_BIN_EXE_stn"), "args": ["--config", home.config(""), "stdio"] });
    let file = json!({ "mcpServers": { "station": entry } });
    home.write("environments/default/mcp-servers/station.json", &file.to_string());
    let said = home.stn(&["sync"]);
    said.exits(4);
    let said = said.shown();
    assert!(said.contains("permission denied"), "{said}");
    assert!(
        said.contains("it runs in a sandbox: `station.sandbox` of its file says what it may reach"),
        "{said}"
    );
}
