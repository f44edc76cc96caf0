//! Replays a case against the agent's file as it is now: the same machine, gate and loop, with the record in place of
//! models and tool servers, on a store of its own that is gone afterwards. Nothing is sent anywhere, and no key is needed.

use crate::approvals::Yes;
use crate::pool::{Played, PlayedCall, Pool};
use crate::variables::OWN;
use crate::{AgentRef, Config, Driver, NewRun, Station, Workspace, drive, prepare};
use futures::FutureExt as _;
use station_core::budget::Limits;
use station_core::case::{self, Call, CallEnd, Case, Replayed, Step, ToolKind, Verdict};
use station_core::discovery::{DiscoveredTool, Discovery};
use station_core::file::config::RateLimits;
use station_core::file::{Problem, Severity, servers, variables};
use station_core::run::{AskFailure, Inputs, Outcome, Status, Why, steps_taken};
use station_core::tool::canonical_json;
use station_core::{Caller, EnvironmentName, Era, Error, Message, Result, Secret};
use station_llm::script::{self, Turn};
use station_llm::{Models, Request, Script};
use station_store::{ApprovalFilter, LeaseClock, Options, Store};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// What stands where a value was taken out of the record, and where the workspace has none.
const STAND_IN: &str = "[secret]";

/// Questions that one run can put to people: more than it can make calls in its steps.
const QUESTIONS_MAX: u32 = 1_000;

impl Station {
    /// Replays `case` against the files of its environment in `config.workspace`. The store of `config` is made for it,
    /// and is the caller's to remove.
    ///
    /// # Errors
    /// `NotFound` where the workspace lacks the environment or the agent; `Invalid` where their files are broken.
    pub async fn replay(config: Config, case: &Case) -> Result<Verdict> {
        let name = EnvironmentName::parse(&case.environment)?;
        let process = stand_ins(&config.workspace, &name)?;
        // What the installation may spend, and how fast, is nothing to a replay: it spends nothing.
        let config = Config {
            process,
            passthrough: crate::Passthrough::All,
            limits: Limits::default(),
            rate_limits: RateLimits::default(),
            ..config
        };
        let record = Arc::new(Record::of(case));
        let store = Store::open(Options {
            location: config.location.clone(),
            keys: config.keys.clone(),
            lease_clock: LeaseClock::System,
        })
        .await?;
        let pool = Pool::played(&config, played(&record))?;
        let models = Models::scripted(model(&record)).for_every_name();
        let station = Self::of(config, store, models, pool);
        let verdict = station.replayed(&name, case, &record).await;
        station.close().await;
        verdict
    }

    async fn replayed(&self, name: &EnvironmentName, case: &Case, record: &Record) -> Result<Verdict> {
        let by = Caller::local();
        let problems = self.apply_unlisted(name).await?;
        self.take_tools(name, case).await?;
        let agent = AgentRef::Name { name: case.agent.clone(), environment: Some(name.clone()) };
        let new = NewRun {
            task: case.task.clone(),
            variables: case.variables.iter().map(|name| (name.clone(), Secret::new(STAND_IN))).collect(),
            driver: Driver::Caller,
            ..NewRun::default()
        };
        let run = match self.start_run(&by, &agent, new).await {
            Ok(run) => run,
            Err(error) => return Err(with_problems(error, &problems, &case.agent)),
        };
        let mut run = self.work_off(run.id, CancellationToken::new()).await?;
        for _ in 0..QUESTIONS_MAX {
            if run.status != Status::Waiting || !self.decide_as_recorded(&by, record).await? {
                break;
            }
            run = self.work_off(run.id, CancellationToken::new()).await?;
        }
        let journal = drive::read(self, run.id).await?;
        let Some(inputs) = Inputs::of(&journal) else {
            let why = run.error.unwrap_or_else(|| "it was never prepared".to_owned());
            return Err(Error::invalid(format!("agent `{}` cannot run: {why}", case.agent)));
        };
        let prepared = prepare::restore(self, inputs).await?;
        let steps = steps_taken(&prepared, &journal);
        let outcome = Outcome::of(&journal);
        let beyond = record.beyond();
        let replayed =
            Replayed { inputs, prepared: &prepared, steps: &steps, outcome, asked_beyond: beyond.as_deref() };
        let mut verdict = case::judge(case, &replayed);
        if let Some(on) = run.waiting_on.filter(|_| run.status == Status::Waiting) {
            verdict.notes.push(format!("the run waits for {on}"));
        }
        Ok(verdict)
    }

    /// Puts the recorded definitions where a discovery would have put them.
    async fn take_tools(&self, name: &EnvironmentName, case: &Case) -> Result<()> {
        let environment = self.find_environment(&Caller::local(), name).await?;
        for server in self.store().servers(Some(environment.id)).await? {
            let of_server = |tool: &&case::Tool| tool.kind == ToolKind::Tool && tool.server == server.name;
            let tools = case.tools.iter().filter(of_server).map(|tool| DiscoveredTool {
                name: tool.tool.clone(),
                title: String::new(),
                description: tool.description.clone(),
                input_schema: tool.input_schema.clone(),
                output_schema: tool.output_schema.clone(),
                annotations: tool.annotations,
                more: serde_json::Map::new(),
            });
            let found = Discovery {
                era: Era::Modern,
                tools: tools.collect(),
                resources: Vec::new(),
                prompts: Vec::new(),
                capabilities: serde_json::json!({}),
                instructions: None,
            };
            self.store().record_discovery(server.id, &found, self.now()).await?;
        }
        self.link_grants(&environment).await.map(drop)
    }

    /// Says yes to what the record has a result of, and no to the rest. Whether anything was decided.
    async fn decide_as_recorded(&self, by: &Caller, record: &Record) -> Result<bool> {
        let pending = self.list_approvals(by, &ApprovalFilter::pending(), QUESTIONS_MAX).await?;
        let decided = !pending.is_empty();
        for question in pending {
            let arguments = serde_json::from_str(&question.arguments).unwrap_or_default();
            if record.has(&question.tool, &arguments) {
                self.approve(by, question.id, Yes::Once).await?;
            } else {
                self.deny(by, question.id, "so it was when it was recorded".to_owned()).await?;
            }
        }
        Ok(decided)
    }
}

/// Values for every variable that a server file asks for and the workspace does not have: a replay starts no server.
fn stand_ins(workspace: &Workspace, name: &EnvironmentName) -> Result<BTreeMap<String, Secret>> {
    let files = workspace.read(name, workspace.known_id())?.files;
    let stored = files.variables.as_ref().and_then(|text| variables::read(text.body.expose(), &text.path).0);
    let known = |name: &str| stored.as_ref().is_some_and(|stored| stored.contains_key(name));
    let mut values = BTreeMap::new();
    for text in files.configs.values() {
        let (file, _) = servers::read(text.body.expose(), &text.path, &|_| Some(STAND_IN.to_owned()));
        let uses = file.iter().flat_map(|file| &file.entries).flat_map(|entry| &entry.uses);
        for asked in uses.map(|it| &it.variable).filter(|name| !known(name) && !OWN.contains(&name.as_str()))
        {
            values.insert(asked.clone(), Secret::new(STAND_IN));
        }
    }
    Ok(values)
}

/// An agent that is missing because its file is broken says so.
fn with_problems(error: Error, problems: &[Problem], agent: &str) -> Error {
    let file = format!("agents/{agent}.prompt");
    let of_agent = |it: &&Problem| it.severity == Severity::Error && it.path.ends_with(&file);
    let broken: Vec<String> = problems.iter().filter(of_agent).map(ToString::to_string).collect();
    if broken.is_empty() { error } else { Error::invalid(broken.join("; ")) }
}

type Key = (String, String, String);

/// The record while it is played back.
struct Record {
    steps: Vec<Step>,
    /// Results by server, tool and arguments, in order; the last stays.
    results: Mutex<HashMap<Key, VecDeque<Call>>>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    /// Answers given to the run itself.
    n: usize,
    beyond: Option<String>,
}

impl Record {
    fn of(case: &Case) -> Self {
        let mut results: HashMap<Key, VecDeque<Call>> = HashMap::new();
        for call in case.steps.iter().flat_map(|step| &step.calls).filter(|call| call.end != CallEnd::NotMade)
        {
            let key = key(&call.server, &call.tool, &call.arguments);
            results.entry(key).or_default().push_back(call.clone());
        }
        Self { steps: case.steps.clone(), results: Mutex::new(results), asked: Mutex::default() }
    }

    /// The next result of this call; the last one again where it is made more often than it was.
    fn result(&self, key: &Key) -> Option<Call> {
        let mut results = lock(&self.results);
        let left = results.get_mut(key)?;
        if left.len() > 1 { left.pop_front() } else { left.front().cloned() }
    }

    /// Whether this tool, of whatever server, was called so.
    fn has(&self, tool: &str, arguments: &serde_json::Map<String, serde_json::Value>) -> bool {
        let (_, tool, arguments) = key("", tool, arguments);
        lock(&self.results).keys().any(|known| known.1 == tool && known.2 == arguments)
    }

    fn beyond(&self) -> Option<String> {
        lock(&self.asked).beyond.clone()
    }

    /// What the model says to this request: the run's own next answer, or what a sub-agent answered.
    fn turn(&self, messages: &[Message]) -> Turn {
        let mut asked = lock(&self.asked);
        if !self.is_of_run(messages, asked.n) {
            return self.sub_agent(messages);
        }
        match self.steps.get(asked.n) {
            Some(step) => {
                asked.n += 1;
                script::answers(step.answer.clone())
            }
            None => {
                asked.beyond = messages.iter().rev().find_map(|message| match message {
                    Message::User { text } | Message::Tool { text, .. } => Some(text.clone()),
                    Message::System { .. } | Message::Assistant { .. } => None,
                });
                script::fails(AskFailure::Rejected)
            }
        }
    }

    /// Whether the run itself asks: nobody else does before its first answer, and from then on its requests hold the
    /// answer that was given last.
    fn is_of_run(&self, messages: &[Message], n: usize) -> bool {
        let Some(last) = n.checked_sub(1).and_then(|last| self.steps.get(last)) else { return true };
        let said = messages.iter().rev().find_map(|message| match message {
            Message::Assistant { text, calls, .. } => Some((text, calls)),
            _ => None,
        });
        said.is_some_and(|(text, calls)| *text == last.answer.text && *calls == last.answer.calls)
    }

    /// A sub-agent answers what it answered; it is known by its task.
    fn sub_agent(&self, messages: &[Message]) -> Turn {
        let told: Vec<&String> = messages
            .iter()
            .filter_map(|message| match message {
                Message::User { text } => Some(text),
                _ => None,
            })
            .collect();
        let calls = self.steps.iter().flat_map(|step| &step.calls);
        let mut of_agents = calls.filter(|call| call.server.is_empty() && call.end != CallEnd::NotMade);
        let found = of_agents.find(|call| {
            let task = call.arguments.get("task").and_then(serde_json::Value::as_str).unwrap_or_default();
            !task.is_empty() && told.iter().any(|text| text.contains(task))
        });
        match found {
            Some(call) if !call.is_error => script::reply(call.text.clone()),
            Some(_) | None => script::fails(AskFailure::Rejected),
        }
    }
}

fn key(server: &str, tool: &str, arguments: &serde_json::Map<String, serde_json::Value>) -> Key {
    (server.to_owned(), tool.to_owned(), canonical_json(&serde_json::Value::Object(arguments.clone())))
}

fn model(record: &Arc<Record>) -> Script {
    let record = Arc::clone(record);
    Script::from_fn(move |request: &Request<'_>| record.turn(request.messages)).unchecked()
}

fn played(record: &Arc<Record>) -> Played {
    let record = Arc::clone(record);
    Arc::new(move |call: PlayedCall| {
        let end = match record.result(&key(&call.server, &call.tool, &call.arguments)) {
            Some(Call { end: CallEnd::Unknown, text, .. }) => {
                station_mcp::CallEnd::Unknown { why: Why::ConnectionLost, sentence: text }
            }
            Some(Call { text, is_error, .. }) => {
                let (structured, images) = (None, Vec::new());
                station_mcp::CallEnd::Returned { text, structured, is_error, cut_bytes: 0, images }
            }
            None => {
                station_mcp::CallEnd::NotSent { sentence: "the record has no result of this call".to_owned() }
            }
        };
        futures::future::ready(end).boxed()
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock can panic")
}
