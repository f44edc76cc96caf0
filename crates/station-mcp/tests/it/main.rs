//! The client and the shim against a real child process, the fake MCP server of `station-testkit`; and serving.

#![expect(clippy::unwrap_used, reason = "these are tests, also where they help each other")]

mod calls;
mod ends;
mod everything;
mod greetings;
mod hostile;
mod lists;
mod remote;
mod sandbox;
mod served;

use serde_json::{Map, Value, json};
use station_core::sandbox::Sandbox;
use station_core::{Definition, EffectId, Era};
use station_mcp::sandbox::Confine;
use station_mcp::{Bearer, CallEnd, Connection, Launch, Shim, connect};
use station_testkit::fake_server;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for a loaded machine; nothing waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a server's log and trace, and the launch of that server.
struct Scene {
    folder: TempDir,
    launch: Launch,
}

impl Scene {
    /// A fake server with `options`, in a fresh folder, logging there.
    fn new(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut args: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        for (option, file) in [("--log", "log"), ("--trace", "trace"), ("--pids", "pids")] {
            args.extend([option.to_owned(), folder.path().join(file).display().to_string()]);
        }
        let launch = Launch {
            handed: None,
            server: "fake".to_owned(),
            definition: Definition::Stdio {
                command: fake_server::binary().display().to_string(),
                args,
                env: BTreeMap::new(),
                cwd: None,
                filled: Vec::new(),
            },
            shim: Shim { program: fake_server::shim(), args: vec![station_mcp::shim::ARGUMENT.to_owned()] },
            inherited: environment(),
            child_env: Vec::new(),
            confine: confine(Sandbox::default()),
            folder: folder.path().to_owned(),
            era: None,
            connect_timeout: PATIENCE,
            output_bytes_max: 1_000_000,
            answers: station_core::answers::Answers::default(),
            bearer: Bearer::default(),
            asks: station_mcp::Asks::default(),
            news: tokio::sync::watch::Sender::new(0),
        };
        Self { folder, launch }
    }

    /// The same, remembered as of `era`.
    fn seen(mut self, era: Era) -> Self {
        self.launch.era = Some(era);
        self
    }

    async fn connect(&self) -> Connection {
        connect(self.launch.clone()).await.unwrap_or_else(|error| panic!("{error}: {:?}", error.stderr))
    }

    /// The sentence with which connecting fails, and the server's last lines.
    async fn refusal(&self) -> (String, Vec<String>) {
        let error = connect(self.launch.clone()).await.expect_err("this server cannot be connected to");
        (error.sentence, error.stderr)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The methods the server was sent, in order.
    fn methods(&self) -> Vec<String> {
        lines(&self.file("trace"))
            .iter()
            .filter_map(|line| {
                let message: Value = serde_json::from_str(line).unwrap();
                message["method"].as_str().map(str::to_owned)
            })
            .collect()
    }
}

/// This process's own variables: none but those of the base list may reach a server.
#[expect(clippy::disallowed_methods, reason = "a test stands in for the terminal door here")]
fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

/// As a server is kept where nothing is Station's own.
fn confine(sandbox: Sandbox) -> Confine {
    Confine::Kept { sandbox, private: Box::default() }
}

/// A call with patience.
async fn call(connection: &Connection, tool: &str, arguments: Value) -> CallEnd {
    connection.call(tool, object(arguments), effect(), PATIENCE).await
}

/// The text of a call that worked.
async fn text(connection: &Connection, tool: &str, arguments: Value) -> String {
    match call(connection, tool, arguments).await {
        CallEnd::Returned { text, is_error: false, .. } => text,
        other => panic!("`{tool}` ended as {other:?}"),
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value} is no object") };
    object
}

fn effect() -> EffectId {
    uuid::Uuid::now_v7().to_string().parse().unwrap()
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Looks again and again until `seen` says what it wants to see.
async fn until<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = seen() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} was not seen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process is there and not only waits to be reaped.
fn lives(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// The numbers of the server and of its grandchildren, once all have told theirs.
async fn pids(file: &Path, count: usize) -> Vec<u32> {
    until("the processes", || {
        let pids: Vec<u32> = lines(file).iter().filter_map(|line| line.parse().ok()).collect();
        (pids.len() == count).then_some(pids)
    })
    .await
}

/// An argument-less call's arguments.
fn nothing() -> Value {
    json!({})
}
