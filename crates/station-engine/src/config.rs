//! What a door tells the engine: everything settled, nothing left to parse.

use crate::Clock;
use crate::workspace::Workspace;
use station_core::budget::{Limits, Prices};
use station_core::file::config::RateLimits;
use station_core::sandbox::Private;
use station_core::{Concurrency, Secret};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// Everything the engine needs to know, read once by the door.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where files are.
    pub workspace: Workspace,
    /// Where the database is.
    pub location: station_store::Location,
    /// The master key, and what is needed beside it while it is rotated.
    pub keys: station_store::KeyRing,
    /// Models, keys and base URLs.
    pub models: station_llm::Config,
    /// The process environment as the door saw it.
    pub process: BTreeMap<String, Secret>,
    /// Which of its names a template may ask for.
    pub passthrough: Passthrough,
    /// Names of the process environment that every child gets beside the base list.
    pub child_env: Vec<String>,
    /// How to start ourselves as the shim of a child.
    pub shim: station_mcp::Shim,
    /// What is Station's own, and out of reach of the servers that it starts.
    pub private: Private,
    /// How Station's own MCP server is started for a run; `None`: as any other program.
    pub own_server: Option<OwnServer>,
    /// The clock.
    pub clock: Clock,
    /// Time a whole run may take.
    pub run_timeout: Duration,
    /// Time one tool call may take where its server's file does not say.
    pub call_timeout: Duration,
    /// Time a server may take to start and list its tools where its file does not say.
    pub connect_timeout: Duration,
    /// Bytes of one tool result that are kept where its server's file does not say.
    pub output_bytes_max: u64,
    /// Bytes of one tool result that stand in the conversation where its server's file does not say; the rest is read
    /// by handle.
    pub result_bytes_max: u64,
    /// Connections to tool servers at a time.
    pub processes_max: usize,
    /// A connection unused for so long is closed.
    pub idle_close: Duration,
    /// A server's tools are listed anew after so long.
    pub discovery_ttl: Duration,
    /// Runs that may wait for a worker.
    pub queue_max: u32,
    /// Runs that may be driven at a time of one environment, of one agent, with one model, over all who share the store.
    /// Models are named as in an agent's file.
    pub at_once: Concurrency,
    /// A call that waits for a person is answered as timed out after so long; `None`: it waits for ever.
    pub approval_timeout: Option<Duration>,
    /// Folders in which a worker's socket may lie, the best first; each is made for its owner alone.
    pub socket_folders: Vec<PathBuf>,
    /// What runs may spend by config.yaml.
    pub limits: Limits,
    /// What models cost.
    pub prices: Prices,
    /// How often providers and tool servers may be asked.
    pub rate_limits: RateLimits,
    /// config.yaml, where settings are written; `None`: nowhere.
    pub settings_file: Option<PathBuf>,
    /// Days for which ended runs are kept: `runs.keep_days`; `None`: for ever.
    pub keep_days: Option<u32>,
    /// Host and process, for people.
    pub worker: String,
}

impl Config {
    /// `execution.timeout`.
    pub const RUN_TIMEOUT: Duration = Duration::from_secs(600);
    /// Most tool calls answer within seconds; a build or a query may take a minute.
    pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);
    /// `discovery.timeout`: `npx` may have to fetch a package first.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
    /// What is beyond it is lost; a model that is told the first part of it can narrow its call.
    pub const OUTPUT_BYTES_MAX: u64 = 1 << 20;
    /// `context.result_bytes_max`.
    pub const RESULT_BYTES_MAX: u64 = station_core::run::RESULT_BYTES_MAX;
    /// `pool.processes_max`: a hundred servers are expected per environment.
    pub const PROCESSES_MAX: usize = 128;
    /// `execution.queue`.
    pub const QUEUE_MAX: u32 = 1_000;
    /// `pool.idle_close`.
    pub const IDLE_CLOSE: Duration = Duration::from_secs(300);
    /// `approvals.timeout`: somebody who is away for some weeks finds the question when they are back.
    pub const APPROVAL_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);
    /// `discovery.ttl`.
    pub const DISCOVERY_TTL: Duration = Duration::from_secs(24 * 3600);

    /// What holds where nobody says anything else: the times and sizes above, no limits, no provider, no socket.
    #[must_use]
    pub fn new(
        workspace: Workspace,
        location: station_store::Location,
        keys: impl Into<station_store::KeyRing>,
        shim: station_mcp::Shim,
    ) -> Self {
        Self {
            workspace,
            location,
            keys: keys.into(),
            models: station_llm::Config::default(),
            process: BTreeMap::new(),
            passthrough: Passthrough::All,
            child_env: Vec::new(),
            shim,
            private: Private::default(),
            own_server: None,
            clock: Clock::System,
            run_timeout: Self::RUN_TIMEOUT,
            call_timeout: Self::CALL_TIMEOUT,
            connect_timeout: Self::CONNECT_TIMEOUT,
            output_bytes_max: Self::OUTPUT_BYTES_MAX,
            result_bytes_max: Self::RESULT_BYTES_MAX,
            processes_max: Self::PROCESSES_MAX,
            idle_close: Self::IDLE_CLOSE,
            discovery_ttl: Self::DISCOVERY_TTL,
            queue_max: Self::QUEUE_MAX,
            at_once: Concurrency::UNLIMITED,
            approval_timeout: Some(Self::APPROVAL_TIMEOUT),
            socket_folders: Vec::new(),
            limits: Limits::default(),
            prices: Prices::default(),
            rate_limits: RateLimits::default(),
            settings_file: None,
            keep_days: None,
            worker: String::new(),
        }
    }
}

/// How Station's own server is started: never by a path that a file names, because it is handed the key.
#[derive(Clone, Debug)]
pub struct OwnServer {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What its door needs to open the same store: words that the engine hands on as they are.
    pub settings: Secret,
}

/// Which names of the process environment a template may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passthrough {
    /// All but Station's own secrets: a command typed by a person.
    All,
    /// These: a server, whose environment is not the user's.
    Only(BTreeSet<String>),
}
