//! What Station itself costs in a run: the model answers at once, and everything is durable.
//!
//! A run is measured from being put in the queue to its end. Beside it stand, of the same minute: the flushes its
//! commits cannot do without, and the same tool calls over a connection of their own.

use serde_json::json;
use station_benches::home::{Home, Open};
use station_benches::samples::Samples;
use station_benches::{direct, floor, report};
use station_core::Message;
use station_llm::Script;
use station_llm::script::{calls, reply};
use std::time::Instant;

/// Runs that are measured, and before them some that are not.
const RUNS: usize = 200;
const WARM_UP: usize = 20;

/// Flushes that are measured, before the runs and again after them.
const FLUSHES: usize = 300;

const TOOL_TURNS: usize = 10;

struct Aim {
    agent: &'static str,
    what: &'static str,
    ms: f64,
    go: &'static str,
    tool_turns: usize,
}

const AIMS: [Aim; 2] = [
    Aim { agent: "talker", what: "1 turn", ms: 1.5, go: "11.5 ms, nothing durable", tool_turns: 0 },
    Aim {
        agent: "caller",
        what: "10 tool turns",
        ms: 6.7,
        go: "67.6 ms, nothing durable",
        tool_turns: TOOL_TURNS,
    },
];

/// Commits of a run of ten tool turns, from being put in the queue to its end.
const COMMITS_MAX: f64 = 24.0;

/// What a run may take beyond the tools' own time, in flushes of the disk.
const FLOORS_MAX: f64 = 1.5;

fn main() {
    // One thread, as `stn` has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(measure());
}

async fn measure() {
    let home = Home::new();
    home.server("fake", &[]);
    home.agent("talker", "model: script/one");
    home.agent("caller", "model: script/one\nmax_steps: 15\ntools: [echo]");
    let script = Script::from_fn(|request| {
        let done = request.messages.iter().filter(|message| matches!(message, Message::Tool { .. })).count();
        let wanted = if request.tools.is_empty() { 0 } else { TOOL_TURNS };
        if done < wanted {
            calls([("echo", json!({"text": format!("hello {done}")}))])
        } else {
            reply("done")
        }
    });
    let open = home.open(script).await;
    open.sync().await;
    report::title("in_process: a run inside the process, the model answering at once", home.path());
    for aim in &AIMS {
        one(&home, &open, aim).await;
        report::gap();
    }
    open.station.close().await;
}

async fn one(home: &Home, open: &Open, aim: &Aim) {
    let before = floor::fsync(home.path(), FLUSHES);
    let tools = direct::calls(home.launch(), RUNS).await;
    for _ in 0..WARM_UP {
        open.run(aim.agent).await;
    }
    let commits_before = open.station.commits();
    let mut runs = Samples::default();
    for _ in 0..RUNS {
        let started = Instant::now();
        let run = open.run(aim.agent).await;
        runs.add(started.elapsed());
        assert_eq!(run.tool_calls as usize, aim.tool_turns, "the model's script was followed");
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand commits")]
    let commits = (open.station.commits() - commits_before) as f64 / RUNS as f64;
    let after = floor::fsync(home.path(), FLUSHES);
    let flush_ms = before.median_ms().midpoint(after.median_ms());
    #[expect(clippy::cast_precision_loss, reason = "ten")]
    let tools_ms = tools.median_ms() * aim.tool_turns as f64;
    let (floor_ms, own_ms) = (commits * flush_ms, runs.median_ms() - tools_ms);

    report::line(aim.what, &runs);
    report::aim("  the run", runs.median_ms(), aim.ms, "ms");
    report::go("  the run", aim.go);
    if aim.tool_turns > 0 {
        report::aim("  commits of a run", commits, COMMITS_MAX, "");
    } else {
        report::line("  commits of a run", format_args!("{commits:8.3}"));
    }
    report::line("  one flush: an appended page of 4 KiB, fsync", format_args!("{flush_ms:8.3} ms"));
    report::line("  floor: its commits, one flush each", format_args!("{floor_ms:8.3} ms"));
    report::line("  the tools' own time, over a connection of their own", format_args!("{tools_ms:8.3} ms"));
    report::aim("  beyond the tools' own time, in floors", own_ms / floor_ms, FLOORS_MAX, "×");
}
