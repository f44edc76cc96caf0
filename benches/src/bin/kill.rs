//! `stn serve`, killed with SIGKILL again and again under load, and counted: what took effect twice, and what was lost.
//!
//! A hundred runs are in flight, as many new ones put in the queue before each life as have ended; each calls a real MCP
//! server that writes a line per call. Three tools: `post`, which may not be repeated, without a way to find out (its lost
//! calls must be reported as unknown); `post` with a `verify` tool; and `post_once`, which is idempotent by the effect's id.
//! `kill N` kills N times each; 40 where no number is given.
//!
//! Unlike other benches it judges: each call by its own mark, beside what its run was told of it. Where one was doubled, or lost
//! without a word, or where a run did not complete, it says which and ends with 1.

use serde_json::{Value, json};
use station_benches::home::Home;
use station_benches::process::{Serving, rest};
use station_benches::{programs, report};
use station_testkit::openai::{self, OpenAi, Seen, Turn};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Runs in flight, and calls of each.
const RUNS: usize = 100;
const CALLS: usize = 15;

/// A Station lives for so long, and a little more each time, so that kills fall into every moment.
const LIVES: Duration = Duration::from_millis(250);

/// So long the last Station may take to bring what is left to its end.
const PATIENCE: Duration = Duration::from_secs(300);

/// So many failures are told, and how many more there are.
const FAILURES_TOLD: usize = 20;

/// What must become of every call, whoever is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// It took effect once, or its run was told that its outcome is unknown.
    OnceOrUnknown,
    /// It took effect once.
    Once,
}

fn main() -> ExitCode {
    let kills = std::env::args().nth(1).map_or(40, |text| text.parse().expect("a number of kills"));
    let home = Home::new();
    report::title(
        "kill: `stn serve` killed under load, a real MCP server that writes a line per call",
        home.path(),
    );
    let verify = json!({"verify": {"post": {"tool": "posted", "args": {"effect": "$effect_id"}}}});
    let held = [
        count("a plain tool", ("post", &json!({})), Promise::OnceOrUnknown, kills),
        count("a tool with `verify`", ("post", &verify), Promise::Once, kills),
        count(
            "a tool that is idempotent by the effect's id",
            ("post_once", &json!({})),
            Promise::Once,
            kills,
        ),
    ];
    if held == [true; 3] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was done.
#[derive(Default)]
struct Work {
    /// How often Station was killed.
    kills: usize,
    /// Runs that were put in the queue.
    runs: usize,
}

/// What is left when all is over.
struct Left {
    /// Runs that were put in the queue.
    runs: usize,
    /// What each run's model was told of each of its marks.
    told: BTreeMap<String, String>,
    /// How often each mark took effect.
    applied: BTreeMap<String, usize>,
    journals: Journals,
}

/// What the journals say.
#[derive(Default)]
struct Journals {
    completed: usize,
    /// Calls that were started.
    started: BTreeSet<String>,
    /// Those whose answer is there, and is no error.
    returned: BTreeSet<String>,
    /// Of these, those that the ledger does not have.
    unfounded: Vec<String>,
}

/// Whether the promise was kept.
fn count(what: &str, (tool, rules): (&'static str, &Value), promise: Promise, kills: usize) -> bool {
    let home = Home::new();
    let model = OpenAi::from_fn(move |seen| choose(seen, tool));
    home.write_config(&format!(
        "ai_provider: openai\nai_model: stand-in-1\nai_base_url: {}\nai_api_key: a-key\nexecution: {{workers: {RUNS}, queue: {}}}\n",
        model.base_url(),
        RUNS * 2
    ));
    let ledger = home.work("ledger.jsonl");
    let entry = json!({
        "command": programs::fake_server(), "args": ["--ledger", ledger],
        "station": { "tools": rules, "concurrency": 32 },
    });
    home.write("mcp-servers/book.json", &json!({ "mcpServers": { "book": entry } }).to_string());
    home.agent("clerk", &format!("max_steps: 25\ntools: [{tool}]"));
    done(&mut home.stn(&["sync"]));
    let work = work_off(&home, kills);
    let lines = read(&ledger);
    let mut applied: BTreeMap<String, usize> = BTreeMap::new();
    for line in &lines {
        *applied.entry(word(&line["text"])).or_default() += 1;
    }
    let effects = lines.iter().map(|line| word(&line["effect"])).collect();
    let journals = journals(&home, work.runs, &effects);
    let left = Left { runs: work.runs, told: told(&model), applied, journals };
    report::line(&format!("{what}: kills"), format_args!("{:8}", work.kills));
    left.show();
    let failures = left.failures(promise);
    for failure in failures.iter().take(FAILURES_TOLD) {
        report::line("  FAILED", failure);
    }
    if let Some(more) = failures.len().checked_sub(FAILURES_TOLD).filter(|more| *more > 0) {
        report::line("  FAILED", format_args!("and {more} more"));
    }
    report::gap();
    failures.is_empty()
}

/// Serves and is killed, `kills` times, with [`RUNS`] in flight; then serves until every run has ended.
fn work_off(home: &Home, kills: usize) -> Work {
    let mut work = Work::default();
    while work.kills < kills {
        for _ in unfinished(home)..RUNS {
            let name = run_name(work.runs);
            done(&mut home.stn(&["agent", "run", "clerk", &name, "--detach", "--no-sync"]));
            work.runs += 1;
        }
        let serving = Serving::start(&mut home.stn(&["serve"]));
        rest(LIVES + Duration::from_millis(7) * u32::try_from(work.kills).expect("a few"));
        serving.kill();
        work.kills += 1;
    }
    let (serving, started) = (Serving::start(&mut home.stn(&["serve"])), Instant::now());
    while unfinished(home) > 0 && started.elapsed() < PATIENCE {
        rest(Duration::from_millis(200));
    }
    serving.end();
    work
}

impl Left {
    /// Every mark that is to take effect, what its run was told of it, and how often it took effect.
    fn marks(&self) -> impl Iterator<Item = (String, Option<&str>, usize)> {
        let marks = (0..self.runs).flat_map(|run| (0..CALLS).map(move |call| mark(&run_name(run), call)));
        marks.map(|mark| {
            let told = self.told.get(&mark).map(String::as_str);
            let applied = self.applied.get(&mark).copied().unwrap_or(0);
            (mark, told, applied)
        })
    }

    fn show(&self) {
        let n = |is: &dyn Fn(Option<&str>, usize) -> bool| {
            self.marks().filter(|(_, told, applied)| is(*told, *applied)).count()
        };
        report::line("  runs completed", format_args!("{:8} of {}", self.journals.completed, self.runs));
        report::line("  calls started", format_args!("{:8}", self.journals.started.len()));
        report::line("  calls answered", format_args!("{:8}", self.journals.returned.len()));
        report::line(
            "  took effect",
            format_args!("{:8} of {}", n(&|_, applied| applied > 0), self.runs * CALLS),
        );
        report::line("  took effect twice", format_args!("{:8}  (must be 0)", n(&|_, applied| applied > 1)));
        report::line("  did not take effect", format_args!("{:8}", n(&|_, applied| applied == 0)));
        let silent = n(&|told, applied| applied == 0 && !is_unknown(told));
        report::line("  of these, lost without a word", format_args!("{silent:8}  (must be 0)"));
        report::line("  reported as unknown", format_args!("{:8}", n(&|told, _| is_unknown(told))));
        let in_vain = n(&|told, applied| applied > 0 && is_unknown(told));
        report::line("  of these, took effect", format_args!("{in_vain:8}"));
    }

    /// What was promised and is not so, in a sentence each.
    fn failures(&self, promise: Promise) -> Vec<String> {
        let mut failures = Vec::new();
        if self.journals.completed != self.runs {
            failures.push(format!("{} runs did not complete", self.runs - self.journals.completed));
        }
        for (mark, told, applied) in self.marks() {
            match applied {
                0 if promise == Promise::Once || !is_unknown(told) => {
                    let told = told.unwrap_or("nothing");
                    failures.push(format!("`{mark}` did not take effect; its run was told: {told}"));
                }
                0 | 1 => {}
                n => failures.push(format!("`{mark}` took effect {n} times")),
            }
        }
        let unfounded = self.journals.unfounded.iter();
        failures
            .extend(unfounded.map(|effect| format!("call {effect} is answered, and did not take effect")));
        let known: BTreeSet<String> = self.marks().map(|(mark, ..)| mark).collect();
        let foreign = self.applied.keys().filter(|mark| !known.contains(*mark));
        failures.extend(foreign.map(|mark| format!("`{mark}` took effect, and nobody asked for it")));
        failures
    }
}

fn is_unknown(told: Option<&str>) -> bool {
    told.is_some_and(|told| told.contains("outcome") && told.contains("is unknown"))
}

fn run_name(n: usize) -> String {
    format!("run-{n:04}")
}

/// The text of a run's call.
fn mark(run: &str, call: usize) -> String {
    format!("{run} {call}")
}

/// Posts fifteen marks, one a turn, whatever it is told of them.
fn choose(seen: &Seen, tool: &str) -> Turn {
    let n = seen.results().len();
    if n >= CALLS {
        return openai::reply("done");
    }
    openai::calls([(tool, &json!({ "text": mark(&task(seen), n) }).to_string())])
}

/// What the run is to do: its name.
fn task(seen: &Seen) -> String {
    let messages = seen.body["messages"].as_array().expect("a conversation");
    let task = messages.iter().find(|message| message["role"] == "user").expect("it has a task");
    word(&task["content"])
}

/// What runs were told of each mark; what came last counts.
fn told(model: &OpenAi) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for seen in model.requests() {
        let task = task(&seen);
        told.extend((0..).zip(seen.results()).map(|(call, text)| (mark(&task, call), text)));
    }
    told
}

fn journals(home: &Home, runs: usize, in_ledger: &BTreeSet<String>) -> Journals {
    let mut journals = Journals::default();
    for run in 1..=runs {
        let details = json_of(&mut home.stn(&["--json", "runs", "inspect", &run.to_string()]));
        journals.completed += usize::from(details["run"]["status"] == "completed");
        for entry in details["journal"].as_array().expect("a journal") {
            let event = &entry["event"];
            let id = word(&event["id"]);
            match event["event"].as_str() {
                Some("effect_started") if event["effect"]["kind"] == "call" => {
                    journals.started.insert(id);
                }
                Some("returned") if journals.started.contains(&id) && event["is_error"] != true => {
                    if !in_ledger.contains(&id) {
                        journals.unfounded.push(id.clone());
                    }
                    journals.returned.insert(id);
                }
                _ => {}
            }
        }
    }
    journals
}

/// How many runs have not ended.
fn unfinished(home: &Home) -> usize {
    let open = json_of(&mut home.stn(&["--json", "runs", "list", "--waiting", "--limit", "1000"]));
    open["count"].as_u64().and_then(|count| count.try_into().ok()).expect("runs are counted")
}

fn json_of(command: &mut Command) -> Value {
    let output = command.output().expect("stn can be started");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{command:?}: {output:?}"))
}

fn done(command: &mut Command) {
    let output = command.output().expect("stn can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn read(ledger: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
