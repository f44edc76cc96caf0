//! Whole runs of the offline model.
#![expect(clippy::needless_pass_by_value, reason = "`Expect` is written in place")]

mod demo;
mod schema;
mod world;
