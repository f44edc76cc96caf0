//! The model provider, and what this machine has.

use super::Check;
use crate::config::{Environment, Settings};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Whether the configured provider can be asked at all. Nothing is asked.
pub(super) fn provider(settings: &Settings) -> Vec<Check> {
    const NAME: &str = "model";
    let models = settings.models();
    let Some(provider) = models.provider.as_deref().filter(|name| !name.is_empty()) else {
        let hint = "`stn settings set ai_provider openai`, or `offline` for the built-in one";
        return vec![Check::note(
            NAME,
            "no provider is configured: only agents that name theirs can run",
            hint,
        )];
    };
    let model = models.model.as_deref().map(|model| format!(", model `{model}`")).unwrap_or_default();
    let variables: &[&str] = match provider {
        "openai" => &["OPENAI_API_KEY"],
        "anthropic" => &["ANTHROPIC_API_KEY"],
        "gemini" => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        _ => &[],
    };
    let has_key = models.api_key.is_some() || variables.iter().any(|name| models.keys.contains_key(*name));
    if has_key || variables.is_empty() || models.base_url.is_some() {
        return vec![Check::ok(NAME, format!("provider `{provider}`{model}"))];
    }
    let hint = format!("set {}, or `stn settings set ai_api_key < FILE`", variables.join(" or "));
    vec![Check::bad(NAME, format!("provider `{provider}`{model} has no key"), hint)]
}

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

/// Whether the kernel could keep a tool server within folders (Landlock).
pub(super) fn sandbox() -> Check {
    const NAME: &str = "sandbox";
    if station_mcp::sandbox::is_available() {
        return Check::ok(
            NAME,
            "Landlock is there: the kernel can keep a tool server within folders (no key of this release uses it yet)",
        );
    }
    Check::note(
        NAME,
        "this kernel has no Landlock: a tool server can do what you can do",
        "Linux 5.13 or later has it, where it is switched on (`lsm=landlock,…`)",
    )
}
