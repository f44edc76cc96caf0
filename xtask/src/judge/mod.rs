//! `cargo xtask judge NAME`: programs of others say whether Station speaks as they do.
//!
//! Most fetch what they need from npm, PyPI or Debian, so they are no tests: they run when somebody asks, print a table, and end
//! non-zero where something did not hold. What only failed for want of a network is said as that. `conformance --quick` needs
//! nothing that `scripts/setup test` has not installed, and is part of CI.

mod api;
mod clients;
mod conformance;
mod conformance_client;
mod house;
mod metrics;
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
        ["api", options @ ..] => api::run(options),
        ["metrics"] => metrics::run(),
        ["conformance"] => conformance::run(conformance::Extent::Whole),
        ["conformance", "--quick"] => conformance::run(conformance::Extent::Quick),
        ["conformance-client", options @ ..] => conformance_client::run(options),
        _ => bail!(
            "there are `judge servers [NAME…]`, `judge clients`, `judge api [--examples N] [--seed N]`, `judge metrics`, `judge conformance [--quick]` and `judge conformance-client`"
        ),
    }
}
