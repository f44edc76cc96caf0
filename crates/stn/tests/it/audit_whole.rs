//! Every action that docs/audit.md names, done once by its own verb: what is written is what the table says, no more and no less.

use crate::approvals::{Scene, posts_and_hangs};
use crate::http::{Answer, Served};
use crate::watch::until;
use serde_json::{Value, json};
use station_testkit::fake_server::{self, Remote};
use station_testkit::issuer::{Conduct, Issuer};
use std::collections::BTreeSet;

const PASSWORD: &str = "correct horse battery";

#[test]
fn every_action_of_the_table_is_written_by_its_verb_and_no_other_is() {
    let mut scene = Scene::new(&json!({}), posts_and_hangs("before")).agent("station: {unknown: park}\n");
    settle(&scene);
    decide(&scene);
    change_agents(&scene);
    change_environments(&scene);
    scene.home = scene.home.set("BROWSER", fake_server::browser().to_str().unwrap());
    change_servers(&scene);
    take_out(&scene);
    let stn = |args: &[&str]| scene.home.stn(args).done().stdout.clone();
    stn(&["budget", "set", "all", "tokens=50000"]);
    stn(&["budget", "unset", "all"]);
    ask_over_http(&scene);
    stn(&["key", "rotate"]);
    // Nothing is left of what was done that is asked for here.
    stn(&["runs", "prune", "--keep-days", "0", "--yes"]);
    stn(&["mcp", "delete", "book", "--yes"]);
    let written: BTreeSet<String> = stn(&["audit", "export"])
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["action"].as_str().unwrap().to_owned())
        .collect();
    let named = named();
    let differ = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect::<Vec<_>>();
    let (silent, unnamed) = (differ(&named, &written), differ(&written, &named));
    assert!(silent.is_empty(), "docs/audit.md names them, and nothing here wrote them: {silent:?}");
    assert!(unnamed.is_empty(), "docs/audit.md does not name them: {unnamed:?}");
    stn(&["audit", "verify"]);
}

/// The actions in the table of docs/audit.md.
fn named() -> BTreeSet<String> {
    let path = format!("{}/../../docs/audit.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let words = cells.flat_map(|(_, actions)| actions.split('`').skip(1).step_by(2));
    let named: BTreeSet<String> = words.map(str::to_owned).collect();
    assert!(named.len() > 40, "{named:?}");
    named
}

/// A call of which only a person knows what became of it.
fn settle(scene: &Scene) {
    scene.killed_while_posting();
    std::fs::write(scene.file("gate"), "").unwrap();
    scene.home.stn(&["runs", "resume", "1"]).exits(5);
    let effect = scene.inspect("1")["unsettled"][0].as_str().unwrap().to_owned();
    scene.home.stn(&["runs", "settle", "1", &effect, "done"]).done();
}

/// Calls that a person decides about, and one that nobody decides about in time.
fn decide(scene: &Scene) {
    scene.rules(&json!({ "approve": ["post"], "deny": ["read"] }));
    let stn = |args: &[&str]| {
        scene.home.stn(args).done();
    };
    let asks = || {
        scene.home.stn(&["agent", "run", "clerk", "post it"]).exits(5);
    };
    asks();
    stn(&["approvals", "approve", "1"]);
    asks();
    stn(&["approvals", "approve", "2", "--always"]);
    stn(&["approvals", "revoke", "1"]);
    asks();
    stn(&["approvals", "deny", "3"]);
    stn(&["settings", "set", "approvals.timeout", "1s"]);
    asks();
    stn(&["settings", "set", "approvals.timeout", "--unset"]);
    until("its time is over", || scene.home.json(&["approvals", "list"])["count"] == 0);
    stn(&["mcp", "call", "book", "echo", "--arg", "text=hi"]);
    scene.home.stn(&["mcp", "call", "book", "read", "--arg", "path=a"]).exits(1);
}

fn change_agents(scene: &Scene) {
    let stn = |args: &[&str]| {
        scene.home.stn(args).done();
    };
    stn(&["agent", "update", "clerk", "--description", "It posts"]);
    stn(&["agent", "update", "clerk", "--name", "poster"]);
    // One of the store alone, which becomes a file.
    let config = scene.home.read("config.yaml");
    scene.home.write("config.yaml", &format!("{config}files: readonly\n"));
    stn(&["agent", "create", "helper", "It helps"]);
    scene.home.write("config.yaml", &config);
    stn(&["agent", "export", "helper"]);
    stn(&["agent", "delete", "helper", "--yes"]);
}

fn change_environments(scene: &Scene) {
    let stn = |args: &[&str]| {
        scene.home.stn(args).done();
    };
    stn(&["env", "create", "staging"]);
    stn(&["env", "update", "staging", "--description", "Rehearsals"]);
    stn(&["variables", "set", "TOKEN=canary", "--env", "staging"]);
    stn(&["variables", "unset", "TOKEN", "--env", "staging"]);
    stn(&["env", "delete", "staging", "--yes"]);
}

fn change_servers(scene: &Scene) {
    let far = Remote::start(scene.home.path(), &[]);
    let issuer = Issuer::before(&far.url("/mcp"), Conduct::default());
    let file = json!({ "mcpServers": { "far": { "url": issuer.mcp() } } });
    scene.home.write("environments/default/mcp-servers/far.json", &file.to_string());
    for args in [&["mcp", "login", "far"][..], &["mcp", "lock", "--yes"], &["mcp", "logout", "far"]] {
        scene.home.stn(args).done();
    }
    // Another address is another server.
    std::fs::remove_file(scene.home.config("environments/default/mcp-servers/far.json")).unwrap();
    scene.home.stn(&["sync"]).done();
}

fn take_out(scene: &Scene) {
    for args in [&["runs", "record", "1"][..], &["runs", "export", "1"], &["audit", "export"]] {
        scene.home.stn(args).done();
    }
}

/// What users and programs do that come over HTTP.
fn ask_over_http(scene: &Scene) {
    let root = scene.home.key_of("root", &["--admin"]);
    scene.home.stn_reading(&["user", "create", "ann", "--password"], &format!("{PASSWORD}\n")).done();
    let served = Served::start(&scene.home);
    let by_root = |method: &str, path: &str, body: Value| -> Answer {
        let answer = served.send_as(&root, &format!("/api/v1{path}"), method, &body.to_string());
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
        answer
    };
    for enabled in [false, true] {
        by_root("PATCH", "/agents/poster", json!({ "enabled": enabled }));
    }
    by_root("PATCH", "/users/ann", json!({ "role": "viewer" }));
    let path = by_root("POST", "/users/ann/invitation", json!({})).json()["path"].clone();
    let anybody = |path: &str, body: Value| {
        served.send_to(&format!("/api/v1{path}"), "POST", &[], &body.to_string()).status
    };
    let secret = path.as_str().unwrap().split_once('#').unwrap().1.to_owned();
    assert_eq!(anybody("/invitations/accept", json!({ "invitation": secret, "password": PASSWORD })), 201);
    assert_eq!(anybody("/sessions", json!({ "name": "ann", "password": PASSWORD })), 201);
    assert_eq!(anybody("/sessions", json!({ "name": "ann", "password": "a wrong one" })), 401);
    by_root("DELETE", "/users/ann/sessions", json!({}));
    let key = by_root("POST", "/users/ann/api-keys", json!({ "name": "ci" })).json();
    let of_ann = key["secret"].as_str().unwrap();
    assert_eq!(served.send_as(of_ann, "/api/v1/users", "GET", "").status, 403);
    by_root("DELETE", &format!("/api-keys/{}", key["api_key"]["id"]), json!({}));
    by_root("DELETE", "/users/ann", json!({}));
    served.stop();
}
