//! What this machine has.

use super::Check;
use crate::config::Environment;
use station_core::sandbox::{Confinement, Sandbox};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The programs that most published servers are started with.
pub(super) fn programs(environment: &Environment) -> Vec<Check> {
    let path = environment.get("PATH").unwrap_or_default();
    let found = |names: &[&str]| names.iter().find_map(|name| Some((name.to_string(), find(path, name)?)));
    let mut checks = Vec::new();
    for (name, programs, what) in [
        ("Node", &["npx", "node"][..], "servers that are started with `npx`"),
        ("Python", &["uvx", "python3"][..], "servers that are started with `uvx` or `python3`"),
    ] {
        checks.push(match found(programs) {
            Some((program, at)) => Check::ok(name, format!("{program} is {}", at.display())),
            None => Check::note(
                name,
                format!("neither {} is in PATH: {what} do not start", programs.join(" nor ")),
                "install it if you use such servers",
            ),
        });
    }
    checks
}

fn find(path: &str, program: &str) -> Option<PathBuf> {
    let is_program = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(program))
        .find(|path| is_program(path))
}

/// Whether the kernel can keep a tool server from Station's own files, as is the default.
pub(super) fn sandbox() -> Check {
    const NAME: &str = "sandbox";
    let kernel = station_mcp::sandbox::kernel();
    match station_core::sandbox::confinement(&Sandbox::default(), kernel) {
        Ok(Confinement::Kept(lacks)) if lacks.is_empty() => {
            let ports = if kernel.ports { "" } else { "; a list of ports in `sandbox.network` is not kept" };
            Check::ok(
                NAME,
                format!("tool servers are kept from Station's own files (Landlock, seccomp){ports}"),
            )
        }
        Ok(kept) => Check::note(
            NAME,
            format!("tool servers are {}", kept.words(&Sandbox::default())),
            "`station.sandbox: required` in a server's file starts it only where it can be kept",
        ),
        Err(why) => Check::note(NAME, why, "see docs/servers.md"),
    }
}
