//! `stn serve` under a steady, modest load for as long as one likes: whether it holds more and answers later the longer it runs.
//!
//! The real program in a home of its own, with a scripted model that takes its time and a real MCP server. What is asked of it comes at
//! a fixed rate, whatever it answers: reads, runs that are followed to their end, calls of a tool through the gateway, and sign-ins. What
//! it holds is looked at all the time, and told every minute; at the end a line is laid through the second half. Unlike other benches it
//! judges, since it is run for that.
//!
//!     cargo xtask soak [--minutes 30] [--program PATH]
//!
//! - `load` is what is asked, `verdict` what is said of it.

mod load;
mod verdict;

use load::{Done, Kind, Loaded};
use station_benches::process::Held;
use station_benches::samples::{Samples, ms};
use station_benches::{programs, report};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long it goes on where nobody says otherwise.
const MINUTES: u64 = 30;

/// How often is looked at what the program holds.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What happened in one minute.
#[derive(Default)]
pub(crate) struct Minute {
    pub(crate) took: [Samples; Kind::ALL.len()],
    /// Seconds since the beginning, and what was held then.
    pub(crate) looks: Vec<(f64, Held)>,
    /// What went wrong, in a sentence each.
    pub(crate) failures: Vec<String>,
}

fn main() -> ExitCode {
    let mut minutes = MINUTES;
    let args: Vec<String> = std::env::args().skip(1).collect();
    for pair in args.chunks(2) {
        match pair {
            [name, n] if name == "--minutes" => minutes = n.parse().expect("a number of minutes"),
            [name, path] if name == "--program" => programs::take_stn(path.into()),
            _ => panic!("there are --minutes N and --program PATH"),
        }
    }
    assert!(minutes >= verdict::MINUTES_MIN, "{} minutes at least say something", verdict::MINUTES_MIN);
    let loaded = Loaded::new();
    report::title(&format!("soak: stn serve under a steady load, {minutes} minutes"), loaded.home.path());
    report::line("each second", load::RATES);
    report::line("minutes at the beginning that are not judged", verdict::WARM_UP);
    report::gap();
    report::plain(heading());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let seen = runtime.expect("a runtime can be made").block_on(watched(&loaded, minutes));
    report::gap();
    let holds = verdict::told(&seen);
    loaded.serving.end();
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Watches the load for so long.
async fn watched(loaded: &Loaded, minutes: u64) -> Vec<Minute> {
    let mut done = load::begin(loaded);
    let (began, mut seen) = (Instant::now(), Vec::new());
    let mut looking = tokio::time::interval(LOOK_EVERY);
    for n in 1..=minutes {
        let end = tokio::time::Instant::from_std(began + Duration::from_secs(60 * n));
        let mut minute = Minute::default();
        loop {
            tokio::select! {
                Some(Done { kind, came }) = done.recv() => match came {
                    Ok(took) => minute.took[kind as usize].add(took),
                    Err(error) => minute.failures.push(format!("{}: {error}", kind.name())),
                },
                _ = looking.tick() => minute.looks.push((began.elapsed().as_secs_f64(), loaded.serving.held())),
                () = tokio::time::sleep_until(end) => break,
            }
        }
        report::plain(row(n, &minute));
        seen.push(minute);
    }
    seen
}

fn heading() -> String {
    let kinds = Kind::ALL.map(|kind| format!("{:>19}", kind.name())).concat();
    format!(" min  anonymous  files threads procs{kinds}   (p50 p99, ms)  failed")
}

fn row(n: u64, minute: &Minute) -> String {
    let held = minute.looks.last().map(|(_, held)| *held).unwrap_or_default();
    let took = minute.took.each_ref().map(|it| format!("  {:8.2} {:8.2}", it.median_ms(), ms(it.p99())));
    let Held { private_mb, files, threads, processes } = held;
    let failed = minute.failures.len();
    format!("{n:4} {private_mb:7.2} MB {files:6} {threads:7} {processes:5}{}  {failed:>22}", took.concat())
}
