//! Which process is which: by pid and start time, as the kernel counts, so that a reused pid is not taken for another.
//!
//! A shim names the Station that started it in its own arguments. So the lease of a run, which names its Station,
//! leads to every child that Station had, and nothing needs to be written when a server is started.
//! **Invariant:** what cannot be seen (another host, another namespace of pids, a hidden /proc) is never called gone.

use crate::shim;
use std::collections::HashMap;
use std::path::Path;

/// Ancestors that a process may have and still be believed.
const ANCESTORS_MAX: usize = 256;

/// One process of this host, told apart from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (proc(5), field 22).
    pub start: u64,
}

impl Process {
    /// The process `pid` as it is now; `None` where there is none, or where it has ended and only waits to be collected.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, start: start_in(&stat)? })
    }

    /// Ourselves.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether it is known to be gone.
    #[must_use]
    pub fn is_gone(self) -> bool {
        match Self::of(self.pid) {
            Some(now) => now != self,
            // Where /proc hides what belongs to others (hidepid), a process that is not seen may well be there.
            None => Path::new("/proc/1/stat").exists(),
        }
    }

    /// Shims that it started and that are still there.
    ///
    /// # Errors
    /// Where /proc cannot be read: then nothing is known.
    pub fn shims(self) -> std::io::Result<Vec<u32>> {
        let ours = self.to_string();
        let mut shims = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // It may end between the two looks; then it is gone.
            let line = std::fs::read(Path::new("/proc").join(name).join("cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0).skip(1);
            let is_ours =
                words.next() == Some(shim::ARGUMENT.as_bytes()) && words.next() == Some(ours.as_bytes());
            if is_ours && Self::of(pid).is_some() {
                shims.push(pid);
            }
        }
        Ok(shims)
    }
}

/// Whether a process was started by a Station for a tool server that it keeps: such a program is nobody's command. So is one
/// that cannot be looked at, because it is gone or hidden.
#[must_use]
pub fn is_kept(pid: u32) -> bool {
    let mut at = pid;
    // Nobody's ancestors are so many; a loop in what /proc shows while processes end must not hold us.
    for _ in 0..ANCESTORS_MAX {
        if at <= 1 {
            return false;
        }
        let of = Path::new("/proc").join(at.to_string());
        let (Ok(line), Ok(stat)) =
            (std::fs::read(of.join("cmdline")), std::fs::read_to_string(of.join("stat")))
        else {
            return true;
        };
        if shim::keeps(&line) {
            return true;
        }
        let Some(parent) = parent_in(&stat) else { return true };
        at = parent;
    }
    true
}

/// Every process below this one, as /proc shows it now; none where it cannot be read.
#[must_use]
pub(crate) fn descendants() -> Vec<u32> {
    below(vec![std::process::id()], children())
}

/// Every process below this one, and every one below a shim that keeps its program, whichever Station started that.
#[must_use]
pub fn servers() -> Vec<u32> {
    let children = children();
    let keeps =
        |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| shim::keeps(&line));
    let shims = children.values().flatten().copied().filter(keeps);
    below(std::iter::once(std::process::id()).chain(shims).collect(), children)
}

/// The children of every process.
fn children() -> HashMap<u32, Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(parent) = parent_in(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

fn below(mut open: Vec<u32>, mut children: HashMap<u32, Vec<u32>>) -> Vec<u32> {
    let mut found = Vec::new();
    while let Some(parent) = open.pop() {
        for pid in children.remove(&parent).unwrap_or_default() {
            found.push(pid);
            open.push(pid);
        }
    }
    found
}

/// The parent in a line of `/proc/<pid>/stat`; the name before it may hold spaces and parentheses.
fn parent_in(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// The start time in a line of `/proc/<pid>/stat`; `None` for a process that has ended.
fn start_in(stat: &str) -> Option<u64> {
    // The name in parentheses may hold anything, also parentheses.
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// `pid:start`, as a shim's arguments name it.
impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.pid, self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        for (stat, parent) in [
            ("12 (node) S 7 12 12 0 -1", Some(7)),
            ("12 (a) b) (c) R 41 12", Some(41)),
            ("12 (cut", None),
            ("", None),
        ] {
            assert_eq!(parent_in(stat), parent, "{stat}");
        }
    }

    #[test]
    fn the_start_time_is_read_behind_any_name() {
        let rest = format!("1 {} 4242 0", ["0"; 17].join(" "));
        assert_eq!(start_in(&format!("7 (a) b) S {rest}")), Some(4242));
        assert_eq!(start_in(&format!("7 (a) Z {rest}")), None, "it has ended");
        assert_eq!(start_in("7 (a"), None);
    }

    #[test]
    fn a_process_is_not_taken_for_another_of_its_number() {
        let own = Process::own().unwrap();
        assert!(!own.is_gone());
        assert!(Process { start: own.start + 1, ..own }.is_gone());
        assert_eq!(own.shims().unwrap(), Vec::<u32>::new());
    }
}
