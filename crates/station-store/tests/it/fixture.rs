//! Where a test's store lives, and what most tests need in it.

use station_core::run::{Entry, Event};
use station_core::sync::{AgentRow, Change, Grant, ServerOutline};
use station_core::{
    AgentId, AgentName, Caller, EnvironmentId, EnvironmentName, Fence, Micros, RunId, Secret, Transport,
};
use station_store::{Appended, Claim, Key, LeaseClock, Location, NewRun, Options, Owner, Renewed, Store};
use station_testkit::postgres::cluster;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

/// The workspace of the tests.
pub(crate) const WORKSPACE: &str = "workspace-1";

/// The time of the tests, where it does not matter.
pub(crate) const NOW: Micros = Micros(1_700_000_000_000_000);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A place for a store, its key and its lease clock.
pub(crate) struct Home {
    pub(crate) location: Location,
    pub(crate) key: Key,
    pub(crate) lease_clock: Arc<AtomicI64>,
    pub(crate) folder: TempDir,
}

impl Home {
    pub(crate) fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = match engine {
            Engine::Sqlite => Location::Sqlite(folder.path().join("station.db")),
            Engine::Postgres => Location::Postgres(Secret::new(cluster().database())),
        };
        let lease_clock = Arc::new(AtomicI64::new(1_000_000));
        Self { location, key: Key::generate().unwrap(), lease_clock, folder }
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            location: self.location.clone(),
            keys: self.key.clone().into(),
            lease_clock: LeaseClock::Manual(Arc::clone(&self.lease_clock)),
        }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(self.options()).await.unwrap()
    }

    pub(crate) fn pass_ms(&self, ms: i64) {
        self.lease_clock.fetch_add(ms * 1_000, Ordering::SeqCst);
    }
}

/// Runs a test on both engines, one after the other.
#[expect(clippy::print_stderr, reason = "a failed test shows on which engine it failed")]
pub(crate) async fn on_both(test: impl AsyncFn(Home, Store)) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        eprintln!("on {engine:?}");
        let home = Home::new(engine);
        let store = home.open().await;
        test(home, store.clone()).await;
        store.close().await;
    }
}

pub(crate) fn env_name(name: &str) -> EnvironmentName {
    EnvironmentName::parse(name).unwrap()
}

pub(crate) fn agent_row(name: &str) -> AgentRow {
    AgentRow {
        name: AgentName::parse(name).unwrap(),
        description: format!("does {name}"),
        model: None,
        tags: vec!["logs".to_owned(), "ünï".to_owned()],
        source: format!("---\nmodel: offline\n---\nYou are {name}.\n"),
        path: Some(format!("environments/default/agents/{name}.prompt")),
        tools: Vec::new(),
        agents: Vec::new(),
        existed: false,
    }
}

pub(crate) fn put_agent(row: AgentRow) -> Change {
    Change::PutAgent(Box::new(row))
}

pub(crate) fn granted(written: &str) -> Grant {
    Grant { written: written.to_owned(), tool: None }
}

pub(crate) fn put_config(name: &str, servers: &[&str]) -> Change {
    Change::PutConfig {
        name: name.to_owned(),
        path: format!("environments/default/mcp-servers/{name}.json"),
        source: Secret::new(format!("{{\"mcpServers\": \"canary of {name}\"}}")),
        servers: servers.iter().map(|name| outline(name, "hash-1")).collect(),
        existed: false,
        dropped: Vec::new(),
    }
}

pub(crate) fn outline(name: &str, definition_hash: &str) -> ServerOutline {
    ServerOutline {
        name: name.to_owned(),
        transport: Transport::Stdio,
        definition_hash: definition_hash.to_owned(),
        variables: vec!["TOKEN".to_owned()],
    }
}

/// An environment with one agent.
pub(crate) struct Seed {
    pub(crate) env: EnvironmentId,
    pub(crate) agent: AgentId,
}

pub(crate) async fn seed(store: &Store) -> Seed {
    let changes = [Change::CreateEnvironment, put_agent(agent_row("triage"))];
    let env = store.apply(&env_name("default"), WORKSPACE, &changes, "ada", NOW).await.unwrap();
    let agent = store.agents_named("triage", Some(env)).await.unwrap()[0].id;
    Seed { env, agent }
}

pub(crate) fn new_run(seed: &Seed, task: &str) -> NewRun {
    NewRun::new(seed.agent, seed.env, Caller::LOCAL_USER, task)
}

pub(crate) fn owner(worker: &str) -> Owner {
    Owner { worker: worker.to_owned(), host: "here".to_owned(), pid: 4_000_000_000, pid_start: u64::MAX }
}

pub(crate) const LEASE_MS: u64 = 30_000;

/// Puts a run in the queue and takes it.
pub(crate) async fn started(store: &Store, seed: &Seed, task: &str) -> (RunId, Fence) {
    let run = store.enqueue(&new_run(seed, task), None, NOW).await.unwrap();
    (run, claimed(store, run, "one").await)
}

pub(crate) async fn claimed(store: &Store, run: RunId, worker: &str) -> Fence {
    match store.claim(run, &owner(worker), LEASE_MS, None, NOW).await.unwrap() {
        Claim::Claimed { fence, .. } => fence,
        other => panic!("{worker} could not claim run {run}: {other:?}"),
    }
}

/// What a claim by nobody's wish for an end brings.
pub(crate) fn claim_of(fence: i64) -> Claim {
    Claim::Claimed { fence: Fence(fence), cancel_requested_by: None }
}

pub(crate) fn kept() -> Renewed {
    Renewed::Kept { cancel_requested_by: None }
}

pub(crate) fn entry(seq: i64, text: &str) -> Entry {
    Entry { seq, at: Micros(NOW.0 + seq), event: Event::Refused { slot: 0, sentence: text.to_owned() } }
}

pub(crate) fn done() -> Appended {
    Appended::Done { children: Vec::new() }
}
