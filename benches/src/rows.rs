//! Rows by the ten thousand, written into the store of a home without anybody having driven them there.

use crate::home::Home;
use serde_json::json;
use station_core::discovery::{DiscoveredTool, Discovery};
use station_core::run::{Entry, Event, Inputs, Outcome, Status, WaitsOn};
use station_core::tool::Annotations;
use station_core::{
    BlobHash, Caller, Concurrency, EnvironmentId, EnvironmentName, Era, Fence, Micros, Origin, RunId,
};
use station_store::{
    Append, Appended, Key, LeaseClock, Location, NewApproval, NewRun, Options, Owner, RunUpdate, Store,
    Wanted,
};
use std::time::{Duration, Instant};

/// Rows that are made at a time: as many as one group commit takes.
const BATCH: usize = 500;

const NOW: Micros = Micros(1_700_000_000_000_000);

const LEASE_MS: u64 = 600_000;

/// Opens the store that `stn` made in `home`.
///
/// # Panics
/// Where there is none, or it fails.
pub async fn open(home: &Home) -> Store {
    let key = std::fs::read_to_string(home.path().join("station.key")).expect("`stn sync` made a key");
    let options = Options {
        location: Location::Sqlite(home.path().join("station.db")),
        keys: Key::from_hex(key.trim()).expect("64 hex digits").into(),
        lease_clock: LeaseClock::System,
    };
    Store::open(options).await.expect("the store opens")
}

/// Makes `n` runs of the agent `talker` of `default`, of which `request` was asked beside their task, and lets each go as `last`
/// says; how long that took.
///
/// # Panics
/// Where there is no such agent, or the store fails.
pub async fn runs(store: &Store, n: usize, request: &str, last: impl Fn(RunId, Fence) -> Append) -> Duration {
    let agent = store.agents_named("talker", None).await.expect("the store works").remove(0);
    let new = NewRun::new(agent.id, agent.environment, Caller::LOCAL_USER, "say what is new");
    let new = NewRun { request: request.to_owned(), ..new };
    let owner = Owner { worker: "bench".to_owned(), host: "here".to_owned(), pid: 1, pid_start: 1 };
    let wanted = Wanted { n: u32::try_from(BATCH).expect("a few hundred"), at_once: Concurrency::default() };
    let started = Instant::now();
    for _ in 0..n / BATCH {
        let made = (0..BATCH).map(|_| store.enqueue(&new, None, NOW));
        for run in futures::future::join_all(made).await {
            run.expect("the store works");
        }
        let taken = store.claim_next(&owner, LEASE_MS, &wanted, NOW).await.expect("the store works");
        let gone = taken.iter().map(|(run, fence)| store.append(last(run.id, *fence)));
        for appended in futures::future::join_all(gone).await {
            assert!(matches!(appended.expect("the store works"), Appended::Done { .. }));
        }
    }
    started.elapsed()
}

/// A run that waits for a person, as the real program made it, to be had many times over.
pub struct Parked {
    request: String,
    row: RunUpdate,
    /// Its journal, as JSON.
    journal: String,
    /// The effects that it tells of, as they stand there.
    effects: Vec<String>,
    blobs: Vec<(BlobHash, Vec<u8>)>,
    question: NewApproval,
}

impl Parked {
    /// What `run`, which is parked, left in `store`.
    ///
    /// # Panics
    /// Where it does not wait for a person's yes to one call, or the store fails.
    pub async fn of(store: &Store, run: RunId) -> Self {
        let id = run;
        let run = store.run(id).await.expect("the store works").expect("it is there");
        let journal = store.journal(id, 0, 100).await.expect("the store works");
        let inputs = Inputs::of(&journal).expect("it was prepared");
        let mut blobs = Vec::new();
        for hash in [&inputs.system, &inputs.tools, &inputs.settings] {
            blobs.push((hash.clone(), store.blob(hash).await.expect("its inputs are there")));
        }
        let asked = store.approvals_of(id).await.expect("the store works").remove(0);
        let servers = store.servers(Some(run.environment)).await.expect("the store works");
        let server = servers.iter().find(|server| server.name == asked.server).expect("its server is there");
        let question = NewApproval {
            effect: asked.effect,
            agent: run.agent,
            server: server.id,
            tool: asked.tool,
            arguments: asked.arguments,
            basis: asked.basis,
            expires_at: asked.expires_at,
        };
        let effects = journal.iter().filter_map(|entry| match &entry.event {
            Event::EffectStarted { id, .. } | Event::EffectPlanned { id, .. } => Some(id.to_string()),
            _ => None,
        });
        let waits_on = run.waiting_on.zip(run.waiting_kind).expect("it waits");
        let row = RunUpdate {
            waiting_on: Some(WaitsOn { words: waits_on.0, kind: waits_on.1 }),
            waiting_since: run.waiting_since,
            model: run.model,
            steps: run.steps,
            tool_calls: run.tool_calls,
            usage: run.usage,
            ..RunUpdate::new(run.status)
        };
        let effects = effects.collect();
        let journal = serde_json::to_string(&journal).expect("a journal is JSON");
        Self { request: run.request, row, journal, effects, blobs, question }
    }

    /// What was asked beside its task.
    #[must_use]
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Bytes of its journal.
    #[must_use]
    pub fn journal_bytes(&self) -> usize {
        self.journal.len()
    }

    /// What `run` would have appended; its effects are its own.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn again(&self, run: RunId, fence: Fence) -> Append {
        let own = |effect: &str| format!("{}{:012x}", &effect[..effect.len() - 12], run.0);
        let journal = self
            .effects
            .iter()
            .fold(self.journal.clone(), |journal, effect| journal.replace(effect.as_str(), &own(effect)));
        let mut entries: Vec<Entry> = serde_json::from_str(&journal).expect("it was a journal before");
        for entry in &mut entries {
            if let Event::Adopted { fence: adopted, .. } = &mut entry.event {
                *adopted = fence;
            }
        }
        let effect = own(&self.question.effect.to_string()).parse().expect("an id like the one it had");
        Append {
            row: Some(self.row.clone()),
            blobs: self.blobs.clone(),
            asks: vec![NewApproval { effect, ..self.question.clone() }],
            ..Append::new(run, fence, entries)
        }
    }
}

/// A run that has answered.
#[must_use]
pub fn ended(run: RunId, fence: Fence) -> Append {
    let answer = "nothing is new".to_owned();
    let end = Event::RunEnded { outcome: Outcome::Completed { answer: answer.clone() } };
    Append {
        row: Some(RunUpdate {
            steps: 1,
            answer: Some(answer),
            ended_at: Some(NOW),
            ..RunUpdate::new(Status::Completed)
        }),
        ..Append::new(run, fence, vec![adopted(fence), Entry { seq: 2, at: NOW, event: end }])
    }
}

fn adopted(fence: Fence) -> Entry {
    let event =
        Event::Adopted { fence, worker: "bench".to_owned(), deadline: None, alone: false, process: None };
    Entry { seq: 1, at: NOW, event }
}

/// Makes `n` environments without anything in them; how long that took.
///
/// # Panics
/// Where the store fails.
pub async fn environments(store: &Store, n: usize) -> Duration {
    let started = Instant::now();
    let names: Vec<_> =
        (0..n).map(|n| EnvironmentName::parse(&format!("team-{n:05}")).expect("a name")).collect();
    for some in names.chunks(BATCH) {
        let made =
            some.iter().map(|name| store.create_environment(name, "", (Origin::Store, "bench"), "ada", NOW));
        for made in futures::future::join_all(made).await {
            made.expect("the store works");
        }
    }
    started.elapsed()
}

/// Puts `each` tools of every server of `environment` into the catalog, as if it had been listed.
///
/// # Panics
/// Where the store fails.
pub async fn tools(store: &Store, environment: EnvironmentId, each: usize) {
    for server in store.servers(Some(environment)).await.expect("the store works") {
        let tools = (0..each).map(|n| tool(&format!("{}_{n:03}", server.name))).collect();
        let found = Discovery {
            era: Era::Modern,
            tools,
            resources: Vec::new(),
            prompts: Vec::new(),
            capabilities: json!({"tools": {}}),
            instructions: None,
        };
        store.record_discovery(server.id, &found, NOW).await.expect("the store works");
    }
}

fn tool(name: &str) -> DiscoveredTool {
    DiscoveredTool {
        name: name.to_owned(),
        title: String::new(),
        description: format!("{name}: reads one record of the inventory by its number"),
        input_schema: json!({
            "type": "object",
            "properties": {"number": {"type": "integer", "description": "The record's number"}},
            "required": ["number"],
        }),
        output_schema: None,
        annotations: Annotations { read_only: Some(true), ..Annotations::default() },
        more: serde_json::Map::new(),
    }
}
