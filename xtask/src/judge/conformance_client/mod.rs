//! `cargo xtask judge conformance-client`: the official suite of MCP judges our client.
//!
//! Each scenario is a server of the suite's; what is judged is the real `stn`, built here, in a home of its own: it lists what
//! the server offers, logs in where it is asked to, and calls each tool (`scenario`). Figures are printed, and what fails fails
//! the command. Not part of CI.

mod scenario;

use super::suite::Suite;
use crate::programs::{build, target};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

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
    let target = target()?;
    let suite = Suite::find(&target)?;
    let client = client(&suite.folder, &build(&target)?.join("stn"))?;
    let mut is_good = true;
    for revision in REVISIONS {
        let mut command = suite.command();
        command.args(["client", "--command"]).arg(&client);
        match only {
            Some(name) => command.args(["--scenario", name, "--spec-version", revision, "--verbose"]),
            None => command.args(["--requirements", revision]),
        };
        command.current_dir(&suite.folder);
        println!("==> {revision}");
        is_good &= command.status().context("the suite cannot be started")?.success();
    }
    Ok(is_good)
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
