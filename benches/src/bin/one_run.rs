//! A whole run as a person starts it: the real program, one tool turn against a native server, the offline model.

use station_benches::home::Home;
use station_benches::samples::Samples;
use station_benches::{direct, floor, process, report};
use std::time::Instant;

const N: usize = 50;

fn main() {
    let home = Home::new();
    let log = home.work("calls.log");
    home.server("fake", &["--log", &log.display().to_string()]);
    home.agent("echo", "model: offline\ntools: [echo]");
    process::time(&mut home.stn(&["sync"]));
    report::title("one_run: `stn agent run`, one tool turn against a native server", home.path());

    let flush = floor::fsync(home.path(), N);
    let run = || home.stn(&["agent", "run", "echo", "echo \"hello\""]);
    let whole = process::samples(N, run);
    let calls = std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    assert_eq!(calls, N + 1, "each run calls the tool once");
    let server = server_alone(&home);
    let list = process::samples(N, || home.stn(&["agent", "list"]));

    report::line("stn agent run", &whole);
    report::aim("  the command", whole.median_ms(), 15.0, "ms");
    report::go("  the command", "105 ms");
    report::line("  the server alone: start, greeting, call, end", &server);
    report::line("  stn agent list, for what a command costs", &list);
    report::line("  one flush: an appended page of 4 KiB, fsync", &flush);
}

fn server_alone(home: &Home) -> Samples {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        let mut samples = Samples::default();
        for _ in 0..N {
            let started = Instant::now();
            let connection = direct::connect(home.launch()).await;
            direct::echo(&connection).await;
            connection.close().await;
            samples.add(started.elapsed());
        }
        samples
    })
}
