//! `cargo xtask`: the checks that a reviewer would otherwise repeat.
//!
//! `docs` generates what is committed, `dist` what is published. `simulate` tries crashes by the thousand, `fuzz` any bytes as files, `judge` programs of
//! others, `soak` half an hour of load. `tidy` reads the repository and refuses what the house does not want. It is a program of its own, and not a
//! test of some crate, because it looks at all of them and depends on none.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool: its output is its purpose"
)]

mod dist;
mod docs;
mod fuzz;
mod judge;
mod programs;
mod sbom;
mod simulate;
mod soak;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => tidy::run(),
        ["docs"] => docs::run(docs::Mode::Write),
        ["dist"] => dist::run(),
        ["simulate", options @ ..] => simulate::run(options),
        ["fuzz", options @ ..] => fuzz::run(options),
        ["judge", options @ ..] => judge::run(options),
        ["soak", options @ ..] => soak::run(options),
        ["docs", "--check"] => docs::run(docs::Mode::Check),
        _ => {
            eprintln!(
                "usage: cargo xtask tidy | docs [--check] | dist | simulate [--crashes N] [--seed N] [--from N] | fuzz [files|frames] [--seconds N] | judge servers [NAME…] | judge clients | judge api [--examples N] [--seed N] | judge metrics | judge conformance | judge conformance-client [--scenario NAME] | soak [--minutes N] [--program PATH]"
            );
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
