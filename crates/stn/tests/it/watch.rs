//! Waiting for what a test wants to see, and what can be seen from outside: a server's log, processes, system calls.

use crate::home::{Home, Said};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long something may take on a machine that is busy with a build.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What lies between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Looks until `seen` is true.
#[track_caller]
pub(crate) fn until(what: &str, seen: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !seen() {
        assert!(Instant::now() < deadline, "it did not come to this: {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// The whole lines of a log of the fake server.
pub(crate) fn log(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The calls of `tool` in a log: effect ids in the order sent.
pub(crate) fn effects(log: &[Value], tool: &str) -> Vec<String> {
    let calls = log.iter().filter(|line| line["tool"] == tool);
    calls.map(|line| line["effect"].as_str().expect("every call carries its effect").to_owned()).collect()
}

/// A process: its number, and when it started, because numbers are used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    started: u64,
    name: String,
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs; one that has ended and was not collected does not.
    pub(crate) fn runs(&self) -> bool {
        Stat::read(self.pid).is_some_and(|now| now.started == self.started && !matches!(now.state, 'Z' | 'X'))
    }
}

/// Bytes that the process holds of memory.
pub(crate) fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() * 1024
}

/// Every process below `pid`, whoever its parent became.
pub(crate) fn descendants(pid: u32) -> Vec<Process> {
    let mut below: HashMap<u32, Vec<Process>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(stat) = Stat::read(pid) else { continue };
        let process = Process { pid, started: stat.started, name: stat.name };
        below.entry(stat.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(parent) = open.pop() {
        let children = below.remove(&parent).unwrap_or_default();
        open.extend(children.iter().map(|child| child.pid));
        found.extend(children);
    }
    found
}

/// What `/proc/<pid>/stat` tells, see proc(5).
struct Stat {
    name: String,
    state: char,
    parent: u32,
    started: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, also parentheses.
        let (head, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            name: head.split_once('(')?.1.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

/// Runs `stn` under `wrapper`, e.g. a shell that sets limits.
pub(crate) fn under(home: &Home, wrapper: &[&str], args: &[&str]) -> Said {
    home.said(start_under(home, wrapper, args))
}

/// Starts `stn` under `wrapper`, with nothing on standard input.
pub(crate) fn start_under(home: &Home, wrapper: &[&str], args: &[&str]) -> Child {
    let inner = home.command(args);
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(home.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{} must be installed: {error}", wrapper[0]))
}
