//! `cargo xtask judge metrics`: promtool, Prometheus' own checker, reads what a Station that has done something tells of itself, and the
//! alert rules of `deploy/`.
//!
//! promtool is the one in `PATH`, else the one of Debian's package `prometheus`, unpacked below the folder of builds.

use super::house::House;
use super::served::Served;
use crate::programs::{build, did, target};
use anyhow::{Context as _, Result, bail};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names that the architecture document fixes, and that promtool keeps for counters.
const FIXED: [&str; 2] = ["station_agents_total", "station_mcp_servers_total"];

/// What a Station tells of itself once a tool server was asked.
const CALLS: &str = "station_mcp_request_duration_seconds_count{";

/// Runs it. `Ok(false)` where promtool finds something that is not of [`FIXED`].
///
/// # Errors
/// Whatever it needs and cannot get.
pub(super) fn run() -> Result<bool> {
    let target = target()?;
    let promtool = promtool(&target)?;
    let house = furnished(&build(&target)?)?;
    let served = Served::start(&house)?;
    // Worked off by the one that is asked afterwards; the second fails, having no model.
    house.stn(&["agent", "run", "triage", "read notes.txt"])?;
    house.try_stn(&["agent", "run", "stray", "read notes.txt"])?;
    let metrics = served.get("/metrics")?;
    let findings = check(&promtool, &metrics)?;
    let named = metrics.lines().filter(|line| line.starts_with("# TYPE ")).count();
    println!("check metrics: {named} names, {} findings", findings.len());
    findings.iter().for_each(|finding| println!("  {finding}"));
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus/alerts.yml");
    let are_right = Command::new(&promtool).args(["check", "rules", rules]).status()?.success();
    let has_worked = metrics.contains(CALLS);
    if !has_worked {
        println!("  `{CALLS}` is not there: nothing was done before it was asked");
    }
    Ok(findings.is_empty() && has_worked && are_right)
}

/// What promtool says of `metrics`, but for what [`FIXED`] explains.
fn check(promtool: &Path, metrics: &str) -> Result<Vec<String>> {
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("promtool cannot be started")?;
    child.stdin.take().context("its input is piped")?.write_all(metrics.as_bytes())?;
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let is_fixed = |line: &&str| {
        FIXED
            .iter()
            .any(|name| line.strip_prefix(name).is_some_and(|rest| rest.ends_with("\"_total\" suffix")))
    };
    let findings: Vec<String> = told.lines().filter(|line| !is_fixed(line)).map(str::to_owned).collect();
    // 3 is its word for findings.
    if !output.status.success() && output.status.code() != Some(3) && findings.is_empty() {
        bail!("promtool did not judge: {}", output.status);
    }
    Ok(findings)
}

/// A home with an agent that works, and one that does not.
fn furnished(programs: &Path) -> Result<House> {
    let house = House::of(programs)?;
    house.server("default", "fake", &json!({ "command": programs.join("fake-mcp-server") }))?;
    house.stn(&["sync"])?;
    house.stn(&["agent", "create", "triage", "Finds out why", "--model", "offline", "--tool", "read"])?;
    house.stn(&["agent", "create", "stray", "Has no model", "--model", "ollama/none", "--tool", "read"])?;
    Ok(house)
}

/// promtool, from wherever it can be had.
fn promtool(target: &Path) -> Result<PathBuf> {
    if Command::new("promtool").arg("--version").output().is_ok_and(|said| said.status.success()) {
        return Ok(PathBuf::from("promtool"));
    }
    let folder = target.join("judge/prometheus");
    let program = folder.join("usr/bin/promtool");
    if !program.exists() {
        std::fs::create_dir_all(&folder)?;
        did(Command::new("apt-get").current_dir(&folder).args([
            "--quiet",
            "--quiet",
            "download",
            "prometheus",
        ]))
        .context("promtool is in no folder of PATH, and Debian's package `prometheus` cannot be fetched")?;
        let fetched = std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path());
        let package = fetched.filter(|path| path.extension().is_some_and(|kind| kind == "deb")).max();
        did(Command::new("dpkg")
            .arg("--extract")
            .arg(package.context("a package was fetched")?)
            .arg(&folder))?;
    }
    Ok(program)
}

impl Served {
    /// What a GET of `path` gives, as text.
    fn get(&self, path: &str) -> Result<String> {
        let mut stream = self.connect()?;
        // Of HTTP/1.0, so that the answer is not in chunks.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
            _ => bail!("GET {path} was answered: {}", answer.lines().next().unwrap_or("nothing")),
        }
    }
}
