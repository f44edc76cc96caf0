//! `stn serve`, killed with SIGKILL again and again under load, and counted: what took effect twice, and what was lost.
//!
//! A hundred runs are in flight; each calls a real MCP server that writes a line per call. Three tools: `post`, which may
//! not be repeated, without a way to find out (its lost calls must be reported as unknown); `post` with a `verify` tool;
//! and `post_once`, which is idempotent by the effect's id. `kill N` kills N times each; 40 where no number is given.

use serde_json::{Value, json};
use station_benches::home::Home;
use station_benches::process::{Serving, rest};
use station_benches::{programs, report};
use station_testkit::openai::{self, OpenAi, Seen, Turn};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs in flight, and calls of each.
const RUNS: usize = 100;
const CALLS: usize = 15;

/// A Station lives for so long, and a little more each time, so that kills fall into every moment.
const LIVES: Duration = Duration::from_millis(250);

/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    let kills = std::env::args().nth(1).map_or(40, |text| text.parse().expect("a number of kills"));
    let home = Home::new();
    report::title(
        "kill: `stn serve` killed under load, a real MCP server that writes a line per call",
        home.path(),
    );
    let verify = json!({"verify": {"post": {"tool": "posted", "args": {"effect": "$effect_id"}}}});
    count("a plain tool", "post", &json!({}), kills);
    count("a tool with `verify`", "post", &verify, kills);
    count("a tool that is idempotent by the effect's id", "post_once", &json!({}), kills);
}

/// What the journals say of calls.
#[derive(Default)]
struct Told {
    started: usize,
    returned: usize,
    unknown: usize,
    completed: usize,
}

fn count(what: &str, tool: &'static str, rules: &Value, kills: usize) {
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
    for n in 0..RUNS {
        done(&mut home.stn(&["agent", "run", "clerk", &format!("run-{n:03}"), "--detach", "--no-sync"]));
    }
    let started = Instant::now();
    let mut killed = 0;
    while unfinished(&home) && started.elapsed() < PATIENCE {
        let serving = Serving::start(&mut home.stn(&["serve"]));
        if killed < kills {
            rest(LIVES + Duration::from_millis(7) * u32::try_from(killed).expect("a few"));
            serving.kill();
            killed += 1;
        } else {
            while unfinished(&home) && started.elapsed() < PATIENCE {
                rest(Duration::from_millis(200));
            }
            serving.end();
        }
    }
    let told = told(&home);
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for line in read(&ledger) {
        *lines.entry(line["text"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let doubled = lines.values().filter(|n| **n > 1).count();
    let lost = RUNS * CALLS - lines.len();
    report::line(&format!("{what}: kills"), format_args!("{killed:8}"));
    report::line("  runs completed", format_args!("{:8} of {RUNS}", told.completed));
    report::line("  calls started", format_args!("{:8}", told.started));
    report::line("  took effect", format_args!("{:8} of {}", lines.len(), RUNS * CALLS));
    report::line("  took effect twice", format_args!("{doubled:8}  (must be 0)"));
    report::line("  reported as unknown", format_args!("{:8}", told.unknown));
    // A call that did not take effect must be one that was reported as unknown.
    let silent = lost.saturating_sub(told.unknown);
    report::line("  did not take effect", format_args!("{lost:8}"));
    report::line("  lost without a word", format_args!("{silent:8}  (must be 0)"));
    report::line("  calls answered", format_args!("{:8}", told.returned));
    report::gap();
}

/// Posts fifteen marks, one a turn, whatever it is told of them.
fn choose(seen: &Seen, tool: &str) -> Turn {
    let messages = seen.body["messages"].as_array().expect("a conversation");
    let n = messages.iter().filter(|message| message["role"] == "tool").count();
    let task = messages
        .iter()
        .find(|message| message["role"] == "user")
        .map(|message| message["content"].to_string());
    if n >= CALLS {
        return openai::reply("done");
    }
    let mark = format!("{} {n}", task.unwrap_or_default());
    openai::calls([(tool, &json!({ "text": mark }).to_string())])
}

fn told(home: &Home) -> Told {
    let mut told = Told::default();
    for run in 1..=RUNS {
        let details = json_of(&mut home.stn(&["--json", "runs", "inspect", &run.to_string()]));
        told.completed += usize::from(details["run"]["status"] == "completed");
        let mut open: BTreeMap<String, bool> = BTreeMap::new();
        for entry in details["journal"].as_array().expect("a journal") {
            let event = &entry["event"];
            let id = event["id"].as_str().unwrap_or_default().to_owned();
            match event["event"].as_str() {
                Some("effect_started") if event["effect"]["kind"] == "call" => {
                    told.started += usize::from(open.insert(id, false).is_none());
                }
                Some("returned") if open.contains_key(&id) => {
                    told.returned += 1;
                    open.insert(id, true);
                }
                _ => {}
            }
        }
        told.unknown += open.values().filter(|answered| !**answered).count();
    }
    told
}

fn unfinished(home: &Home) -> bool {
    let open = json_of(&mut home.stn(&["--json", "runs", "list", "--waiting", "--limit", "1"]));
    open["count"] != 0
}

fn json_of(command: &mut Command) -> Value {
    let output = command.output().expect("stn can be started");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{command:?}: {output:?}"))
}

fn done(command: &mut Command) {
    let output = command.output().expect("stn can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn read(ledger: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}
