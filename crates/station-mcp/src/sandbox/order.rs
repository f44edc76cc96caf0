//! What the shim is told about keeping its program: one word among its arguments.
//!
//! The shim lists the folders itself, so that the word stays short and what is listed is as new as can be. The word holds
//! paths and numbers and no secret: everybody on the machine can read it.

use super::{Confine, kernel};
use crate::client::Launch;
use serde_json::{Value, json};
use station_core::Definition;
use station_core::sandbox::{
    Confinement, Lack, Network, Paths, Private, ProcessLimits, Sandbox, confinement,
};
use std::path::{Path, PathBuf};

/// In place of an order: the program is not kept from anything.
pub(crate) const NONE: &str = "-";

/// What the shim was told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Whether paths are kept: not where the kernel cannot.
    pub(super) files: bool,
    /// Whether system calls are filtered.
    pub(super) calls: bool,
    /// Whether a list of ports is kept.
    pub(super) ports: bool,
    pub(super) sandbox: Sandbox,
    pub(super) private: Private,
    pub(super) home: Option<PathBuf>,
    pub(super) folder: PathBuf,
    pub(super) named: Vec<PathBuf>,
    pub(super) programs: Vec<PathBuf>,
}

/// The word for the server of `launch`, which runs in `folder`.
///
/// # Errors
/// Why it cannot be kept as it must, as the rest of a sentence that begins with its name.
pub(crate) fn order(launch: &Launch, folder: &Path) -> Result<String, String> {
    let Confine::Kept { sandbox, private } = &launch.confine else { return Ok(NONE.to_owned()) };
    let kept = match confinement(sandbox, kernel())? {
        Confinement::Off | Confinement::Station => return Ok(NONE.to_owned()),
        Confinement::Kept(lacks) => move |lack| !lacks.contains(&lack),
    };
    let variable = |name: &str| match &launch.definition {
        Definition::Stdio { env, .. } => env.get(name).or_else(|| launch.inherited.get(name)),
        Definition::Http { .. } => None,
    };
    let programs = variable("PATH").map(String::as_str).unwrap_or_default().split(':');
    let order = Order {
        files: kept(Lack::Files),
        calls: kept(Lack::Calls),
        ports: matches!(sandbox.network, Network::Ports(_)) && kept(Lack::Ports),
        sandbox: sandbox.clone(),
        private: Private {
            closed: real(&private.closed),
            sealed: real(&private.sealed),
            environments: private.environments.as_deref().map(really),
        },
        home: variable("HOME").and_then(|home| Path::new(home).canonicalize().ok()),
        folder: folder.canonicalize().unwrap_or_else(|_| folder.to_owned()),
        named: named(&launch.definition, folder),
        programs: programs.filter_map(|at| Path::new(at).canonicalize().ok()).collect(),
    };
    order.to_word().ok_or_else(|| {
        "was not started: a path that it must be kept from is not UTF-8; `station.sandbox` of its file can be `off`".to_owned()
    })
}

/// What an entry names that is there: its folder where it says one, its program, files among its arguments.
fn named(definition: &Definition, folder: &Path) -> Vec<PathBuf> {
    let Definition::Stdio { command, args, cwd, .. } = definition else { return Vec::new() };
    // A command without a slash is looked up in PATH.
    let command = command.contains('/').then_some(command);
    let values = args.iter().map(|arg| match arg.split_once('=') {
        Some((option, value)) if option.starts_with('-') => value,
        _ => arg,
    });
    let words =
        command.map(String::as_str).into_iter().chain(values).filter(|word| !word.is_empty() && *word != ".");
    let found = words.filter_map(|word| folder.join(word).canonicalize().ok());
    cwd.as_ref().and_then(|_| folder.canonicalize().ok()).into_iter().chain(found).collect()
}

/// Paths as they really are; of one that is not there yet, its folder is.
fn real(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().map(|path| really(path)).collect()
}

fn really(path: &Path) -> PathBuf {
    let of_folder = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(of_folder).unwrap_or_else(|| path.to_owned())
}

impl Order {
    /// `None` where a path is not UTF-8.
    fn to_word(&self) -> Option<String> {
        let texts = |paths: &[PathBuf]| -> Option<Vec<String>> {
            paths.iter().map(|path| path.to_str().map(str::to_owned)).collect()
        };
        // What is no UTF-8 among what is only *allowed* is left out, and so stays out of reach.
        let readable = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().filter_map(|path| path.to_str().map(str::to_owned)).collect()
        };
        let network = match &self.sandbox.network {
            Network::Open => json!(true),
            Network::Closed => json!(false),
            Network::Ports(ports) => json!(ports),
        };
        let limits = self.sandbox.limits;
        let word = json!({
            "files": self.files,
            "calls": self.calls,
            "ports": self.ports,
            "network": network,
            "read": self.sandbox.paths.as_ref().map(|paths| &paths.read),
            "write": self.sandbox.paths.as_ref().map(|paths| &paths.write),
            "limits": [
                limits.processes_max.map(u64::from),
                limits.memory_bytes_max,
                limits.file_bytes_max,
                limits.open_files_max,
            ],
            "closed": texts(&self.private.closed)?,
            "sealed": texts(&self.private.sealed)?,
            "environments": match &self.private.environments {
                Some(folder) => Some(folder.to_str()?),
                None => None,
            },
            "home": self.home.as_deref().and_then(Path::to_str),
            "folder": self.folder.to_str()?,
            "named": readable(&self.named),
            "programs": readable(&self.programs),
        });
        Some(word.to_string())
    }

    /// Reads the word back; `None` where it is none of ours.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        let word: Value = serde_json::from_str(word).ok()?;
        let truth = |key: &str| word[key].as_bool();
        let texts = |key: &str| -> Option<Vec<String>> {
            word[key].as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let paths = |key: &str| Some(texts(key)?.into_iter().map(PathBuf::from).collect::<Vec<_>>());
        let network = match &word["network"] {
            Value::Bool(true) => Network::Open,
            Value::Bool(false) => Network::Closed,
            Value::Array(ports) => {
                let port = |port: &Value| port.as_u64().and_then(|port| u16::try_from(port).ok());
                Network::Ports(ports.iter().map(port).collect::<Option<_>>()?)
            }
            _ => return None,
        };
        let limit = |at: usize| word["limits"][at].as_u64();
        let limits = ProcessLimits {
            processes_max: limit(0).and_then(|processes| u32::try_from(processes).ok()),
            memory_bytes_max: limit(1),
            file_bytes_max: limit(2),
            open_files_max: limit(3),
        };
        let named = match word["read"] {
            Value::Null => None,
            _ => Some(Paths { read: texts("read")?, write: texts("write")? }),
        };
        Some(Self {
            files: truth("files")?,
            calls: truth("calls")?,
            ports: truth("ports")?,
            sandbox: Sandbox { network, paths: named, limits, ..Sandbox::default() },
            private: Private {
                closed: paths("closed")?,
                sealed: paths("sealed")?,
                environments: word["environments"].as_str().map(PathBuf::from),
            },
            home: word["home"].as_str().map(PathBuf::from),
            folder: PathBuf::from(word["folder"].as_str()?),
            named: paths("named")?,
            programs: paths("programs")?,
        })
    }

    /// Processes that there may be, the program's own included.
    pub(crate) fn processes_max(&self) -> Option<usize> {
        self.sandbox.limits.processes_max.map(|processes| processes as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let sandboxes = [
            Sandbox::default(),
            Sandbox {
                network: Network::Ports(vec![443]),
                paths: Some(Paths { read: vec!["~/.aws".to_owned()], write: Vec::new() }),
                limits: ProcessLimits {
                    processes_max: Some(8),
                    file_bytes_max: Some(0),
                    ..ProcessLimits::default()
                },
                ..Sandbox::default()
            },
            Sandbox { network: Network::Closed, ..Sandbox::default() },
        ];
        for sandbox in sandboxes {
            let order = Order {
                files: true,
                calls: true,
                sandbox,
                private: Private {
                    closed: vec!["/c".into()],
                    sealed: vec!["/c/k".into()],
                    environments: Some("/w/environments".into()),
                },
                home: Some("/home/ann".into()),
                folder: "/w".into(),
                named: vec!["/w/s.py".into()],
                ..Order::default()
            };
            assert_eq!(Order::from_word(&order.to_word().unwrap()), Some(order));
        }
        for broken in ["", "-", "{}", "{\"files\": true}", "[]"] {
            assert_eq!(Order::from_word(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_path_that_must_be_kept_and_cannot_be_told_is_no_order() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(b"/c\xff"));
        let order =
            Order { private: Private { closed: vec![path], ..Private::default() }, ..Order::default() };
        assert_eq!(order.to_word(), None);
    }
}
