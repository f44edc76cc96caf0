//! `cargo xtask judge NAME`: programs of others say whether Station speaks as they do.
//!
//! A judge fetches what it needs from npm and PyPI, so it is no test: it runs when somebody asks, prints a table, and ends
//! non-zero where something did not hold. What only failed for want of a network is said as that.

mod clients;
mod conformance;
mod conformance_client;
mod house;
mod served;
mod servers;
mod suite;

use anyhow::{Result, bail};

/// Runs one judge. `Ok(false)` where something did not hold.
///
/// # Errors
/// A judge that there is not, and whatever keeps one from judging at all.
pub(crate) fn run(options: &[&str]) -> Result<bool> {
    match options {
        ["servers", names @ ..] => servers::run(names),
        ["clients"] => clients::run(),
        ["conformance"] => conformance::run(),
        ["conformance-client", options @ ..] => conformance_client::run(options),
        _ => bail!(
            "there are `judge servers [NAME…]`, `judge clients`, `judge conformance` and `judge conformance-client`"
        ),
    }
}
