//! What README's figures come from: what the benches share.
//!
//! One program per figure in `src/bin`, each one command: `cargo run --release -p station-benches --bin <name>`. Each
//! prints what it measured, under which conditions, beside what it is compared with in the same run: a floor below
//! which nothing can go (a disk flush, an empty process, the tools' own time), the aim, and what the Go program took
//! where that was measured. Nothing here judges, but for `soak` and `kill`: a missed aim is printed and is no failure, because a busy
//! machine is not a mistake of the code. What this is not: a test; those are in the crates.

pub mod conditions;
pub mod direct;
pub mod floor;
pub mod home;
pub mod post;
pub mod process;
pub mod programs;
pub mod report;
pub mod rows;
pub mod samples;
