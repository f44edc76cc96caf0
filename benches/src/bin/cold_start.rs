//! Cold start: the real program, from its start to its end, for the commands that should feel like none.

use station_benches::home::Home;
use station_benches::{process, report};
use std::process::Command;

const N: usize = 50;

const AGENTS: usize = 1_000;

fn main() {
    if process::was_scale() {
        return;
    }
    let home = Home::new();
    home.server("fake", &[]);
    home.agent("echo", "model: offline\ntools: [echo]");
    for n in 1..AGENTS {
        home.agent(&format!("agent-{n:04}"), "model: offline");
    }
    let sync = process::time(&mut home.stn(&["sync"]));
    report::title("cold_start: the real program, from start to end", home.path());
    let empty = process::samples(N, || Command::new("/bin/true"));
    report::line("an empty program (/bin/true): the floor", &empty);
    report::gap();

    let version = process::samples(N, || home.stn(&["--version"]));
    report::line("stn --version", &version);
    report::aim("  the command", version.median_ms(), 3.0, "ms");
    report::go("  the command", "33 ms");
    report::gap();

    let list = process::samples(N, || home.stn(&["agent", "list"]));
    report::line(&format!("stn agent list, {AGENTS} agents"), &list);
    report::aim("  the command", list.median_ms(), 8.0, "ms");
    report::go("  the command", "40 ms");
    report::aim("  peak memory", process::peak_mb(&home.stn(&["agent", "list"])), 20.0, "MB");
    report::go("  peak memory", "49 MB");
    report::gap();

    let run = home.stn(&["agent", "run", "echo", "echo \"hello\""]);
    report::aim("stn agent run, one tool call: peak memory", process::peak_mb(&run), 60.0, "MB");
    report::line(
        &format!("stn sync of {AGENTS} new agents, once"),
        format_args!("{:8.0} ms", station_benches::samples::ms(sync)),
    );
}
