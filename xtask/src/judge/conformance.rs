//! `cargo xtask judge conformance`: the official suite judges Station's server, with figures for README.
//!
//! It is the official suite of the Model Context Protocol in its role of a client: scenarios that any server can pass are
//! run against `/mcp`, all that a revision requires through `/mcp/env/…`, where the server that the suite describes stands
//! behind the gateway. There is no list of expected failures. With `--quick`, which is part of CI, the gateway is left out.

use super::house::House;
use super::served::Served;
use super::suite::Suite;
use crate::programs::{build, target};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::process::Stdio;

/// A revision, and the era that the server behind the gateway speaks for it.
const REVISIONS: [(&str, &str); 2] = [("2025-11-25", "legacy"), ("2026-07-28", "modern")];

/// Scenarios that need nothing of the suite's own tools, resources and prompts. (`completion-complete` completes an argument
/// of its own prompt, so it is judged through the gateway alone.)
const GENERIC: [&str; 9] = [
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
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

/// How much of the suite is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What any server can pass, against `/mcp`.
    Quick,
    /// That, and all that the revisions require, through the gateway.
    Whole,
}

/// Runs the suite. `Ok(false)` where a scored check failed.
///
/// # Errors
/// What it needs and cannot get.
pub(crate) fn run(extent: Extent) -> Result<bool> {
    let target = target()?;
    let suite = Suite::find(&target)?;
    let programs = build(&target)?;
    let mut all = Score::default();
    println!("{:<12} {:<28} {:>8} {:>8}", "revision", "against", "passed", "failed");
    for (revision, era) in REVISIONS {
        let mut told = |against: &str, score: Score| {
            println!("{revision:<12} {against:<28} {:>8} {:>8}", score.passed, score.failed);
            all.add(score);
        };
        let house = House::of(&programs)?;
        if extent == Extent::Whole {
            let fixture = json!({ "command": programs.join("conformance-server"), "args": ["--era", era] });
            house.stn(&["env", "create", "conformance"])?;
            house.server("conformance", "fixture", &fixture)?;
            house.stn(&["sync", "conformance"])?;
        }
        let served = Served::start(&house)?;
        let mut generic = Score::default();
        for scenario in GENERIC {
            let which = ["--spec-version", revision, "--scenario", scenario];
            generic.add(judged(&suite, &served.url("/mcp"), &which)?);
        }
        told("/mcp, generic", generic);
        if extent == Extent::Whole {
            let url = served.url("/mcp/env/conformance");
            told("/mcp/env/conformance, all", judged(&suite, &url, &["--requirements", revision])?);
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

/// Runs scenarios against `url`; what failed is printed.
fn judged(suite: &Suite, url: &str, which: &[&str]) -> Result<Score> {
    let output = suite
        .command()
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
