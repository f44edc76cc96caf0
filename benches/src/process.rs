//! Whole processes: how long one takes from its start to its end, and how much memory it took at most.

use crate::samples::Samples;
use nix::sys::resource::{UsageWho, getrusage};
use std::collections::BTreeMap;
use std::path::PathBuf;
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

/// What a process holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// Memory that is resident and no file's: heap and stacks.
    pub private_mb: f64,
    /// Open file descriptors.
    pub files: usize,
    /// Threads.
    pub threads: usize,
    /// Processes below it.
    pub processes: usize,
}

/// A `stn serve` that is at work.
pub struct Serving {
    child: std::process::Child,
    /// The port of its HTTP door; 0 where it has none.
    pub port: u16,
}

impl Serving {
    /// Starts it, and waits until it says that it works.
    ///
    /// # Panics
    /// Where it cannot be started, or ends before it works.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::until(command, "Working with")
    }

    /// Starts it, and waits until it says where it listens.
    ///
    /// # Panics
    /// Where it cannot be started, or ends before it listens.
    #[must_use]
    pub fn listening(command: &mut Command) -> Self {
        Self::until(command, "127.0.0.1:")
    }

    fn until(command: &mut Command, seen: &str) -> Self {
        use std::io::BufRead as _;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let stderr = child.stderr.take().expect("stderr is piped");
        let mut port = 0;
        let said = std::io::BufReader::new(stderr).lines().map_while(Result::ok).find(|line| {
            let told =
                line.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split(':').next()?.parse().ok());
            port = told.unwrap_or(port);
            line.contains(seen)
        });
        assert!(said.is_some(), "it ended before it said `{seen}`");
        Self { child, port }
    }

    /// Whether it answers a request for `path` with yes (200).
    ///
    /// # Panics
    /// Where its port is closed.
    #[must_use]
    pub fn answers(&self, path: &str) -> bool {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.starts_with("HTTP/1.1 200 ")
    }

    /// Processes below it now.
    #[must_use]
    pub fn descendants(&self) -> usize {
        let mut all = Vec::new();
        below(self.child.id(), &mut all);
        all.len()
    }

    /// What it holds now.
    ///
    /// # Panics
    /// Where /proc does not show it.
    #[must_use]
    pub fn held(&self) -> Held {
        let id = self.child.id().to_string();
        let entries =
            |what: &str| std::fs::read_dir(format!("/proc/{id}/{what}")).expect("/proc shows it").count();
        Held {
            private_mb: status_mb(&id, "RssAnon"),
            files: entries("fd"),
            threads: entries("task"),
            processes: self.descendants(),
        }
    }

    /// Its resident memory in MB.
    #[must_use]
    pub fn resident_mb(&self) -> f64 {
        resident_mb(&self.child.id().to_string())
    }

    /// The most resident memory that it had so far, in MB.
    #[must_use]
    pub fn peak_mb(&self) -> f64 {
        status_mb(&self.child.id().to_string(), "VmHWM")
    }

    /// Where its resident memory comes from: pages of its own, of files (the program and its libraries), shared ones.
    #[must_use]
    pub fn split_mb(&self) -> Vec<(&'static str, f64)> {
        let id = self.child.id().to_string();
        [
            ("heap and stacks", "RssAnon"),
            ("the program and its libraries", "RssFile"),
            ("shared (the WAL's index)", "RssShmem"),
        ]
        .map(|(what, key)| (what, status_mb(&id, key)))
        .into()
    }

    /// What it does while nothing is asked of it: how often one of its threads woke up, and how long it worked.
    ///
    /// # Panics
    /// Where /proc does not show it.
    #[must_use]
    pub fn at_rest(&self, time: Duration) -> (u64, Duration) {
        let before = self.spent();
        rest(time);
        let mut total = (0, Duration::ZERO);
        for (thread, after) in self.spent() {
            let before = before.get(&thread).copied().unwrap_or_default();
            total.0 += after.0 - before.0;
            total.1 += after.1 - before.1;
        }
        total
    }

    /// Wake-ups of each thread, and its processor time, since its start. Threads end: what one has done goes with it.
    fn spent(&self) -> BTreeMap<PathBuf, (u64, Duration)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("/proc shows it");
        let mut spent = BTreeMap::new();
        for task in tasks {
            let task = task.expect("/proc shows it").path();
            let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let wakes = line.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
            // Nanoseconds on a processor come first.
            let schedstat = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            let worked = schedstat.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
            spent.insert(task, (wakes, Duration::from_nanos(worked)));
        }
        spent
    }

    /// Kills it, as a machine does that loses its power.
    ///
    /// # Panics
    /// Where it cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end, and waits.
    ///
    /// # Panics
    /// Where it cannot be waited for.
    pub fn end(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid fits"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it is ours");
        self.child.wait().expect("it ends");
    }
}

/// From here on the peak of this process is measured anew.
///
/// # Panics
/// Where /proc cannot be written.
pub fn forget_peak() {
    // proc(5): 5 resets the peak of what is resident.
    std::fs::write("/proc/self/clear_refs", "5").expect("our own /proc can be written");
}

/// The most resident memory that this process had since its start, or since [`forget_peak`], in MB.
///
/// # Panics
/// Where /proc does not show it.
#[must_use]
pub fn own_peak_mb() -> f64 {
    status_mb("self", "VmHWM")
}

/// Resident memory of the process `id` (or `self`) in MB.
///
/// # Panics
/// Where /proc does not show it.
#[must_use]
pub fn resident_mb(id: &str) -> f64 {
    status_mb(id, "VmRSS")
}

fn status_mb(id: &str, key: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("/proc shows it");
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kb: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("a size in kB");
    kb / 1024.0
}

/// The processes below `id`, by what each thread of it says of its children (proc(5)).
fn below(id: u32, all: &mut Vec<u32>) {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    for task in tasks {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
            all.push(child);
            below(child, all);
        }
    }
}

/// Does nothing for a while.
#[expect(
    clippy::disallowed_methods,
    reason = "a program that measures has one thread, and waits for another program"
)]
pub fn rest(time: Duration) {
    std::thread::sleep(time);
}
