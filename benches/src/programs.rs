//! The real programs that are measured, up to date: the terminal program as it is published, what serves it in this build's profile.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What cargo says of the benches to a bench. Handed on, it has the crate `ring` and all that is above it built anew: its build
/// script asks to be run again where one of them is another.
const OWN: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// The profile of this build.
const OURS: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

static STN: OnceLock<PathBuf> = OnceLock::new();

/// Measures the terminal program at `path`, and not the one of this build.
///
/// # Panics
/// Where one was measured already.
pub fn take_stn(path: PathBuf) {
    STN.set(path).expect("it is chosen before anything is measured");
}

/// The terminal program, as `cargo xtask dist` builds it: people have no other.
#[must_use]
pub fn stn() -> PathBuf {
    let build = || match OURS {
        "dev" => built("stn", "stn", OURS, &[]),
        _ => built("stn", "stn", "dist", &["--features", "vendored"]),
    };
    STN.get_or_init(build).clone()
}

/// The fake MCP server: native, small, and without anything of ours.
#[must_use]
pub fn fake_server() -> PathBuf {
    static FAKE: OnceLock<PathBuf> = OnceLock::new();
    FAKE.get_or_init(|| built("station-testkit", "fake-mcp-server", OURS, &[])).clone()
}

/// The shim alone.
#[must_use]
pub fn shim() -> station_mcp::Shim {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    let program = SHIM.get_or_init(|| built("station-testkit", "station-shim", OURS, &[])).clone();
    station_mcp::Shim { program, args: vec![station_mcp::shim::ARGUMENT.to_owned()] }
}

/// Builds `program` in `profile`, which costs nothing where it is up to date, and gives its path.
///
/// # Panics
/// Where it cannot be built: a figure of an old program is worse than none.
fn built(package: &str, program: &str, profile: &str, features: &[&str]) -> PathBuf {
    let ours = std::env::current_exe().expect("a running program has a path");
    let folder = ours.parent().expect("a program lies in a folder");
    let target = folder.parent().expect("a profile's folder lies in the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    for name in OWN {
        cargo.env_remove(name);
    }
    let status = cargo
        .args(["build", "--quiet", "--profile", profile, "--package", package, "--bin", program])
        .args(features)
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()
        .expect("cargo, which built this bench, can be run");
    assert!(status.success(), "`{program}` could not be built");
    // The folder of `dev` is called otherwise (doc.rust-lang.org/cargo, "build cache").
    target.join(if profile == "dev" { "debug" } else { profile }).join(program)
}
