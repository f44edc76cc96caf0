//! Processes that outlive whoever does not look after them: what the shim has to clean up.

use crate::append;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// The ways in which a server leaves processes behind.
const KINDS: [&str; 3] = ["--sleep-as-child", "--sleep-in-session", "--sleep-as-orphan"];

/// Starts one of each kind.
pub(crate) fn start(pids: Option<&Path>) {
    for kind in KINDS {
        spawn(kind, pids);
    }
}

/// Acts as one of them if this process was started as one.
pub(crate) fn run_if_one(args: &[String]) -> Option<ExitCode> {
    let kind = args.first()?.as_str();
    let pids = args.get(1).map(Path::new);
    match kind {
        "--sleep-as-child" => {}
        "--sleep-in-session" => {
            nix::unistd::setsid().expect("a fresh child leads no group");
        }
        "--sleep-as-orphan" => {
            // The second fork: this process ends at once, and its child is nobody's.
            spawn("--sleep-in-session", pids);
            return Some(ExitCode::SUCCESS);
        }
        _ => return None,
    }
    if let Some(pids) = pids {
        append(pids, &std::process::id().to_string());
    }
    loop {
        std::thread::park();
    }
}

fn spawn(kind: &str, pids: Option<&Path>) {
    let program = std::env::current_exe().expect("this program has a path");
    // stdout stays the server's own: whoever waits for its end must not wait for these.
    let child = Command::new(program).arg(kind).args(pids).stdin(Stdio::null()).spawn();
    drop(child.expect("the program can be started again"));
}
