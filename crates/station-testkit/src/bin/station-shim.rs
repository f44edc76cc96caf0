//! The shim as a program of its own, for tests of what is not `stn`.

use std::process::ExitCode;

fn main() -> ExitCode {
    station_mcp::shim::run_if_shim().unwrap_or(ExitCode::from(2))
}
