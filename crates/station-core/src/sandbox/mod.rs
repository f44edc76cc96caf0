//! The sandbox of a tool server: what its file asks for, what a kernel can keep of that, and what is within reach.
//!
//! A server's program runs as the same user as Station, so without a sandbox it may read the key, the database and every
//! variable. Where its file says nothing it keeps all it had but that: Station's own folder is out of its reach.
//! `station.sandbox` makes it stricter, or switches it off. What this is not: nothing is restricted here, and no file is
//! looked at; `station-mcp` does both. **Invariant:** what is shown as kept is kept, or the program is not started.

mod kept;
mod reach;
#[cfg(test)]
mod tests;

pub use kept::{Confinement, Kernel, Lack, confinement};
pub use reach::{Access, Entry, EntryKind, Private, Rule, Surroundings, made_beforehand, rules};

/// `station.sandbox` of a server entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether there is one, and what happens where the kernel cannot keep it.
    pub confine: Confine,
    /// Whom it may talk to.
    pub network: Network,
    /// What it may reach of the file system; where nothing is said, all but what is Station's own.
    pub paths: Option<Paths>,
    /// What it may use up.
    pub limits: ProcessLimits,
}

/// Whether a server is confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confine {
    /// As far as the kernel can; what it cannot keep is shown.
    #[default]
    AsPossible,
    /// Wholly, or the program is not started.
    Required,
    /// Not at all.
    Off,
}

/// Whom a confined server may talk to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Anybody.
    #[default]
    Open,
    /// These TCP ports, of any host. UDP stays, because names are looked up over it.
    Ports(Vec<u16>),
    /// Nobody: it can make no socket, of no kind.
    Closed,
}

/// What a confined server may reach beside the system's own folders, as written: absolute, from `~`, or from its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// To read, and to run programs of.
    pub read: Vec<String>,
    /// To read and to change.
    pub write: Vec<String>,
}

/// What a confined server may use up. Nothing is limited that is not written: what a server needs is not for us to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Processes, its own included; one more ends them all.
    pub processes_max: Option<u32>,
    /// Bytes of memory of its own that each process may have.
    pub memory_bytes_max: Option<u64>,
    /// Bytes of the largest file it may write.
    pub file_bytes_max: Option<u64>,
    /// Files that each process may have open.
    pub open_files_max: Option<u64>,
}

/// What programs say when the system did not let them.
const REFUSALS: [&str; 4] = ["ermission denied", "EACCES", "EPERM", "peration not permitted"];

impl Sandbox {
    /// Where to look, for a program that ended with `words`: only where the sandbox may have been in its way.
    #[must_use]
    pub fn hint(&self, words: &str) -> Option<&'static str> {
        let may_be = self.confine != Confine::Off && REFUSALS.iter().any(|refusal| words.contains(refusal));
        may_be.then_some("it runs in a sandbox: `station.sandbox` of its file says what it may reach")
    }

    /// One unambiguous byte string: two servers that are kept differently share no process.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        // All of it is plain data without secrets, and `Debug` quotes each text.
        format!("{self:?}").into_bytes()
    }
}
