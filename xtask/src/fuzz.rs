//! `cargo xtask fuzz`: libFuzzer over the formats people write, or what comes over the wire, on the stable compiler.
//!
//! `cargo fuzz` wants a nightly compiler for its sanitizer. What finds panics in safe Rust is the coverage alone, and the
//! pass that counts it is in the stable one. Not part of CI: how much is tried depends on the time it is given.

use crate::programs::{cargo, host};
use anyhow::{Context as _, Result, bail};
use std::fs;

/// What is tried where nobody says more.
const SECONDS: u64 = 60;

/// The compiler's pass that counts which edges were taken, in the form that libFuzzer reads.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1";

/// What is fuzzed: any bytes as files, or as frames of the protocol.
const TARGETS: [&str; 2] = ["files", "frames"];

/// Builds and runs a target, `files` where none is named. `Ok(false)` where an input panicked; libFuzzer has kept and printed it.
///
/// # Errors
/// Options that are none, a cargo that cannot be started.
pub(crate) fn run(options: &[&str]) -> Result<bool> {
    let (target, options) = match options {
        [target, rest @ ..] if TARGETS.contains(target) => (*target, rest),
        options => (TARGETS[0], options),
    };
    let seconds = match options {
        [] => SECONDS,
        ["--seconds", n] => n.parse().with_context(|| format!("`--seconds` wants a number, not `{n}`"))?,
        _ => bail!("there are the targets {}, and --seconds N", TARGETS.join(" and ")),
    };
    let corpus = format!("fuzz/corpus/{target}");
    fs::create_dir_all(&corpus).with_context(|| format!("{corpus} cannot be made"))?;
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--bin", target]);
    // With a target of its own, the flags do not reach build scripts and macros, which have no use for them.
    command.args(["--target", host()?.as_str(), "--", corpus.as_str(), "fuzz/seeds"]);
    command.args([format!("-max_total_time={seconds}"), "-timeout=10".to_owned()]);
    command.args(["-artifact_prefix=fuzz/", "-print_final_stats=1"]);
    command.env("RUSTFLAGS", COVERAGE);
    Ok(command.status().context("cargo cannot be started")?.success())
}
