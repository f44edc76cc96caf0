//! Keeping a tool server's program from what is not its own: Landlock, seccomp, limits, no new privileges.
//!
//! Three steps: [`Confine`] says what is asked for; `order` turns it into a word for the shim, in Station's process;
//! `restrict` obeys it in the shim, on the one thread that then starts the program. What may be reached is decided in
//! `station_core::sandbox`. **Invariants:** a program is started under all that its order says, or not at all; the shim
//! itself and Station are not restricted, and the program can neither signal nor trace them where the kernel knows scopes.

mod order;
mod restrict;

pub(crate) use order::{NONE, Order, order};
pub(crate) use restrict::Refusal;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
};
use station_core::sandbox::{Kernel, Private, Sandbox};
use std::path::Path;
use std::sync::OnceLock;

/// How a server's program is to be kept.
#[derive(Clone, Debug)]
pub enum Confine {
    /// Not at all: it is Station itself, with a token for a run, and needs what Station needs.
    Station,
    /// As its file says, from what is Station's own.
    Kept {
        /// `station.sandbox` of its file.
        sandbox: Sandbox,
        /// What is Station's own.
        private: Box<Private>,
    },
}

/// What the running kernel can do; asked once.
#[must_use]
pub fn kernel() -> Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    *KERNEL.get_or_init(|| Kernel {
        files: knows_files(),
        ports: knows_ports(),
        // Listed by the kernel wherever filters can be set (seccomp(2)).
        calls: Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
    })
}

/// Which version of Landlock is needed for files: the first one cannot move a file to another folder.
const FILES: ABI = ABI::V2;

/// The newest version whose rights over files were looked at; an older kernel keeps what it knows of them.
const FILES_NEWEST: ABI = ABI::V9;

/// Which version is needed for ports.
const PORTS: ABI = ABI::V4;

/// Which version is needed for scopes: signals and abstract sockets.
const SCOPES: ABI = ABI::V6;

fn strict() -> Ruleset {
    Ruleset::default().set_compatibility(CompatLevel::HardRequirement)
}

fn knows_files() -> bool {
    strict().handle_access(AccessFs::from_all(FILES)).and_then(Ruleset::create).is_ok()
}

fn knows_ports() -> bool {
    strict().handle_access(AccessNet::from_all(PORTS)).and_then(Ruleset::create).is_ok()
}
