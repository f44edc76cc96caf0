//! What is said of a soak: whether it holds more and answers later the longer it runs.

use crate::Minute;
use crate::load::Kind;
use station_benches::process::Held;
use station_benches::report;
use station_benches::samples::{Samples, ms};

/// Minutes in which caches fill and pools open.
pub(crate) const WARM_UP: usize = 3;

/// Fewer have no thirds behind the warm-up.
pub(crate) const MINUTES_MIN: u64 = 6;

/// Growth of anonymous memory that is none. At 38 requests a second it would be some 36 bytes for each.
const MB_AN_HOUR: f64 = 5.0;

/// How much later than in the second third the last third's slowest in a hundred may be answered.
const LATER: f64 = 1.5;

/// Descriptors and threads that come and go: connections at the moment of a look, threads that wait for work.
const SPARE: usize = 8;

/// A straight line through points.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    slope: f64,
    /// The standard error of the slope, as if points did not depend on those before.
    error: f64,
}

/// Tells what was seen; whether it holds.
pub(crate) fn told(seen: &[Minute]) -> bool {
    let judged = &seen[WARM_UP.min(seen.len())..];
    let third = judged.len() / 3;
    let (second, last) = (&judged[third..judged.len() - third], &judged[judged.len() - third..]);
    let all =
        [memory(&judged[judged.len() / 2..]), counts(second, last), later(second, last), failures(seen)];
    all.iter().all(|holds| *holds)
}

fn memory(half: &[Minute]) -> bool {
    let points: Vec<(f64, f64)> =
        half.iter().flat_map(|it| &it.looks).map(|(s, held)| (s / 3600.0, held.private_mb)).collect();
    let Line { slope, error } = line(&points);
    // What may as well be chance is no growth.
    let holds = slope <= MB_AN_HOUR || slope <= 2.0 * error;
    let what = format!("anonymous memory over the last {} minutes", half.len());
    say(&what, format_args!("{slope:+8.2} ± {error:.2} MB an hour  (at most {MB_AN_HOUR})"), holds);
    holds
}

fn counts(second: &[Minute], last: &[Minute]) -> bool {
    let most = |minutes: &[Minute], of: fn(&Held) -> usize| {
        minutes.iter().flat_map(|it| &it.looks).map(|(_, held)| of(held)).max().unwrap_or_default()
    };
    let told = |what: &str, of: fn(&Held) -> usize, spare: usize| {
        let (before, after) = (most(second, of), most(last, of));
        let holds = after <= before + spare;
        let what = format!("{what}, most in the second and in the last third");
        say(&what, format_args!("{before:8} {after:8}"), holds);
        holds
    };
    let all = [
        told("file descriptors", |held| held.files, SPARE),
        told("threads", |held| held.threads, SPARE),
        told("processes below it", |held| held.processes, 0),
    ];
    all.iter().all(|holds| *holds)
}

fn later(second: &[Minute], last: &[Minute]) -> bool {
    let of = |minutes: &[Minute], kind: Kind| {
        let mut all = Samples::default();
        minutes.iter().for_each(|minute| all.join(&minute.took[kind as usize]));
        (ms(all.p99()), all.n())
    };
    let told = Kind::ALL.map(|kind| {
        let ((before, n), (after, m)) = (of(second, kind), of(last, kind));
        let holds = n > 0 && m > 0 && after <= LATER * before;
        let figure = format_args!("{before:8.2} ms (n {n}), {after:.2} ms (n {m})  (at most {LATER} ×)");
        say(&format!("p99 of {}, second and last third", kind.name()), figure, holds);
        holds
    });
    told.iter().all(|holds| *holds)
}

fn failures(seen: &[Minute]) -> bool {
    let failed: Vec<&String> = seen.iter().flat_map(|minute| &minute.failures).collect();
    let done: usize = seen.iter().flat_map(|minute| &minute.took).map(Samples::n).sum();
    say(
        "requests that were answered well, and that were not",
        format_args!("{done:8} {:8}", failed.len()),
        failed.is_empty(),
    );
    for failure in failed.iter().take(10) {
        report::plain(format_args!("    {failure}"));
    }
    failed.is_empty()
}

fn say(what: &str, figure: std::fmt::Arguments<'_>, holds: bool) {
    report::line(what, format_args!("{figure}: {}", if holds { "holds" } else { "DOES NOT HOLD" }));
}

/// The line that is nearest to `points` (least squares).
#[expect(clippy::cast_precision_loss, reason = "some hundreds of points")]
fn line(points: &[(f64, f64)]) -> Line {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread;
    let left: f64 = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum();
    Line { slope, error: (left / (n - 2.0) / spread).sqrt() }
}
