//! What is generated and committed: the manual of the command line.
//!
//! The text comes from the program itself (`stn __reference`, made from the doc comments that `--help` shows), so this
//! needs no library of stn's. `cargo xtask docs` writes it, `cargo xtask docs --check` compares.

use anyhow::{Context as _, Result, ensure};
use std::process::Command;

/// The generated file, relative to the root.
const CLI: &str = "docs/reference/cli.md";

/// Whether the file is written or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Generates the manual. False if it differs and was only to be compared.
pub(crate) fn run(mode: Mode) -> Result<bool> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let path = format!("{root}/{CLI}");
    let text = generated(root)?;
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written == text {
        println!("docs: {CLI} is up to date");
        return Ok(true);
    }
    if mode == Mode::Check {
        let line = 1 + text.lines().zip(written.lines()).take_while(|(new, old)| new == old).count();
        eprintln!("{CLI}:{line}: differs from what `stn` says: run `cargo xtask docs`");
        return Ok(false);
    }
    std::fs::create_dir_all(format!("{root}/docs/reference"))?;
    std::fs::write(&path, text).with_context(|| format!("writing {CLI}"))?;
    println!("docs: wrote {CLI}");
    Ok(true)
}

fn generated(root: &str) -> Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--package", "stn", "--", "__reference"])
        .current_dir(root)
        .output()
        .context("cannot run `stn`")?;
    ensure!(output.status.success(), "stn __reference: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}
