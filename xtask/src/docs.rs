//! What is generated and committed: the manual of the command line, the keys of config.yaml, and the
//! OpenAPI document of the HTTP API.
//!
//! The texts come from the program itself (`stn __reference`, made from the doc comments that `--help` shows and from the
//! table that the reader uses), so this needs no library of stn's. `cargo xtask docs` writes it, `cargo xtask docs --check` compares.

use crate::programs;
use anyhow::{Context as _, Result};
use std::path::Path;
use std::process::Command;

/// The generated files, relative to the root, and what `stn __reference` calls them.
const FILES: [(&str, &str); 3] = [
    ("docs/reference/cli.md", "cli"),
    ("docs/reference/config.md", "config"),
    ("docs/reference/openapi.json", "openapi"),
];

/// Whether the file is written or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Generates the references. False if one differs and was only to be compared.
pub(crate) fn run(mode: Mode) -> Result<bool> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let program = programs::build(&programs::target()?)?.join("stn");
    let mut same = true;
    for (file, of) in FILES {
        same &= one((root, &program), (file, of), mode)?;
    }
    Ok(same)
}

fn one((root, program): (&str, &Path), (file, of): (&str, &str), mode: Mode) -> Result<bool> {
    let path = format!("{root}/{file}");
    let text = programs::answer(Command::new(program).args(["__reference", of]))?;
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written == text {
        println!("docs: {file} is up to date");
        return Ok(true);
    }
    if mode == Mode::Check {
        let line = 1 + text.lines().zip(written.lines()).take_while(|(new, old)| new == old).count();
        eprintln!("{file}:{line}: differs from what `stn` says: run `cargo xtask docs`");
        return Ok(false);
    }
    std::fs::create_dir_all(format!("{root}/docs/reference"))?;
    std::fs::write(&path, text).with_context(|| format!("writing {file}"))?;
    println!("docs: wrote {file}");
    Ok(true)
}
