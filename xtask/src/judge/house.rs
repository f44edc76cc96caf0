//! A home for a judge: the real `stn` in a temporary folder of its own.

use crate::programs::{build, target};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Variables that programs of this machine need to fetch packages, beside what every server gets.
const FETCHING: [&str; 10] = [
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "PYENV_ROOT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "npm_config_registry",
    "UV_DEFAULT_INDEX",
];

/// Variables that lead Station elsewhere: a judge works in a home of its own, whoever starts it.
const SETTINGS: [&str; 7] = [
    "STATION_CONFIG_DIR",
    "XDG_CONFIG_HOME",
    "STATION_DATABASE",
    "DATABASE_URL",
    "STATION_ENCRYPTION_KEY",
    "STN_ENCRYPTION_KEY",
    "STN_AI_PROVIDER",
];

/// A home with a workspace.
pub(crate) struct House {
    folder: TempDir,
    stn: PathBuf,
}

impl House {
    /// Builds `stn` and sets a home up.
    pub(crate) fn new() -> Result<Self> {
        Self::of(&build(&target()?)?)
    }

    /// Sets a home up for the `stn` among `programs`.
    pub(crate) fn of(programs: &Path) -> Result<Self> {
        let house = Self { folder: tempfile::tempdir()?, stn: programs.join("stn") };
        std::fs::create_dir(house.path("work"))?;
        house.stn(&["init", "--yes"])?;
        // A package that was never fetched takes its time.
        house.configure(&format!("child_env: [{}]\ndiscovery: {{timeout: 5m}}\n", FETCHING.join(", ")))?;
        Ok(house)
    }

    /// Adds lines to its config.yaml.
    pub(crate) fn configure(&self, more: &str) -> Result<()> {
        let config = self.path(".config/station/config.yaml");
        let text = std::fs::read_to_string(&config)? + more;
        Ok(std::fs::write(config, text)?)
    }

    /// A path in the home.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The program.
    pub(crate) fn program(&self) -> &Path {
        &self.stn
    }

    /// A command with the home's own environment: what the machine has, but for Station's settings.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("HOME", self.folder.path()).env("STN_API_PORT", "0").current_dir(self.path("work"));
        for name in SETTINGS {
            command.env_remove(name);
        }
        command
    }

    /// Writes the file of a server, with its entry.
    pub(crate) fn server(&self, environment: &str, name: &str, entry: &Value) -> Result<()> {
        let path = format!(".config/station/environments/{environment}/mcp-servers/{name}.json");
        let path = self.path(&path);
        std::fs::create_dir_all(path.parent().context("the file lies in a folder")?)?;
        let file = serde_json::json!({ "mcpServers": { name: entry } });
        Ok(std::fs::write(path, file.to_string())?)
    }

    /// What `stn` says, whatever comes of it.
    pub(crate) fn try_stn(&self, args: &[&str]) -> Result<Output> {
        self.command(&self.stn).args(args).output().context("stn cannot be started")
    }

    /// What `stn` says on stdout, where it worked.
    pub(crate) fn stn(&self, args: &[&str]) -> Result<String> {
        let said = self.try_stn(args)?;
        let told = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.success(), "`stn {}`: {told}", args.join(" "));
        Ok(String::from_utf8(said.stdout)?)
    }

    /// The same, as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Result<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let said = self.try_stn(&args)?;
        serde_json::from_slice(&said.stdout).with_context(|| {
            format!("`stn {}` said no JSON: {}", args.join(" "), String::from_utf8_lossy(&said.stderr))
        })
    }
}

/// One line of a table: what was judged, and what came of each question.
pub(crate) fn row(name: &str, cells: &[String]) {
    println!("{name:<22} {}", cells.join("  "));
}
