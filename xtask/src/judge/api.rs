//! `cargo xtask judge api`: schemathesis makes requests of the served OpenAPI document, right ones and wrong ones, and holds each answer
//! against it.
//!
//! A server of its own, in a home with an environment, an agent, a server, users and a run. It is asked with the token of the file, whose
//! bearer no operation can remove or lock out, so that none has to be left out; that there are users means that nobody is let in without.
//! What cannot be tested so stands in `api/schemathesis.toml`, with the reason.

use super::house::House;
use super::served::Served;
use crate::programs::{build, did, target};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many requests are made up for each operation, and from which seed, where nobody says otherwise.
const EXAMPLES: u32 = 25;
const SEED: u32 = 1;

/// The release of everything that decides what is made up: the same seed then makes the same requests.
const PINNED: &str = include_str!("api/requirements.txt");

/// What the file `api-token` of the judge's home holds.
const TOKEN: &str = "the-judge-of-the-api";

/// Runs it. `Ok(false)` where an answer was not as the document says.
///
/// # Errors
/// Options that are none, and whatever it needs and cannot get.
pub(super) fn run(options: &[&str]) -> Result<bool> {
    let (mut examples, mut seed) = (EXAMPLES, SEED);
    for pair in options.chunks(2) {
        let [name, value] = pair else { bail!("`{}` wants a number", pair[0]) };
        let number = value.parse().with_context(|| format!("`{name}` wants a number, not `{value}`"))?;
        match *name {
            "--examples" => examples = number,
            "--seed" => seed = number,
            _ => bail!("`{name}` is unknown; there are --examples N and --seed N"),
        }
    }
    let target = target()?;
    let schemathesis = installed(&target)?;
    let house = furnished(&build(&target)?)?;
    let served = Served::start(&house)?;
    let report = house.path("report.json");
    let told_besides = concat!(env!("CARGO_MANIFEST_DIR"), "/src/judge/api");
    let status = Command::new(schemathesis)
        // It keeps what it found where it is.
        .current_dir(house.path("work"))
        .args(["--config-file", &format!("{told_besides}/schemathesis.toml"), "--no-color", "run"])
        .args(["--mode", "all", "--max-examples", &examples.to_string(), "--seed", &seed.to_string()])
        .args(["--wait-for-schema", "30", "--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--report", "json", "--report-json-path"])
        .arg(&report)
        .arg(served.url("/api/v1/openapi.json"))
        .env("PYTHONPATH", told_besides)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .status()
        .context("schemathesis cannot be started")?;
    told(&report, seed)?;
    Ok(status.success())
}

/// schemathesis, in an environment of its own below the folder of builds.
fn installed(target: &Path) -> Result<PathBuf> {
    let folder = target.join("judge/schemathesis");
    let (program, stamp) = (folder.join("bin/schemathesis"), folder.join("requirements.txt"));
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == PINNED) {
        return Ok(program);
    }
    did(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let wanted = folder.join("wanted.txt");
    std::fs::write(&wanted, PINNED)?;
    did(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--requirement"]).arg(&wanted))?;
    std::fs::rename(wanted, stamp)?;
    Ok(program)
}

/// A home with something of everything, whose limits are not in the way.
fn furnished(programs: &Path) -> Result<House> {
    let house = House::of(programs)?;
    house.configure("http: {user_per_minute: 0, address_per_minute: 0}\n")?;
    let mut token = std::fs::OpenOptions::new();
    let token = token.write(true).create_new(true).mode(0o600).open(house.path(".config/station/api-token"));
    token?.write_all(TOKEN.as_bytes())?;
    house.server("default", "fake", &json!({ "command": programs.join("fake-mcp-server") }))?;
    house.stn(&["sync"])?;
    house.stn(&["env", "create", "staging"])?;
    house.stn(&["agent", "create", "triage", "Finds out why", "--model", "offline", "--tool", "echo"])?;
    house.stn(&["user", "create", "root", "--role", "admin"])?;
    house.stn(&["user", "create", "ann", "--role", "user", "--env", "staging"])?;
    house.stn(&["agent", "run", "triage", "why is it slow"])?;
    Ok(house)
}

/// One line of what was done.
fn told(report: &Path, seed: u32) -> Result<()> {
    let report = std::fs::read(report).context("schemathesis did not come to its end")?;
    let report: Value = serde_json::from_slice(&report)?;
    let (operations, cases) = (&report["operations"], &report["test_cases"]);
    println!(
        "seed {seed}: {} of {} operations, {} cases, {} findings",
        operations["tested"], operations["total"], cases["generated"], cases["unique_failures"]
    );
    Ok(())
}
