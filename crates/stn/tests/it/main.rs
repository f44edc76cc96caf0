//! The real `stn` in a temporary home: one scene per thing a user does, one module per noun.
//!
//! A scene runs commands and compares what a person would see (stdout, stderr, exit code) with a snapshot in which
//! times, durations and paths are named instead of shown. `UPDATE_EXPECT=1 cargo test -p stn` writes them anew.

#![expect(clippy::unwrap_used, reason = "these are tests, also where they help each other")]

mod agent;
mod agent_files;
mod agent_tools;
mod api;
mod api_whole;
mod approvals;
mod architect;
mod at_rest;
mod at_server;
mod at_server_away;
mod at_server_kept;
mod audit;
mod audit_whole;
mod away;
mod bad_input;
mod budget;
mod canary;
mod completions;
mod config;
mod config_edit;
mod context;
mod demo;
mod doctor;
mod env;
mod errors;
mod exit;
mod forks;
mod gateway;
mod gateway_whole;
mod handed;
mod home;
mod http;
mod http_bounds;
mod http_limits;
mod init;
mod key;
mod kill;
mod lacking;
mod lock;
mod login;
mod logout;
mod man;
mod many;
mod mcp;
mod mcp_clients;
mod mcp_files;
mod mcp_login;
mod mcp_look;
mod mcp_remote;
mod mcp_server;
mod model;
mod named;
mod network;
mod old_home;
mod once;
mod ops;
mod otlp;
mod read_only;
mod resource;
mod rotation;
mod rpc;
mod run_token;
mod runs;
mod runs_which;
mod sampling;
mod sandbox;
mod serve;
mod settings;
mod sign_in;
mod states;
mod stdio;
mod streams;
mod sync;
mod terminal;
mod test;
mod tls;
mod user;
mod variables;
mod watch;
mod who_may;
mod who_may_mcp;

use std::collections::BTreeSet;
use std::path::Path;

/// Names of files and folders in a folder of this crate, without `.rs`.
fn names(folder: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(path).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".rs").to_owned())
        .collect()
}

#[test]
fn every_command_has_scenes_and_every_scene_is_run() {
    let commands: BTreeSet<String> = names("src/cmd").into_iter().filter(|name| name != "mod").collect();
    let scenes = names("tests/it");
    for command in &commands {
        assert!(scenes.contains(command), "no scene for `stn {command}`: add tests/it/{command}.rs");
    }
    let main =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/main.rs")).unwrap();
    for scene in scenes.iter().filter(|name| *name != "main") {
        assert!(main.contains(&format!("\nmod {scene};")), "tests/it/{scene}.rs is forgotten in main.rs");
    }
}
