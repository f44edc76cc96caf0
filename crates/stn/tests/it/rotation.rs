//! `stn key rotate`: the real program, beside others, cut off, and with a key that is not in a file.

use crate::home::{Home, Process};
use crate::http::Served;
use crate::watch::until;
use expect_test::expect;
use nix::sys::signal::Signal;
use serde_json::json;
use station_testkit::fake_server;
use station_testkit::openai::{self, OpenAi};
use station_testkit::postgres::cluster;
use std::time::Instant;

const OTHER: &str = "ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34";

/// A home with something in every place that holds a secret, and a run.
fn filled(home: &Home) {
    home.stn(&["init", "--yes"]).done();
    let entry = json!({ "command": fake_server::binary(), "args": ["--log", "/dev/null"], "env": { "T": "{{ .TOKEN }}" } });
    let file = json!({ "mcpServers": { "fake": entry } });
    home.write("environments/default/mcp-servers/fake.json", &file.to_string());
    home.agent("default", "clerk", "tools: [\"__echo\"]\n");
    home.write("environments/default/variables.yml", "TOKEN: hunter2\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["agent", "run", "clerk", "before", "--var", "TOKEN=of-the-run"]).done();
}

fn works(home: &Home) {
    home.stn(&["agent", "run", "clerk", "after", "--quiet"]).done();
    home.stn(&["audit", "verify"]).done();
}

fn asked() -> (Home, OpenAi) {
    let model = OpenAi::from_fn(|_| openai::reply("done"));
    (Home::new().asking(&model).set("STN_AI_API_KEY", "key-of-the-model"), model)
}

#[test]
fn another_key_is_made_and_the_old_one_opens_nothing() {
    let (home, _model) = asked();
    filled(&home);
    let old = home.read("station.key");
    home.stn(&["key", "rotate"]).is(&expect![[r#"
        Key [id] is in use in place of key [id]: 3 values sealed anew
        --- stderr
        hint: back the new key up; what was copied before opens with the old one alone
    "#]]);
    let new = home.read("station.key");
    assert_ne!(old, new);
    assert!(!home.config("station.key.next").exists());
    works(&home);
    let told = home.json(&["audit", "list"]);
    assert_eq!(told["audit"][0]["action"], "rotate_key", "{told}");
    home.write("station.key", &old);
    let refused = home.stn(&["agent", "list"]);
    assert!(refused.exits(1).stderr.contains("wrong key"), "{}", refused.shown());
    home.write("station.key", &new);
    let said = home.json(&["key", "rotate"]);
    assert_eq!(said["key"]["to_change"], json!(null), "{said}");
    works(&home);
}

#[test]
fn a_store_that_a_worker_has_open_is_not_rotated_and_the_worker_is_named() {
    let (home, _model) = asked();
    filled(&home);
    let served = Served::start(&home);
    let refused = home.stn(&["key", "rotate"]);
    let expected = format!("is open in process {} (", served.pid());
    assert!(refused.exits(75).stderr.contains(&expected), "{}", refused.shown());
    assert!(!home.config("station.key.next").exists());
    drop(served);
    until("the worker is gone", || home.stn(&["key", "rotate"]).code == Some(0));
    works(&home);
}

#[test]
fn a_rotation_that_is_killed_leaves_a_store_that_opens() {
    let (home, _model) = asked();
    filled(&home);
    let began = Instant::now();
    home.stn(&["key", "rotate"]).done();
    let whole = began.elapsed();
    const KILLS: u32 = 24;
    for n in 0..KILLS {
        let mut process = Process(Some(home.start(&["key", "rotate"])));
        let (began, after) = (Instant::now(), whole * n / KILLS);
        until("its time to be killed", || began.elapsed() >= after);
        process.signal(Signal::SIGKILL);
        process.end(&home);
        let said = home.stn(&["audit", "verify"]);
        assert_eq!(said.code, Some(0), "killed after {after:?} of {whole:?}: {}", said.shown());
    }
    works(&home);
    home.stn(&["key", "rotate"]).done();
    works(&home);
}

#[test]
fn a_key_of_the_environment_is_given_and_said_where_to_change() {
    let (home, _model) = asked();
    let home = home.set("STATION_ENCRYPTION_KEY", &"0f".repeat(32));
    filled(&home);
    home.stn(&["key", "rotate"]).is(&expect![[r#"
        --- stderr
        error: the encryption key cannot be read: it is empty
        hint: a key is 64 hex digits; `stn key generate` makes one
        --- exit 1
    "#]]);
    home.stn_reading(&["key", "rotate"], OTHER).is(&expect![[r#"
        Key [id] is in use in place of key [id]: 3 values sealed anew
        --- stderr
        hint: put the new key into the environment variable STATION_ENCRYPTION_KEY and restart what uses it
        hint: until then $HOME/.config/station/station.key.next has it: whoever finds the new key in place removes that file
    "#]]);
    works(&home);
    home.stn(&["key", "status"]).is(&expect![[r#"
        Key [id] in the environment variable STATION_ENCRYPTION_KEY
          it opens the database
          the next one is key [id], in $HOME/.config/station/station.key.next
        --- stderr
        hint: `stn key rotate` ends what was begun with the next key, and says what is left to do
    "#]]);
    let home = home.set("STATION_ENCRYPTION_KEY", OTHER);
    works(&home);
    assert!(!home.config("station.key.next").exists());
    assert!(!home.config("station.key").exists(), "no key is left beside the database");
    let typed = home.stn(&["key", "rotate", OTHER]);
    assert!(!typed.exits(2).shown().contains("ab12cd34"), "{}", typed.shown());
}

#[test]
fn workers_on_postgresql_go_on_while_the_key_is_rotated() {
    let (home, _model) = asked();
    let home = home.set("STATION_DATABASE", &cluster().database());
    filled(&home);
    let old = home.read("station.key");
    let served = Served::start(&home);
    home.stn(&["key", "rotate"]).done();
    assert_ne!(home.read("station.key"), old);
    let body = r#"{"task": "meanwhile", "variables": {"TOKEN": "sealed by the worker"}}"#;
    let queued = served.send_to("/api/v1/agents/clerk/runs", "POST", &[], body);
    assert_eq!(queued.status, 202, "{}", queued.body);
    let id = queued.json()["run"]["id"].to_string();
    until("the run is done", || home.json(&["runs", "inspect", &id])["run"]["status"] == "completed");
    assert_eq!(served.send_to("/ready", "GET", &[], "").status, 200);
    drop(served);
    works(&home);
    home.write("station.key", &old);
    let refused = home.stn(&["agent", "list"]);
    assert!(refused.exits(1).stderr.contains("wrong key"), "{}", refused.shown());
}
