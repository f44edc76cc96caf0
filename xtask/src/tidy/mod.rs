//! What `cargo xtask tidy` refuses, each with file, line and the reason.
//!
//! A rule said twice in review becomes a check here. Every check is a function from the [`tree::Tree`] to findings;
//! it does no IO of its own, so that its unit test feeds it a violating text and sees it refused.
//! To add one: a row in [`words`] if a word is enough, else a function in a file named for what it looks at, and a
//! line in `run`. This is no parser: it reads Rust as lines of code, comments and literals, which is enough to
//! keep honest people from slipping, and no more.

mod edges;
mod gate;
mod leaks;
mod names;
mod papers;
mod run;
mod sizes;
mod source;
mod sql;
mod tree;
mod words;

pub(crate) use run::run;
