//! Whole processes: how long one takes from its start to its end, and how much memory it took at most.

use crate::samples::Samples;
use nix::sys::resource::{UsageWho, getrusage};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The first argument that makes a bench a scale: it runs the rest as a command and prints its peak.
const SCALE: &str = "__peak";

/// Runs `command` to its end without a terminal; it must end well.
///
/// # Panics
/// Where it cannot be started or ends badly: the figure would be that of something else.
pub fn time(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().expect("the program can be started");
    let took = started.elapsed();
    assert!(status.success(), "{command:?} ended with {status}");
    took
}

/// How long each of `n` processes takes, after one to warm up.
pub fn samples(n: usize, make: impl Fn() -> Command) -> Samples {
    time(&mut make());
    let mut samples = Samples::default();
    for _ in 0..n {
        samples.add(time(&mut make()));
    }
    samples
}

/// The most memory (MB, resident) that the largest process of `command` and its descendants took.
///
/// A process is weighed by a small one of its own: the kernel tells only the largest of all children that were waited
/// for, and a child begins with the weight of what it was started from.
///
/// # Panics
/// As [`time`].
#[must_use]
pub fn peak_mb(command: &Command) -> f64 {
    let ours = std::env::current_exe().expect("a running program has a path");
    let mut scale = Command::new(ours);
    scale.arg(SCALE).arg(command.get_program()).args(command.get_args());
    scale.env_clear();
    scale.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    scale.current_dir(command.get_current_dir().expect("the command has a folder"));
    let output = scale.stdin(Stdio::null()).output().expect("we can start ourselves");
    let text = String::from_utf8_lossy(&output.stdout);
    let kb: f64 = text.trim().parse().unwrap_or_else(|_| panic!("{command:?} was not weighed: {output:?}"));
    kb / 1024.0
}

/// Where this process was started as a scale: weighs, prints, and says that there is nothing else to do.
///
/// # Panics
/// Where the command cannot be started or ends badly.
#[must_use]
pub fn was_scale() -> bool {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_none_or(|word| word != SCALE) {
        return false;
    }
    let mut command = Command::new(words.next().expect("the scale is given a program"));
    time(command.args(words));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts");
    crate::report::plain(usage.max_rss());
    true
}
