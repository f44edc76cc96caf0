//! What is asked: each kind at a rate of its own, by clients that wait for an answer before they ask again.

use serde_json::{Value, json};
use station_benches::home::Home;
use station_benches::post::{self, Client, RESULT};
use station_benches::process::{self, Serving};
use station_testkit::openai::{self, OpenAi, Seen, Turn};
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// In words, of what stands below.
pub(crate) const RATES: &str =
    "20 reads, 10 calls, 4 runs of two answers and a call, one sign-in in five seconds";

const READ_EVERY: Duration = Duration::from_millis(50);
const CALL_EVERY: Duration = Duration::from_millis(100);
/// Of each of those who start runs.
const RUN_EVERY: Duration = Duration::from_secs(1);
const RUNNERS: u32 = 4;
const SIGN_IN_EVERY: Duration = Duration::from_secs(5);

/// What the model takes for an answer.
const MODEL_TAKES: Duration = Duration::from_millis(50);

/// What was done and is not taken in yet, at most: some seconds' worth.
const DONE_MAX: usize = 256;

const NAME: &str = "soak";
const PASSWORD: &str = "a soak is long and dull";

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Call,
    Enqueue,
    /// From being put in the queue until its end is heard.
    Run,
    SignIn,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Read, Self::Call, Self::Enqueue, Self::Run, Self::SignIn];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Call => "call",
            Self::Enqueue => "enqueue",
            Self::Run => "run",
            Self::SignIn => "sign-in",
        }
    }
}

/// One of them, and how long it took.
pub(crate) struct Done {
    pub(crate) kind: Kind,
    pub(crate) came: io::Result<Duration>,
}

/// The program with everything it needs.
pub(crate) struct Loaded {
    pub(crate) home: Home,
    pub(crate) serving: Serving,
    key: String,
    _model: OpenAi,
}

impl Loaded {
    /// A home with a tool server, an agent that uses it, and two users: one that signs in, one with a key.
    pub(crate) fn new() -> Self {
        let model = OpenAi::from_fn(answer);
        let home = Home::new();
        home.write_config(&format!(
            "ai_provider: openai\nai_model: stand-in-1\nai_api_key: sk-bench\nai_base_url: {}\n",
            model.base_url()
        ));
        home.server("fake", &[]);
        home.agent("talker", "max_steps: 3\ntools: [echo]");
        process::time(&mut home.stn(&["sync"]));
        said(&mut home.stn(&["user", "create", NAME, "--role", "admin", "--password"]), PASSWORD);
        let key = said(&mut home.stn(&["user", "create", "keyed", "--role", "admin"]), "");
        let serving = Serving::start(home.stn(&["serve"]).env("STN_API_PORT", "0"));
        Self { home, serving, key: key.trim().to_owned(), _model: model }
    }
}

/// What a command says that is told `input`.
fn said(command: &mut Command, input: &str) -> String {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("the program can be started");
    child.stdin.take().expect("stdin is piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Calls a tool, then says what came of it.
#[expect(clippy::disallowed_methods, reason = "the stand-in answers each request on a thread of its own")]
fn answer(seen: &Seen) -> Turn {
    std::thread::sleep(MODEL_TAKES);
    match seen.results().len() {
        0 => openai::calls([("__echo", r#"{"text": "hello"}"#)]),
        _ => openai::reply("done"),
    }
}

/// Begins to ask, until what is done is heard no more.
pub(crate) fn begin(loaded: &Loaded) -> mpsc::Receiver<Done> {
    let (port, key) = (loaded.serving.port, loaded.key.as_str());
    let (done, hears) = mpsc::channel(DONE_MAX);
    let reads = ["/agents/talker", "/runs?limit=20"].map(|path| post::by(key, &post::api("GET", path, None)));
    let calls = [post::by(key, &post::echo("/mcp/env/default", "echo"))];
    let known = json!({ "name": NAME, "password": PASSWORD });
    let sign_ins = [post::api("POST", "/sessions", Some(&known))];
    tokio::spawn(asking(port, Kind::Read, READ_EVERY, reads.into(), "\"", done.clone()));
    tokio::spawn(asking(port, Kind::Call, CALL_EVERY, calls.into(), RESULT, done.clone()));
    tokio::spawn(asking(port, Kind::SignIn, SIGN_IN_EVERY, sign_ins.into(), NAME, done.clone()));
    for n in 0..RUNNERS {
        tokio::spawn(running(port, key.to_owned(), RUN_EVERY * n / RUNNERS, done.clone()));
    }
    hears
}

/// Sends `requests` by turns over one connection; `says` stands in every right answer.
async fn asking(
    port: u16,
    kind: Kind,
    every: Duration,
    requests: Vec<Vec<u8>>,
    says: &str,
    done: mpsc::Sender<Done>,
) {
    let mut client = Client::connect(port).await;
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for request in requests.iter().cycle() {
        ticks.tick().await;
        let came = post::asked(&mut client, request, says).await;
        if came.is_err() {
            client = Client::connect(port).await;
        }
        if done.send(Done { kind, came }).await.is_err() {
            return;
        }
    }
}

/// Puts runs in the queue, and follows each to its end over a connection of its own.
async fn running(port: u16, key: String, after: Duration, done: mpsc::Sender<Done>) {
    let enqueue = post::api("POST", "/agents/talker/runs", Some(&json!({ "task": "say what is new" })));
    let enqueue = post::by(&key, &enqueue);
    let mut client = Client::connect(port).await;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + after, RUN_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let started = Instant::now();
        let (enqueued, run) = match client.ask(&enqueue).await {
            Ok(body) => (Ok(started.elapsed()), number(body)),
            Err(error) => (Err(error), None),
        };
        if enqueued.is_err() {
            client = Client::connect(port).await;
        }
        if done.send(Done { kind: Kind::Enqueue, came: enqueued }).await.is_err() {
            return;
        }
        let Some(run) = run else { continue };
        let follow = post::by(&key, &post::api("GET", &format!("/runs/{run}/events"), None));
        let ended = Client::connect(port).await.follow(&follow, r#""status":"completed""#).await;
        let came = ended.map(|()| started.elapsed());
        if done.send(Done { kind: Kind::Run, came }).await.is_err() {
            return;
        }
    }
}

fn number(body: &[u8]) -> Option<i64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["run"]["id"].as_i64()
}
