//! `cargo xtask simulate`: the engine's simulation, with as many crashes as one likes, or one seed again.

use crate::programs::cargo;
use anyhow::{Context as _, Result, bail};

/// Crashes that are tried where nobody says how many: several times what CI tries, which is what a plain `cargo test` does.
const CRASHES: u64 = 10_000;

/// Runs it in a release build. `Ok(false)` where a rule did not hold; the seed has been printed then.
///
/// # Errors
/// Options that are none, and a cargo that cannot be started.
pub(crate) fn run(options: &[&str]) -> Result<bool> {
    let mut command = cargo();
    command.args([
        "test",
        "--release",
        "--locked",
        "--package",
        "station-engine",
        "--lib",
        "no_crash",
        "--",
        "--nocapture",
    ]);
    command.env("STATION_SIMULATE_CRASHES", CRASHES.to_string());
    for pair in options.chunks(2) {
        let [name, value] = pair else { bail!("`{}` wants a number", pair[0]) };
        let variable = match *name {
            "--crashes" => "STATION_SIMULATE_CRASHES",
            "--seed" => "STATION_SIMULATE_SEED",
            "--from" => "STATION_SIMULATE_FROM",
            _ => bail!("`{name}` is unknown; there are --crashes N, --seed N and --from N"),
        };
        let number: u64 = value.parse().with_context(|| format!("`{name}` wants a number, not `{value}`"))?;
        command.env(variable, number.to_string());
    }
    Ok(command.status().context("cargo cannot be started")?.success())
}
