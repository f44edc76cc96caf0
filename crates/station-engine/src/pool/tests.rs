//! What no run can show from outside: when the pool asks whether it may still send.

use super::{Outgoing, Pool, Reach};
use crate::{Clock, Config, Key, Location, ModelConfig, Passthrough, Workspace};
use station_core::{Definition, EffectId, EnvironmentId, ServerId, ServerSettings};
use station_mcp::{CallEnd, Shim};
use station_testkit::fake_server;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn config(folder: &Path) -> Config {
    Config {
        workspace: Workspace::new(folder.to_owned(), folder.to_owned(), None, false),
        location: Location::Sqlite(folder.join("station.db")),
        key: Key::generate().unwrap(),
        models: ModelConfig::default(),
        process: BTreeMap::new(),
        passthrough: Passthrough::All,
        child_env: Vec::new(),
        shim: Shim { program: fake_server::shim(), args: vec![station_mcp::shim::ARGUMENT.to_owned()] },
        clock: Clock::System,
        run_timeout: PATIENCE,
        call_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        output_bytes_max: Config::OUTPUT_BYTES_MAX,
        result_bytes_max: Config::RESULT_BYTES_MAX,
        processes_max: Config::PROCESSES_MAX,
        idle_close: Config::IDLE_CLOSE,
        discovery_ttl: Config::DISCOVERY_TTL,
        limits: Default::default(),
        prices: Default::default(),
        rate_limits: Default::default(),
        keep_days: None,
        queue_max: Config::QUEUE_MAX,
        approval_timeout: Some(Config::APPROVAL_TIMEOUT),
        socket_folders: Vec::new(),
        worker: "test".to_owned(),
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
    }
}

fn effect() -> EffectId {
    uuid::Uuid::now_v7().to_string().parse().unwrap()
}

#[tokio::test]
async fn a_lease_that_lapsed_while_the_server_started_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::new(&config(folder.path())).unwrap();
    let started = folder.path().join("pids");
    let may_send = || match started.exists() {
        true => Err("the lease has lapsed".to_owned()),
        false => Ok(()),
    };
    let reach = reach(folder.path());
    let outgoing = Outgoing {
        run: None,
        tool: "pid",
        arguments: serde_json::Map::new(),
        effect: effect(),
        may_send: &may_send,
    };
    let end = pool.send_call(&reach, outgoing).await;
    assert_eq!(end, CallEnd::NotSent { sentence: "the lease has lapsed".to_owned() });
    assert!(!folder.path().join("log").exists(), "no call arrived");
    pool.close().await;
}
