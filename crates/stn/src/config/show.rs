//! The effective settings, each with where it comes from. A secret is shown as "set".

use super::Settings;
use super::models::KEYS;
use super::ports::{API_HOST, API_PORT};
use crate::log;
use serde::Serialize;
use station_core::ModelMax;
use station_core::file::config::{Files, LogFormat, RateLimits, duration_shown};
use station_engine::{Config, Location, Serve};
use std::time::Duration;

/// One setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// `None` where nothing says it and there is no default.
    pub(crate) value: Option<String>,
    /// The flag, the variable, `config.yaml` or `default`.
    pub(crate) from: Option<String>,
}

/// All of them, in the order of the manual.
pub(crate) fn settings(settings: &Settings) -> Vec<Setting> {
    let mut rows = places(settings);
    rows.extend(models(settings));
    rows.extend(limits(settings));
    rows
}

pub(super) fn row(name: &str, value: impl Into<String>, from: impl Into<String>) -> Setting {
    Setting { name: name.to_owned(), value: Some(value.into()), from: Some(from.into()) }
}

pub(super) fn unset(name: &str) -> Setting {
    Setting { name: name.to_owned(), value: None, from: None }
}

fn places(settings: &Settings) -> Vec<Setting> {
    let config = &settings.config;
    let mut rows =
        vec![row("config folder", settings.folder.display().to_string(), settings.folder_from.as_str())];
    let exists = if settings.file.exists() { "" } else { " (does not exist)" };
    rows.push(row(
        "config file",
        format!("{}{exists}", settings.file.display()),
        settings.folder_from.as_str(),
    ));
    rows.push(match settings.location() {
        Ok((Location::Sqlite(path), from)) => row("database", path.display().to_string(), from.as_str()),
        Ok((Location::Postgres(url), from)) => row("database", without_password(url.expose()), from.as_str()),
        Err(error) => row("database", error.sentence(), "config.yaml"),
    });
    let root_from = if config.workspace.is_some() { "config.yaml" } else { "default" };
    rows.push(row("workspace", settings.root().display().to_string(), root_from));
    rows.push(match &config.workspace_id {
        Some(id) => row("workspace_id", id, "config.yaml"),
        None => unset("workspace_id"),
    });
    let (files, from) = match config.files {
        Files::ReadWrite => ("readwrite", "default"),
        Files::ReadOnly => ("readonly", "config.yaml"),
    };
    rows.push(row("files", files, from));
    rows.push(match settings.keys().find() {
        Ok(Some((key, place))) => row("encryption key", format!("set, id {}", key.id()), place.to_string()),
        Ok(None) => unset("encryption key"),
        Err(error) => row("encryption key", error.sentence(), "the place it names"),
    });
    rows
}

fn models(settings: &Settings) -> Vec<Setting> {
    let (config, environment) = (&settings.config, &settings.environment);
    let ignored = settings.file_is_of_another_provider();
    let pick =
        |name: &str, variable: &str, written: Option<&String>| match (environment.get(variable), written) {
            (Some(value), _) => row(name, value, variable),
            (None, Some(_)) if ignored && name != "ai_provider" => {
                row(name, "left out: it belongs to the provider of config.yaml", "config.yaml")
            }
            (None, Some(value)) => row(name, value, "config.yaml"),
            (None, None) => unset(name),
        };
    let mut rows = vec![
        pick("ai_provider", "STN_AI_PROVIDER", config.ai_provider.as_ref()),
        pick("ai_model", "STN_AI_MODEL", config.ai_model.as_ref()),
        pick("ai_base_url", "STN_AI_BASE_URL", config.ai_base_url.as_ref()),
    ];
    let written_key = config.ai_api_key.as_ref().map(|written| match settings.expanded(written) {
        Ok(_) => "set".to_owned(),
        Err(missing) => format!("not set: it asks for {}", missing.join(", ")),
    });
    let shown_key = environment.get("STN_AI_API_KEY").map(|_| row("ai_api_key", "set", "STN_AI_API_KEY"));
    rows.push(shown_key.unwrap_or_else(|| pick("ai_api_key", "", written_key.as_ref())));
    for name in KEYS {
        rows.push(if environment.get(name).is_some() {
            row(name, "set", "environment")
        } else {
            unset(name)
        });
    }
    rows.push(
        environment
            .get("OLLAMA_HOST")
            .map_or_else(|| unset("OLLAMA_HOST"), |host| row("OLLAMA_HOST", host, "environment")),
    );
    rows.extend(
        config.models.iter().map(|(name, model)| row(&format!("models.{name}"), model, "config.yaml")),
    );
    rows
}

fn limits(settings: &Settings) -> Vec<Setting> {
    let config = &settings.config;
    let number = |name: &str, written: Option<u32>, default: usize| match written {
        Some(n) => row(name, n.to_string(), "config.yaml"),
        None => row(name, default.to_string(), "default"),
    };
    let bytes = |name: &str, written: Option<u64>, default: u64| match written {
        Some(n) => row(name, n.to_string(), "config.yaml"),
        None => row(name, default.to_string(), "default"),
    };
    let names = |name: &str, written: &[String]| match written {
        [] => unset(name),
        names => row(name, names.join(", "), "config.yaml"),
    };
    let told = |name: &str, value: String| {
        if value.is_empty() { unset(name) } else { row(name, value, "config.yaml") }
    };
    let at_once = &config.execution.concurrency;
    let limit = |name: &str, written: Option<u32>| {
        written.map_or_else(|| unset(name), |n| row(name, n.to_string(), "config.yaml"))
    };
    let drain_ms = config.execution.drain_s.map(|s| s.saturating_mul(1_000));
    let mut rows = vec![
        span("execution.timeout", config.execution.timeout_ms, Config::RUN_TIMEOUT),
        number("execution.workers", config.execution.workers, Serve::WORKERS as usize),
        number("execution.queue", config.execution.queue, Config::QUEUE_MAX as usize),
        limit("execution.environment_max", at_once.environment_max),
        limit("execution.agent_max", at_once.agent_max),
        row_of_models(&at_once.model_max),
        span("execution.drain_s", drain_ms, Serve::DRAIN_FOR),
        number("pool.processes_max", config.pool.processes_max, Config::PROCESSES_MAX),
        span("pool.idle_close", config.pool.idle_close_ms, Config::IDLE_CLOSE),
        bytes("context.result_bytes_max", config.context.result_bytes_max, Config::RESULT_BYTES_MAX),
        span("discovery.ttl", config.discovery.ttl_ms, Config::DISCOVERY_TTL),
        span("discovery.timeout", config.discovery.timeout_ms, Config::CONNECT_TIMEOUT),
        span("approvals.timeout", config.approvals.timeout_ms, Config::APPROVAL_TIMEOUT),
        told("limits.run", config.limits.run.shown()),
        told("limits.day", config.limits.day.shown()),
        told("runs.keep_days", config.runs.keep_days.map(|days| days.to_string()).unwrap_or_default()),
        told("rate_limits", rates(&config.rate_limits)),
        names("child_env", &config.child_env),
        names("env_passthrough", &config.env_passthrough),
    ];
    let windows = config.context.windows.iter();
    rows.extend(
        windows.map(|(name, n)| row(&format!("context.windows.{name}"), n.to_string(), "config.yaml")),
    );
    rows.extend(ports(settings));
    rows.extend(super::http::rows(settings));
    rows.extend(super::oauth::rows(settings));
    rows.extend(super::tls::rows(settings));
    rows.push(match log::said(settings) {
        Some((level, place)) => row("log level", level, place),
        None => row("log level", "off", "default"),
    });
    rows.push(match (settings.environment.get("STN_LOG_FORMAT"), config.log_format) {
        (Some(format), _) => row("log format", format, "STN_LOG_FORMAT"),
        (None, Some(LogFormat::Json)) => row("log format", "json", "config.yaml"),
        (None, Some(LogFormat::Text)) => row("log format", "text", "config.yaml"),
        (None, None) => row("log format", "text", "default"),
    });
    rows
}

/// A duration, as `stn settings set` takes it.
pub(super) fn span(name: &str, written: Option<u64>, default: Duration) -> Setting {
    let of_default = || u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
    let from = if written.is_some() { "config.yaml" } else { "default" };
    row(name, duration_shown(written.unwrap_or_else(of_default)), from)
}

fn ports(settings: &Settings) -> [Setting; 3] {
    let config = &settings.config;
    let port = |port: Option<u16>| port.map(|port| port.to_string());
    let place = |name: &str, variable: &str, written: Option<String>, default: Option<String>| match (
        settings.environment.get(variable),
        written,
        default,
    ) {
        (Some(value), ..) => row(name, value, variable),
        (None, Some(value), _) => row(name, value, "config.yaml"),
        (None, None, Some(value)) => row(name, value, "default"),
        (None, None, None) => unset(name),
    };
    [
        place("api_host", "STN_API_HOST", config.api_host.clone(), Some(API_HOST.to_string())),
        place("api_port", "STN_API_PORT", port(config.api_port), port(Some(API_PORT))),
        place("mcp_port", "STN_MCP_PORT", port(config.mcp_port), None),
    ]
}

fn row_of_models(limits: &ModelMax) -> Setting {
    const NAME: &str = "execution.model_max";
    let named = limits.named.iter().map(|(model, n)| format!("{model}: {n}")).collect::<Vec<_>>().join(", ");
    match limits.each {
        Some(n) => row(NAME, n.to_string(), "config.yaml"),
        None if named.is_empty() => unset(NAME),
        None => row(NAME, named, "config.yaml"),
    }
}

fn rates(limits: &RateLimits) -> String {
    let providers = limits.providers.iter().map(|(provider, rate)| {
        let parts = [(rate.requests_per_min, "requests"), (rate.tokens_per_min, "tokens")];
        let parts = parts.into_iter().filter_map(|(n, what)| Some(format!("{} {what}", n?)));
        format!("{provider}: {} a minute", parts.collect::<Vec<_>>().join(", "))
    });
    let servers = limits.servers.iter().map(|(server, n)| format!("{server}: {n} calls a minute"));
    providers.chain(servers).collect::<Vec<_>>().join("; ")
}

/// A URL as it may be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "set".to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    // Parameters may hold a password too.
    let database = path.split('?').next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}/{database}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://ann:secret@db:5432/st", "postgres://db:5432/st"),
            ("postgres://db/st?password=secret", "postgres://db/st"),
            ("postgres://ann:p@ss@db", "postgres://db/"),
            ("postgres:secret", "set"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        use crate::config::{Environment, Settings};
        use station_core::file::config::{duration_ms, keys};
        let of_home = Environment::of(&[("HOME", "/home/ann")]);
        let rows = settings(&Settings::at(None, of_home).expect("there is a home"));
        let mut n_compared = 0;
        for row in rows.iter().filter(|row| row.from.as_deref() == Some("default")) {
            let Some(key) = keys::KEYS.iter().find(|key| key.name == row.name) else { continue };
            let value = row.value.clone().unwrap_or_default();
            match key.shape {
                keys::Shape::Number => assert_eq!(value, key.default, "{}", key.name),
                keys::Shape::Duration => {
                    assert_eq!(duration_ms(&value), duration_ms(key.default), "{}", key.name);
                }
                _ => continue,
            }
            n_compared += 1;
        }
        assert!(n_compared >= 7, "{n_compared}");
    }
}
