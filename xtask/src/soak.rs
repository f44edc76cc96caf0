//! `cargo xtask soak`: `stn serve` under a steady load for half an hour, and whether it holds more and answers later the longer it runs.

use crate::programs::cargo;
use anyhow::{Context as _, Result, bail};

/// Builds and runs it, of the release build or with a program that is named. `Ok(false)` where something grew, or failed.
///
/// # Errors
/// Options that are none, and a cargo that cannot be started.
pub(crate) fn run(options: &[&str]) -> Result<bool> {
    for pair in options.chunks(2) {
        match pair {
            ["--minutes", n] if n.parse::<u64>().is_ok() => {}
            ["--program", _] => {}
            _ => bail!("there are --minutes N and --program PATH, not `{}`", pair.join(" ")),
        }
    }
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--package", "station-benches", "--bin", "soak", "--"]);
    Ok(command.args(options).status().context("cargo cannot be started")?.success())
}
