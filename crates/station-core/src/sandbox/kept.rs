//! What of a sandbox a kernel keeps, and what is said of it.

use super::{Confine, Network, Sandbox};

/// What the running kernel can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Landlock 2 or later: folders. The first version cannot rename from one folder to another, which package managers do.
    pub files: bool,
    /// Landlock 4 or later: TCP ports.
    pub ports: bool,
    /// Filters of system calls (seccomp).
    pub calls: bool,
}

/// How a server's program is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// Not at all: its file says so.
    Off,
    /// Not at all: it is Station itself, started for a run.
    Station,
    /// As its file says, or as the default is, but for these.
    Kept(Vec<Lack>),
}

/// What a kernel cannot keep of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Files out of reach.
    Files,
    /// A list of ports.
    Ports,
    /// No network at all, and no calls of the kernel that no tool server needs.
    Calls,
}

impl Lack {
    fn words(self) -> &'static str {
        match self {
            Self::Files => {
                "this kernel has no Landlock that can keep files from it (Linux 5.19 or later, `lsm=landlock,…`)"
            }
            Self::Ports => "this kernel's Landlock knows no ports (Linux 6.7 or later)",
            Self::Calls => "this kernel filters no system calls (seccomp)",
        }
    }
}

/// What `kernel` keeps of `sandbox`.
///
/// # Errors
/// Why the program must not be started: the rest of a sentence that begins with its server's name.
pub fn confinement(sandbox: &Sandbox, kernel: Kernel) -> Result<Confinement, String> {
    let asks_ports = matches!(sandbox.network, Network::Ports(_));
    let lacks: Vec<Lack> = [
        (!kernel.files, Lack::Files),
        (asks_ports && !kernel.ports, Lack::Ports),
        (!kernel.calls, Lack::Calls),
    ]
    .into_iter()
    .filter_map(|(is_missing, lack)| is_missing.then_some(lack))
    .collect();
    match sandbox.confine {
        Confine::Off => Ok(Confinement::Off),
        Confine::Required if !lacks.is_empty() => {
            let why: Vec<&str> = lacks.iter().map(|lack| lack.words()).collect();
            Err(format!("was not started: its file requires a sandbox, and {}", why.join(", and ")))
        }
        Confine::Required | Confine::AsPossible => Ok(Confinement::Kept(lacks)),
    }
}

impl Confinement {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Off | Self::Station => "unconfined",
            Self::Kept(lacks) if lacks.is_empty() => "confined",
            // Without Landlock nothing is out of reach: whatever else is kept is no wall.
            Self::Kept(lacks) if lacks.contains(&Lack::Files) => "unconfined",
            Self::Kept(_) => "partly_confined",
        }
    }

    /// What holds for a server with `sandbox`, for people.
    #[must_use]
    pub fn words(&self, sandbox: &Sandbox) -> String {
        match self {
            Self::Off => "unconfined (`sandbox` of its file is off)".to_owned(),
            Self::Station => "unconfined (it is Station itself)".to_owned(),
            Self::Kept(lacks) => {
                let mut parts = vec![self.as_str().replace('_', " ")];
                if !lacks.contains(&Lack::Files) && sandbox.paths.is_some() {
                    parts.push("only named paths".to_owned());
                }
                match &sandbox.network {
                    Network::Open => {}
                    Network::Closed if lacks.contains(&Lack::Calls) => {}
                    Network::Closed => parts.push("no network".to_owned()),
                    Network::Ports(_) if lacks.contains(&Lack::Ports) => {}
                    Network::Ports(ports) => {
                        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                        parts.push(format!("TCP ports {}", ports.join(" ")));
                    }
                }
                let why: Vec<&str> = lacks.iter().map(|lack| lack.words()).collect();
                let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
                format!("{}{why}", parts.join(", "))
            }
        }
    }
}
