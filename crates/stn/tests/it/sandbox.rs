//! What a tool server reaches of Station, and what is shown of that.

use crate::home::Home;
use crate::http::Served;
use expect_test::expect;
use serde_json::json;
use station_testkit::fake_server;
use std::io::Read as _;
use std::os::unix::net::UnixStream;

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
fn a_tool_server_does_not_speak_to_the_worker() {
    let home = home(&json!({}));
    let served = Served::start(&home);
    let socket = crate::handed::socket(&home);
    let socket = socket.to_str().unwrap();
    let mut hello = [0; 1024];
    let length = UnixStream::connect(socket).unwrap().read(&mut hello).unwrap();
    assert!(hello[..length].starts_with(b"{"), "it speaks to a command of its user");
    // No Landlock before its ninth version keeps a program from the socket; the worker says nothing to it.
    let heard = reach(&home, "hear", socket);
    assert!(["ok", DENIED, "connection reset"].contains(&heard.as_str()), "{heard}");
    assert_eq!(reach(&home, "read", home.config("api-token").to_str().unwrap()), DENIED);
    served.stop();
}

#[test]
fn a_tool_server_keeps_to_the_size_and_number_of_files_that_its_entry_says() {
    let home = self::home(&json!({ "file_bytes_max": 4096, "open_files_max": 64 }));
    let file = home.work("filled").display().to_string();
    assert_eq!(reach(&home, "fill", &format!("4096 {file}")), "ok");
    assert_eq!(reach(&home, "fill", &format!("4097 {file}")), "file too large");
    let opened = reach(&home, "open", "200");
    let opened: u32 = opened.strip_prefix("ok ").and_then(|n| n.parse().ok()).unwrap();
    assert!(opened < 64, "{opened}");
    let free = self::home(&json!({}));
    let file = free.work("filled").display().to_string();
    assert_eq!(reach(&free, "fill", &format!("4097 {file}")), "ok");
    assert_eq!(reach(&free, "open", "200"), "ok 200");
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
