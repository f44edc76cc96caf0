//! How servers end: nothing that Station started outlives it.

use crate::{PATIENCE, Scene, call, confine, effect, lives, nothing, object, pids, text, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use station_core::Secret;
use station_core::run::Why;
use station_core::sandbox::Sandbox;
use station_mcp::sandbox::Confine;
use station_mcp::{CallEnd, HANDED_FD};
use std::path::Path;
use std::process::{Command, Stdio};

/// Tells the test below that it is to act as Station, and where the processes are to be noted.
const STAND_IN: &str = "STATION_TEST_STAND_IN";

async fn gone(pids: &[u32]) {
    until("the end of all processes", || (!pids.iter().any(|pid| lives(*pid))).then_some(())).await;
}

#[tokio::test]
async fn closing_and_dropping_end_everything() {
    for drops in [false, true] {
        let scene = Scene::new(&["--grandchildren"]);
        let connection = scene.connect().await;
        let mut all = pids(&scene.file("pids"), 4).await;
        let shim = connection.process().expect("the shim runs");
        all.push(shim.pid);
        assert!(all.iter().all(|pid| lives(*pid)), "{all:?}");
        assert!(shim.start > 0);
        let other = connection.clone();
        if drops {
            drop(connection);
            assert_eq!(text(&other, "echo", json!({ "text": "alive" })).await, "alive");
            drop(other);
        } else {
            connection.close().await;
            other.close().await;
            assert!(connection.is_closed());
            assert!(!all.iter().any(|pid| lives(*pid)), "after `close` nobody is left");
            assert!(matches!(call(&other, "pid", nothing()).await, CallEnd::NotSent { .. }));
        }
        gone(&all).await;
    }
}

#[tokio::test]
async fn a_server_that_lingers_is_killed_after_its_grace() {
    let scene = Scene::new(&["--linger"]);
    let connection = scene.connect().await;
    let all = pids(&scene.file("pids"), 1).await;
    connection.close().await;
    assert!(!lives(all[0]));
}

#[tokio::test]
async fn a_call_in_flight_when_the_connection_is_closed_is_unknown() {
    let scene = Scene::new(&[]);
    let connection = scene.connect().await;
    let hanging = connection.call("hang", object(nothing()), effect(), PATIENCE);
    let closing = async {
        until("the call", || scene.file("log").exists().then_some(())).await;
        connection.close().await;
    };
    let (end, ()) = tokio::join!(hanging, closing);
    assert!(matches!(end, CallEnd::Unknown { why: Why::ConnectionLost, .. }), "{end:?}");
}

#[tokio::test]
async fn a_shim_holds_none_of_the_pipes_of_its_server() {
    // A server that closes its stdin and goes on could not be told from one that reads slowly.
    for confine in [confine(Sandbox::default()), Confine::Station] {
        let mut scene = Scene::new(&[]);
        scene.launch.confine = confine;
        scene.launch.handed = Some(Secret::new("not read"));
        let connection = scene.connect().await;
        let server = pids(&scene.file("pids"), 1).await[0];
        let given = |fd| descriptor(server, fd).expect("it has what it was given");
        let theirs = [0, 1, HANDED_FD.unsigned_abs()].map(given);
        let shim = connection.process().expect("the shim runs").pid;
        let held = || (0..16).filter_map(|fd| descriptor(shim, fd)).filter(|it| theirs.contains(it)).count();
        until("the shim to let go of what it passed on", || (held() == 0).then_some(())).await;
        connection.close().await;
    }
}

/// What a process has under a number.
fn descriptor(pid: u32, fd: u32) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()
}

#[tokio::test]
async fn what_a_dead_server_leaves_behind_is_killed() {
    let scene = Scene::new(&["--grandchildren"]);
    let connection = scene.connect().await;
    let all = pids(&scene.file("pids"), 4).await;
    let end = call(&connection, "crash", nothing()).await;
    assert!(matches!(end, CallEnd::Unknown { why: Why::ConnectionLost, .. }), "{end:?}");
    gone(&all).await;
}

#[tokio::test]
async fn a_polite_signal_to_the_shim_ends_everything() {
    let scene = Scene::new(&["--grandchildren"]);
    let connection = scene.connect().await;
    let mut all = pids(&scene.file("pids"), 4).await;
    let shim = connection.process().expect("the shim runs").pid;
    all.push(shim);
    kill(Pid::from_raw(shim.cast_signed()), Signal::SIGTERM).unwrap();
    gone(&all).await;
}

/// Not a test of its own: the one below starts it as the process that is killed.
#[tokio::test]
async fn stand_in_for_station() {
    let Some(folder) = crate::environment().remove(STAND_IN) else { return };
    let scene = Scene::new(&["--grandchildren", "--linger"]);
    let connection = scene.connect().await;
    let mut all = pids(&scene.file("pids"), 4).await;
    all.push(connection.process().expect("the shim runs").pid);
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    std::fs::write(Path::new(&folder).join("ready"), all.join("\n")).unwrap();
    std::fs::rename(Path::new(&folder).join("ready"), Path::new(&folder).join("all")).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn after_kill_minus_nine_of_station_nobody_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut station = Command::new(std::env::current_exe().unwrap())
        .args(["ends::stand_in_for_station", "--exact", "--nocapture"])
        .env(STAND_IN, folder.path())
        // It cannot clean up after itself: its own folders lie in this one.
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let all = pids(&folder.path().join("all"), 5).await;
    assert!(all.iter().all(|pid| lives(*pid)), "{all:?}");
    station.kill().unwrap();
    station.wait().unwrap();
    gone(&all).await;
}
