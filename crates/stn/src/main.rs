//! `stn`: the terminal door, and the one program of Station.
//!
//! The same file is also the shim under which tool servers run, so that comes first, before anything is set up. What
//! this crate alone may do: parse the command line, read the environment, print, set up logging and TLS. It decides
//! nothing about agents: every command calls one verb of `station-engine` and shows what came of it.
//!
//! - `cli` is what can be typed; `cmd/<noun>/<verb>.rs` carries one sentence of it out.
//! - `config` turns flags, environment and config.yaml into settings, once; `session` opens a Station with them.
//! - `out` is the only printing; `error` the only place that chooses exit codes.
//! - `at` is where a command does what it says: here, or with `remote`, the Station of a server.
//! - `attend` drives a run in front of a person; `follow` and `narrate` tell it, now and in `runs inspect`.

mod at;
mod attend;
mod cli;
mod cmd;
mod config;
mod error;
mod follow;
mod log;
mod masked;
mod named;
mod narrate;
mod otlp;
mod out;
mod problems;
mod question;
mod reference;
mod remote;
mod session;
mod table;
mod waits;
mod when;

use nix::sys::signal::{SigSet, Signal};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = station_mcp::shim::run_if_shim() {
        return code;
    }
    // A tool server runs as the same user: it must not be able to read our memory or environment, where keys are.
    // A kernel without this switch is no reason not to work.
    nix::sys::prctl::set_dumpable(false).unwrap_or_default();
    // A limit on file sizes is a full disk to us, with a sentence, and no sudden end. Blocked and not ignored: the shim gives
    // tool servers an empty mask, so nothing of it is theirs.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    signals.thread_block().unwrap_or_default();
    cli::run().into()
}
