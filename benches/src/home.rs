//! A home in a temporary folder: files as a person has them, and the real `stn` or a Station open on them.

use crate::programs;
use serde_json::json;
use station_core::{Caller, EnvironmentName};
use station_engine::{
    AgentRef, Config, Key, Location, Models, NewRun, Run, Station, SyncOptions, SyncReport, Workspace,
};
use station_llm::Script;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// No bench waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home.
pub struct Home {
    folder: TempDir,
    /// What tool servers may write: the home itself is closed to them.
    work: TempDir,
}

impl Home {
    /// An empty one.
    ///
    /// # Panics
    /// Where the temporary folder cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let folder = || tempfile::tempdir().expect("the temporary folder can be written");
        Self { folder: folder(), work: folder() }
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path beside it, for what a tool server writes.
    #[must_use]
    pub fn work(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// The size of its database, with what is not checkpointed yet.
    #[must_use]
    pub fn store_bytes(&self) -> u64 {
        let size = |name: &str| std::fs::metadata(self.path().join(name)).map_or(0, |it| it.len());
        size("station.db") + size("station.db-wal")
    }

    /// Writes a file of the environment `default`.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path().join("environments/default").join(relative);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }

    /// Writes its `config.yaml`.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write_config(&self, text: &str) {
        std::fs::write(self.path().join("config.yaml"), text).expect("a file can be written");
    }

    /// A server file with one native server of its name.
    pub fn server(&self, name: &str, args: &[&str]) {
        let entry = json!({"mcpServers": {name: {"command": programs::fake_server(), "args": args}}});
        self.write(&format!("mcp-servers/{name}.json"), &entry.to_string());
    }

    /// An agent's file.
    pub fn agent(&self, name: &str, front: &str) {
        let text = format!(
            "---\nmetadata:\n  name: {name}\n  description: does {name}\n{front}\n---\nYou are {name}.\n"
        );
        self.write(&format!("agents/{name}.prompt"), &text);
    }

    /// How the fake server is reached without a Station.
    #[must_use]
    pub fn launch(&self) -> station_mcp::Launch {
        station_mcp::Launch {
            handed: None,
            server: "fake".to_owned(),
            definition: station_core::Definition::Stdio {
                command: programs::fake_server().display().to_string(),
                args: Vec::new(),
                env: BTreeMap::new(),
                cwd: None,
                filled: Vec::new(),
            },
            shim: programs::shim(),
            inherited: BTreeMap::new(),
            child_env: Vec::new(),
            confine: station_mcp::sandbox::Confine::Kept {
                sandbox: station_core::sandbox::Sandbox::default(),
                private: Box::default(),
            },
            folder: self.path().to_owned(),
            era: Some(station_core::Era::Modern),
            connect_timeout: PATIENCE,
            output_bytes_max: Config::OUTPUT_BYTES_MAX,
            answers: station_core::answers::Answers::default(),
            bearer: station_mcp::Bearer::default(),
            asks: station_mcp::Asks::default(),
            news: tokio::sync::watch::Sender::new(0),
        }
    }

    /// The real program, ready to be started in this home with nothing else in its environment.
    #[must_use]
    pub fn stn(&self, args: &[&str]) -> Command {
        let mut command = Command::new(programs::stn());
        command.arg("--config").arg(self.path()).args(args);
        command.env_clear().env("HOME", self.path()).env("PATH", "/usr/bin:/bin").current_dir(self.path());
        command
    }

    /// Opens a Station on this home whose model answers from `script`.
    ///
    /// # Panics
    /// Where the store cannot be opened.
    pub async fn open(&self, script: Script) -> Open {
        let folder = self.path().to_owned();
        let workspace = Workspace::new(folder.clone(), folder.clone(), None, false);
        let location = Location::Sqlite(folder.join("station.db"));
        let key = Key::generate().expect("the system has random bytes");
        let config = Config {
            run_timeout: PATIENCE,
            call_timeout: PATIENCE,
            connect_timeout: PATIENCE,
            worker: "bench".to_owned(),
            ..Config::new(workspace, location, key, programs::shim())
        };
        let station = Station::open_with(config, Models::scripted(script)).await.expect("the store opens");
        Open { station }
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

/// A Station open on a home.
pub struct Open {
    /// The station itself.
    pub station: Station,
}

impl Open {
    /// Syncs `default` and discovers its servers.
    ///
    /// # Panics
    /// Where a file or a server is broken.
    pub async fn sync(&self) -> SyncReport {
        let options = SyncOptions { dry_run: false, discover: true };
        let name = EnvironmentName::default();
        let report = self.station.sync(&Caller::local(), &name, options).await.expect("the files are there");
        for server in &report.discovery.servers {
            server.result.as_ref().expect("the fake server can be listed");
        }
        report
    }

    /// A run of `agent` from being put in the queue to its end.
    ///
    /// # Panics
    /// Where it does not end well.
    pub async fn run(&self, agent: &str) -> Run {
        let agent = AgentRef::parse(agent, Some(EnvironmentName::default()));
        let new = NewRun { task: "say what is new".to_owned(), ..NewRun::default() };
        let run = self.station.start_run(&Caller::local(), &agent, new).await.expect("the agent is there");
        let run = self.station.work_off(run.id, CancellationToken::new()).await.expect("the store works");
        assert_eq!(run.status, station_core::run::Status::Completed, "{:?}", run.error);
        run
    }
}
