//! What is within reach: a list of folders to allow, for a kernel that knows no other list.
//!
//! Landlock allows what is below a path and can except nothing from it. So "everything but this folder" is written as its
//! siblings, and those of the folders above it. The price: nothing new can be made *right in* one of the folders above, and
//! none of them can be listed; what appears there later is out of reach until the server is started anew.

use super::{Paths, Sandbox};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// What is Station's own, as real paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Private {
    /// Out of reach, but for what a server's entry names within: the configuration folder, databases elsewhere, sockets.
    pub closed: Vec<PathBuf>,
    /// Out of reach, whatever is named: configuration, keys, the database.
    pub sealed: Vec<PathBuf>,
    /// The folder of environments. Out of reach, but for what an entry names within one of them that Station does not read:
    /// samples, scripts, data.
    pub environments: Option<PathBuf>,
}

impl Private {
    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.closed.iter().chain(&self.environments)
    }
}

/// Where a server's program finds itself, as real paths.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// What is Station's own.
    pub private: &'a Private,
    /// The user's home.
    pub home: Option<&'a Path>,
    /// Where the program runs.
    pub folder: &'a Path,
    /// What its entry names: a folder of its own, its program, files among its arguments.
    pub named: &'a [PathBuf],
    /// The folders of `PATH`.
    pub programs: &'a [PathBuf],
}

/// One path that is allowed, with all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where.
    pub path: PathBuf,
    /// What may be done there.
    pub access: Access,
}

/// What may be done below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read, list, and run programs.
    Read,
    /// All that the user may do.
    All,
}

/// What is in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// Another name for what lies elsewhere, and is judged there.
    Link,
    /// Anything else.
    Real,
}

/// What is the system's and nobody's secret, where only named paths are in reach.
const SYSTEM: [&str; 17] = [
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr",
    "/etc",
    "/opt",
    "/nix",
    "/gnu",
    "/snap",
    "/proc",
    "/sys",
    "/dev/pts",
    "/run/systemd/resolve",
    "/run/resolvconf",
];

/// Devices that every program may count on, where only named paths are in reach.
const DEVICES: [&str; 7] =
    ["/dev/full", "/dev/null", "/dev/ptmx", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"];

/// Folders in the home that programs of tool servers make at their first use: npm, uv and pip, AWS's and Kubernetes' tools.
const MADE_BEFOREHAND: [&str; 6] = [".aws", ".cache", ".kube", ".local/share", ".local/state", ".npm"];

/// Folders of an environment that are Station's own.
const OURS: [&str; 2] = ["agents", "mcp-servers"];

/// Endings of files right in an environment's folder that Station reads: servers, rules, variables, pins.
const OUR_ENDINGS: [&str; 4] = ["json", "lock", "yaml", "yml"];

/// What a server with `sandbox` may reach. `list` tells what is in a folder, `None` where that cannot be seen.
pub fn rules(
    sandbox: &Sandbox,
    surroundings: &Surroundings<'_>,
    list: &mut dyn FnMut(&Path) -> Option<Vec<Entry>>,
) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut allow = |path: &Path, access: Access| {
        let mut paths = Vec::new();
        around(path, &kept_from(path, surroundings.private), list, &mut paths);
        rules.extend(paths.into_iter().map(|path| Rule { path, access }));
    };
    match &sandbox.paths {
        None => {
            allow(Path::new("/"), Access::All);
            let is_within =
                |path: &&PathBuf| surroundings.private.folders().any(|closed| is_strictly_in(path, closed));
            surroundings.named.iter().filter(is_within).for_each(|path| allow(path, Access::All));
        }
        Some(Paths { read, write }) => {
            SYSTEM.iter().for_each(|path| allow(Path::new(path), Access::Read));
            DEVICES.iter().for_each(|path| allow(Path::new(path), Access::All));
            surroundings.programs.iter().chain(surroundings.named).for_each(|path| allow(path, Access::Read));
            read.iter().for_each(|path| allow(&placed(path, surroundings), Access::Read));
            write.iter().for_each(|path| allow(&placed(path, surroundings), Access::All));
        }
    }
    rules
}

/// Folders to be made before `rules` are: whoever needs them could not make them afterwards.
#[must_use]
pub fn made_beforehand(sandbox: &Sandbox, surroundings: &Surroundings<'_>) -> Vec<PathBuf> {
    let Some(home) = surroundings.home else { return Vec::new() };
    let is_above = surroundings.private.folders().any(|closed| is_strictly_in(closed, home));
    if sandbox.paths.is_some() || !is_above {
        return Vec::new();
    }
    MADE_BEFOREHAND.iter().map(|name| home.join(name)).collect()
}

/// What stays out of reach where `path` is allowed: a path within a closed folder was named by hand and opens it so far.
fn kept_from<'p>(path: &Path, private: &'p Private) -> Vec<&'p Path> {
    let closed = private.closed.iter().filter(|closed| !is_strictly_in(path, closed));
    let environments = private.environments.iter().filter(|folder| !is_beside_files_of_ours(path, folder));
    closed.chain(&private.sealed).chain(environments).map(PathBuf::as_path).collect()
}

/// Whether a path lies within an environment's folder and is nothing that Station reads there.
fn is_beside_files_of_ours(path: &Path, environments: &Path) -> bool {
    let Ok(within) = path.strip_prefix(environments) else { return false };
    let mut names = within.components().skip(1);
    let Some(first) = names.next() else { return false };
    let first = first.as_os_str();
    let is_last = names.next().is_none();
    let ending = Path::new(first).extension().and_then(OsStr::to_str).unwrap_or_default();
    let is_ours = OURS.iter().any(|ours| *ours == first) || is_last && OUR_ENDINGS.contains(&ending);
    !is_ours
}

/// The paths at and below `at` that together are all of it but `kept`.
fn around(
    at: &Path,
    kept: &[&Path],
    list: &mut dyn FnMut(&Path) -> Option<Vec<Entry>>,
    found: &mut Vec<PathBuf>,
) {
    if kept.iter().any(|kept| at.starts_with(kept)) {
        return;
    }
    let within: Vec<&Path> = kept.iter().copied().filter(|kept| kept.starts_with(at)).collect();
    if within.is_empty() {
        found.push(at.to_owned());
        return;
    }
    let mut names: Vec<OsString> = list(at)
        .into_iter()
        .flatten()
        // A link is judged where it leads; a rule on it would be one on that place.
        .filter(|entry| entry.kind == EntryKind::Real)
        .map(|entry| entry.name)
        .collect();
    // The way to what is kept goes on also through a folder that cannot be listed.
    let onward: BTreeSet<OsString> = within.iter().filter_map(|kept| next(at, kept)).collect();
    names.extend(onward.iter().cloned());
    names.sort();
    names.dedup();
    for name in names {
        let path = at.join(&name);
        if onward.contains(&name) {
            around(&path, kept, list, found);
        } else {
            // Thousands of siblings are usual, in a temporary folder: each is off the way by its name alone.
            found.push(path);
        }
    }
}

/// The name right below `at` on the way to `path`.
fn next(at: &Path, path: &Path) -> Option<OsString> {
    match path.strip_prefix(at).ok()?.components().next()? {
        Component::Normal(name) => Some(name.to_owned()),
        _ => None,
    }
}

fn is_strictly_in(path: &Path, folder: &Path) -> bool {
    path != folder && path.starts_with(folder)
}

/// Where a path of a server's file is: from the home, or from the server's folder. Joining an absolute one gives that one.
fn placed(path: &str, surroundings: &Surroundings<'_>) -> PathBuf {
    match (path.strip_prefix('~'), surroundings.home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => surroundings.folder.join(path),
    }
}
