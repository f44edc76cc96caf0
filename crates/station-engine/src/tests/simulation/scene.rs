//! Where the simulation plays: a store with a server's tools, two clerks and a coordinator of both.

use super::world::Shared;
use crate::pool::Pool;
use crate::{Clock, Config, Station, Workspace};
use serde_json::json;
use station_core::approval;
use station_core::budget::{Caps, Limits};
use station_core::discovery::{DiscoveredTool, Discovery};
use station_core::sync::{AgentRow, Change, Grant, ServerOutline};
use station_core::{
    AgentId, AgentName, Annotations, Concurrency, Definition, EnvironmentId, EnvironmentName, Era, Micros,
    Secret, ServerId, Transport, grant,
};
use station_llm::Models;
use station_store::{Key, Location, Options, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// A run may take so long; none of the schedules is that long, but for a jump of the clock.
const RUN_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// What the server's file says that it is; nobody starts it.
const COMMAND: &str = "true";

/// What runs may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tests) enum Stakes {
    /// So much that nobody is kept waiting; but every request goes through the ledger.
    High,
    /// Each run so much, of which it needs more, and is given it.
    Run,
    /// All runs of the day so much, of which they need more, and are given it.
    Day,
}

/// Two or three requests of a run, by what is reserved for each.
pub(super) const RUN_TOKENS: i64 = 10_000;

/// What all runs of the day begin with.
pub(super) const DAY_TOKENS: i64 = 15_000;

impl Stakes {
    pub(super) fn of(seed: u64) -> Self {
        match seed % 3 {
            0 => Self::High,
            1 => Self::Run,
            _ => Self::Day,
        }
    }

    fn of_run(self) -> i64 {
        if self == Self::Run { RUN_TOKENS } else { i64::MAX / 2 }
    }
}

pub(in crate::tests) struct Scene {
    pub(in crate::tests) store: Store,
    pub(super) stakes: Stakes,
    /// How much a whole worker drives at a time, with all others.
    pub(super) at_once: Concurrency,
    pub(in crate::tests) environment: EnvironmentId,
    pub(in crate::tests) agents: Vec<AgentId>,
    pub(super) wall: Arc<AtomicI64>,
    pub(super) boot: Arc<AtomicI64>,
    server: ServerId,
    key: Key,
    folder: TempDir,
}

impl Scene {
    pub(in crate::tests) async fn new(stakes: Stakes) -> Self {
        // Without a disk to wait for; durability itself is not played here, `kill.rs` of `stn` has real processes.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        let wall = Arc::new(AtomicI64::new(1_700_000_000_000_000));
        let boot = Arc::new(AtomicI64::new(1_000_000_000));
        let clock = Clock::Simulated { wall: Arc::clone(&wall), boot: Arc::clone(&boot) };
        let key = Key::generate().expect("random bytes");
        let location = Location::Sqlite(folder.path().join("station.db"));
        let options = Options { location, keys: key.clone().into(), lease_clock: clock.of_leases() };
        let store = Store::open_on_this_thread(options).await.expect("an empty store opens");
        let (environment, agents, server) = fill(&store).await;
        let at_once = Concurrency::UNLIMITED;
        Self { store, stakes, at_once, environment, agents, wall, boot, server, key, folder }
    }

    /// The server says something else of `guarded` from here on.
    pub(super) async fn redefine_guarded(&self, edition: u64) {
        let found = discovery(&format!("does guarded, edition {edition}"));
        self.store.record_discovery(self.server, &found, self.now()).await.expect("it records");
    }

    /// What a yes for `guarded` is bound to now, beside its arguments.
    pub(super) async fn definition_of_guarded(&self) -> String {
        let tools = self.store.catalog(self.environment).await.expect("it reads");
        let guarded = tools.iter().find(|tool| tool.name == "guarded").expect("it is offered");
        let (args, filled) = (Vec::new(), Vec::new());
        let server =
            Definition::Stdio { command: COMMAND.to_owned(), args, env: BTreeMap::new(), cwd: None, filled };
        approval::definition(guarded, &server)
    }

    pub(in crate::tests) fn now(&self) -> Micros {
        Micros(self.wall.load(Ordering::SeqCst))
    }

    /// Lets `time` go by, on every clock.
    pub(in crate::tests) async fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).expect("a short time");
        self.wall.fetch_add(micros, Ordering::SeqCst);
        self.boot.fetch_add(micros, Ordering::SeqCst);
        tokio::time::advance(time).await;
    }

    /// A process that works on the store.
    pub(in crate::tests) fn station(&self, world: &Shared, name: &str) -> Station {
        self.station_on(self.store.clone(), world, name)
    }

    /// A process with connections of its own, which hears nothing of the others.
    pub(super) async fn station_apart(&self, world: &Shared, name: &str) -> Station {
        let location = Location::Sqlite(self.folder.path().join("station.db"));
        let options =
            Options { location, keys: self.key.clone().into(), lease_clock: self.clock().of_leases() };
        let store = Store::open_on_this_thread(options).await.expect("a store that is there opens");
        self.station_on(store, world, name)
    }

    fn clock(&self) -> Clock {
        Clock::Simulated { wall: Arc::clone(&self.wall), boot: Arc::clone(&self.boot) }
    }

    fn station_on(&self, store: Store, world: &Shared, name: &str) -> Station {
        let folder = self.folder.path().to_owned();
        let workspace = Workspace::new(folder.clone(), folder.clone(), None, false);
        let location = Location::Sqlite(folder.join("station.db"));
        let shim = station_mcp::Shim { program: folder, args: Vec::new() };
        let config = Config {
            clock: self.clock(),
            run_timeout: RUN_TIMEOUT,
            limits: Limits {
                run: Caps { tokens: Some(self.stakes.of_run()), ..Caps::default() },
                day: Caps::default(),
            },
            approval_timeout: Some(Duration::from_secs(600)),
            worker: name.to_owned(),
            at_once: self.at_once.clone(),
            ..Config::new(workspace, location, self.key.clone(), shim)
        };
        let pool = Pool::played(&config, world.tools()).expect("random bytes");
        Station::of(config, store, Models::scripted(world.model()), pool)
    }
}

fn tool(name: &str, description: &str, annotations: Annotations) -> DiscoveredTool {
    DiscoveredTool {
        name: name.to_owned(),
        title: String::new(),
        description: description.to_owned(),
        input_schema: json!({"type": "object"}),
        output_schema: None,
        annotations,
        more: serde_json::Map::new(),
    }
}

fn agent(name: &str, front: &str, agents: &[&str]) -> Change {
    Change::PutAgent(Box::new(AgentRow {
        name: AgentName::parse(name).expect("a name"),
        description: format!("is {name}"),
        model: None,
        tags: Vec::new(),
        source: format!("---\nmodel: script/one\nmax_steps: 8\n{front}---\nYou are {name}.\n"),
        path: None,
        tools: Vec::new(),
        agents: agents.iter().map(|name| (*name).to_owned()).collect(),
        existed: false,
    }))
}

/// What the server offers, with what it says of `guarded`.
fn discovery(guarded: &str) -> Discovery {
    let idempotent = Annotations { idempotent: Some(true), ..Annotations::default() };
    let read_only = Annotations { read_only: Some(true), ..Annotations::default() };
    Discovery {
        era: Era::Modern,
        tools: vec![
            tool("post", "does post", Annotations::default()),
            tool("checked", "does checked", Annotations::default()),
            tool("guarded", guarded, Annotations::default()),
            tool("put", "does put", idempotent),
            tool("read", "does read", read_only),
            tool("posted", "does posted", read_only),
        ],
        resources: Vec::new(),
        prompts: Vec::new(),
        capabilities: json!({}),
        instructions: None,
    }
}

async fn fill(store: &Store) -> (EnvironmentId, Vec<AgentId>, ServerId) {
    let now = Micros(1);
    let rules = json!({
        "approve": ["guarded"],
        "verify": { "checked": { "tool": "posted", "args": { "effect": "$effect_id" } } },
    });
    let file = json!({ "mcpServers": { "book": { "command": COMMAND, "station": { "tools": rules, "concurrency": 2 } } } });
    let changes = [
        Change::CreateEnvironment,
        Change::PutConfig {
            name: "book".to_owned(),
            path: "mcp-servers/book.json".to_owned(),
            source: Secret::new(file.to_string()),
            servers: vec![ServerOutline {
                name: "book".to_owned(),
                transport: Transport::Stdio,
                definition_hash: "one".to_owned(),
                variables: Vec::new(),
            }],
            existed: false,
            dropped: Vec::new(),
        },
        agent("teller", "station: {unknown: tell}\n", &[]),
        agent("parker", "station: {unknown: park}\n", &[]),
        agent("boss", "agents: [teller, parker]\n", &["teller", "parker"]),
    ];
    let environment =
        store.apply(&EnvironmentName::default(), "w", &changes, "ada", now).await.expect("it applies");
    let server = store.servers(Some(environment)).await.expect("it reads")[0].id;
    store.record_discovery(server, &discovery("does guarded"), now).await.expect("it records");
    let catalog = store.tool_names(environment).await.expect("it reads");
    let written: Vec<String> =
        ["post", "checked", "guarded", "put", "read"].iter().map(|name| (*name).to_owned()).collect();
    let agents = store.agents(Some(environment)).await.expect("it reads");
    let grants: Vec<Grant> = grant::link(&written, &catalog, &BTreeMap::new())
        .into_iter()
        .map(|link| Grant { written: link.written, tool: link.tool })
        .collect();
    let clerks = agents.iter().filter(|agent| agent.name.as_str() != "boss");
    let links: Vec<(AgentId, Vec<Grant>)> = clerks.map(|agent| (agent.id, grants.clone())).collect();
    store.relink(environment, &links).await.expect("it links");
    (environment, agents.iter().map(|agent| agent.id).collect(), server)
}
