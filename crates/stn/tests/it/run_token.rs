//! `stn stdio --handed`: Station's own server as it is started for a run, with what that run may do.

use crate::home::Home;
use crate::rpc::Client;
use expect_test::expect;
use serde_json::json;
use station_core::run::DEPTH_MAX;
use station_core::{Caller, RunId, RunToken, Scope};
use station_engine::Clock;
use std::process::{Child, Command, Stdio};

const HOUR_MS: u64 = 3_600_000;

/// Starts it as Station does, but for the shim: what it is handed comes over its descriptor 4.
fn start(home: &Home, token: &RunToken) -> Child {
    let environment = json!({
        "STATION_DATABASE": home.config("station.db"), "STATION_ENCRYPTION_KEY": home.read("station.key").trim(),
    });
    let settings =
        json!({ "config": home.config("config.yaml"), "environment": environment, "passthrough": [] });
    let handed = json!({ "settings": settings.to_string(), "token": token });
    let stn = home.command(&[]);
    let mut shell = Command::new("/bin/bash");
    shell.arg("-c").arg(r#"exec "$0" stdio --handed 4< <(printf %s "$1")"#);
    shell.arg(stn.get_program()).arg(handed.to_string()).current_dir(home.path()).env_clear();
    shell.envs(stn.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A home with a run of `reader`, and that run's token.
fn scene() -> (Home, RunToken) {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["agent", "run", "reader", "read notes.txt", "--quiet"]).done();
    let token = RunToken {
        run: RunId(1),
        user: Caller::LOCAL_USER,
        verbs: ["call_agent", "list_agents"].map(str::to_owned).into(),
        scopes: Scope::all(),
        depth: 0,
        expires_at: Clock::System.now().plus_ms(HOUR_MS),
    };
    (home, token)
}

#[test]
fn a_run_whose_time_is_over_gets_no_server() {
    let (home, mut token) = scene();
    token.expires_at = Clock::System.now();
    let said = home.said(start(&home, &token));
    said.is(&expect![[r#"
        --- stderr
        error: the token of run 1 has expired
        --- exit 1
    "#]]);
}

#[test]
fn a_run_may_start_others_and_not_without_end() {
    let (home, mut token) = scene();
    let call = json!({ "agent_id": "reader", "task": "read notes.txt" });
    let mut client = Client::of(start(&home, &token));
    client.done("call_agent", &call);
    assert_eq!(home.json(&["runs", "list", "--limit", "1"])["runs"][0]["parent_id"], 1);
    // What the run was not granted it may not do.
    let refused = client.refused("delete_agent", &json!({ "agent_id": "reader" }));
    expect!["run 1 may not call `delete_agent`"].assert_eq(&refused);
    client.end(&home);
    token.depth = DEPTH_MAX;
    let mut client = Client::of(start(&home, &token));
    expect!["agents call each other at most 4 deep"].assert_eq(&client.refused("call_agent", &call));
    client.end(&home);
}
