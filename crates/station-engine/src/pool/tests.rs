//! What no run can show from outside: when the pool asks whether it may still send.

use super::{MaySend, Outgoing, Pool, Reach, Wanted};
use crate::{Config, Key, Location, Workspace};
use station_core::{
    Definition, EffectId, EnvironmentId, Isolation, RunId, ServerId, ServerSettings, Transport,
};
use station_mcp::{CallEnd, Shim};
use station_testkit::fake_server;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn config(folder: &Path) -> Config {
    let workspace = Workspace::new(folder.to_owned(), folder.to_owned(), None, false);
    let location = Location::Sqlite(folder.join("station.db"));
    let shim = Shim { program: fake_server::shim(), args: vec![station_mcp::shim::ARGUMENT.to_owned()] };
    Config {
        run_timeout: PATIENCE,
        call_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        worker: "test".to_owned(),
        ..Config::new(workspace, location, Key::generate().unwrap(), shim)
    }
}

/// A fake server that logs and notes its process in `folder`.
fn reach(folder: &Path) -> Reach {
    let file = |name: &str| folder.join(name).display().to_string();
    Reach {
        environment: EnvironmentId(1),
        server: ServerId(1),
        name: "fake".to_owned(),
        definition: Definition::Stdio {
            command: fake_server::binary().display().to_string(),
            args: vec!["--log".to_owned(), file("log"), "--pids".to_owned(), file("pids")],
            env: BTreeMap::new(),
            cwd: None,
            filled: Vec::new(),
        },
        settings: ServerSettings::default(),
        era: None,
        problem: None,
        token: None,
        asks: station_mcp::Asks::default(),
    }
}

fn effect() -> EffectId {
    uuid::Uuid::now_v7().to_string().parse().unwrap()
}

/// A call of `pid`.
fn outgoing<'a>(run: Option<RunId>, may_send: &'a MaySend<'a>) -> Outgoing<'a> {
    Outgoing {
        run,
        wanted: Wanted::call("pid", serde_json::Map::new(), serde_json::Map::new()),
        effect: effect(),
        is_secret: false,
        turn: None,
        may_send,
        along: station_mcp::Along::default(),
    }
}

#[tokio::test]
async fn a_lease_that_lapsed_while_the_server_started_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::new(&config(folder.path())).unwrap();
    let started = folder.path().join("pids");
    let may_send = || match started.exists() {
        true => Err("the lease has lapsed".to_owned()),
        false => Ok(None),
    };
    let reach = reach(folder.path());
    let end = pool.send_call(&reach, outgoing(None, &may_send)).await;
    assert_eq!(end, CallEnd::NotSent { sentence: "the lease has lapsed".to_owned() });
    assert!(!folder.path().join("log").exists(), "no call arrived");
    pool.close().await;
}

#[tokio::test]
async fn a_run_keeps_a_server_of_its_own_while_another_is_still_closing() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::new(&config(folder.path())).unwrap();
    let mut reach = reach(folder.path());
    reach.settings.isolation = Isolation::Run;
    let run = Some(RunId(7));
    pool.send_call(&reach, outgoing(run, &|| Ok(None))).await;
    let own = pool.key(&reach, run);
    // A server that is closing is no more among those that are open, and has its place until it has ended.
    let leaving = pool.shared.leaving.token();
    assert!(pool.idlest(Transport::Stdio, run).is_none(), "it waits for that");
    drop(leaving);
    assert!(pool.idlest(Transport::Stdio, run) == Some(own), "nothing else will make room");
    pool.close().await;
}
