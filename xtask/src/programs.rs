//! Programs that are run for what they do or say, and those of the workspace that tests, judges and references need.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs `command`, which must end well.
pub(crate) fn did(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} cannot be run"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// What `command` prints, which must end well.
pub(crate) fn answer(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} cannot be run"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, said.trim());
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} prints text"))
}

/// What cargo says of `xtask` to xtask. Handed on, it has the crate `ring` and all that is above it built anew, by us and by
/// whoever calls cargo after us: its build script asks to be run again where one of them is another.
const OWN: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// cargo, as whoever started us would call it.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for name in OWN {
        cargo.env_remove(name);
    }
    cargo
}

/// What this machine builds for where nobody says otherwise.
pub(crate) fn host() -> Result<String> {
    let text = answer(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what it runs on")?.to_owned())
}

/// The folder of builds.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata =
        cargo_metadata::MetadataCommand::new().no_deps().exec().context("cargo cannot be asked")?;
    Ok(metadata.target_directory.into_std_path_buf())
}

/// Builds the programs of the workspace as `scripts/test` does: of fewer packages they would have other features of their
/// libraries, and all of those would be built anew. The folder that they are in, below `target`.
pub(crate) fn build(target: &Path) -> Result<PathBuf> {
    let what = ["--workspace", "--exclude", "station-benches", "--bins"];
    did(cargo().args(["build", "--locked"]).args(what))?;
    Ok(target.join("debug"))
}
