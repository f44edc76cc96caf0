//! Opening a browser: the one program that Station starts for a person and lets go of.
//!
//! It is no server and must outlive us, so it is not under the shim. The address in its arguments holds no secret: the
//! challenge and the state are worth nothing without the verifier.

use std::process::Stdio;

/// Opens `address` with `browser`, which is written as in `$BROWSER`: commands between colons, `%s` for the address. None
/// of the variables in `hidden` reaches it. Whether one was started.
#[must_use]
pub fn open_browser(browser: &str, address: &str, hidden: &[&str]) -> bool {
    browser.split(':').any(|command| start(command, address, hidden))
}

fn start(command: &str, address: &str, hidden: &[&str]) -> bool {
    let mut words = command.split_whitespace();
    let Some(program) = words.next() else { return false };
    let mut args: Vec<String> = words.map(|word| word.replace("%s", address)).collect();
    if !command.contains("%s") {
        args.push(address.to_owned());
    }
    let mut command = std::process::Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for name in hidden {
        command.env_remove(name);
    }
    match tokio::process::Command::from(command).spawn() {
        // Left to itself; the runtime reaps it where it ends before us.
        Ok(child) => {
            drop(child);
            true
        }
        Err(error) => {
            tracing::debug!(%error, "a browser could not be started");
            false
        }
    }
}
