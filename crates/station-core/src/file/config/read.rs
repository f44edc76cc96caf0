//! The keys of `config.yaml`.

use super::http::Http;
use super::keys;
use super::oauth::Oauth;
use super::prices::{self, RateLimits};
use super::tls::{self, Tls};
use crate::budget::{Limits, Prices};
use crate::file::sheet::Sheet;
use crate::file::tree::{Member, Node};
use crate::file::{Problem, concurrency, yaml};
use crate::{Concurrency, Secret};
use std::collections::BTreeMap;

/// What `config.yaml` says. `None` and empty lists where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The model provider.
    pub ai_provider: Option<String>,
    /// The model where an agent names none.
    pub ai_model: Option<String>,
    /// The provider's key, `${NAME}` not expanded yet: see `expand`.
    pub ai_api_key: Option<Secret>,
    /// The provider's base URL.
    pub ai_base_url: Option<String>,
    /// A path or `postgres://`; may hold a password.
    pub database_url: Option<Secret>,
    /// The folder that holds `environments/`.
    pub workspace: Option<String>,
    /// Whose rows sync may remove.
    pub workspace_id: Option<String>,
    /// Whether commands may write into the workspace.
    pub files: Files,
    /// The address that HTTP is served on.
    pub api_host: Option<String>,
    /// The port of the HTTP API.
    pub api_port: Option<u16>,
    /// The port of MCP over HTTP.
    pub mcp_port: Option<u16>,
    /// The store's key, 64 hex digits.
    pub encryption_key: Option<Secret>,
    /// Whether to log more.
    pub debug: Option<bool>,
    /// Levels of the log.
    pub log_level: Option<String>,
    /// What its lines are.
    pub log_format: Option<LogFormat>,
    /// Where traces go.
    pub otel_endpoint: Option<String>,
    /// Whether they have what was said in them.
    pub otel_content: Option<bool>,
    /// Names of models as agents write them, to the models that are meant.
    pub models: BTreeMap<String, String>,
    /// Variables of the process environment that templates may ask for.
    pub env_passthrough: Vec<String>,
    /// Variables of the process environment that every child gets.
    pub child_env: Vec<String>,
    /// Running agents.
    pub execution: Execution,
    /// Connections to servers.
    pub pool: Pool,
    /// The catalog of tools.
    pub discovery: Discovery,
    /// The key `approvals`.
    pub approvals: Approvals,
    /// Finished runs.
    pub runs: Runs,
    /// TLS of HTTP.
    pub tls: Tls,
    /// Origins of other sites whose pages may ask.
    pub cors_origins: Vec<String>,
    /// Requests over HTTP.
    pub http: Http,
    /// Access tokens over HTTP.
    pub oauth: Oauth,
    /// What models are sent.
    pub context: Context,
    /// What runs may spend.
    pub limits: Limits,
    /// What models cost.
    pub prices: Prices,
    /// How often providers and tool servers may be asked.
    pub rate_limits: RateLimits,
    /// Keys that are kept and mean nothing to Station, in file order.
    pub unknown: Vec<String>,
}

/// What the lines of the log are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}

impl LogFormat {
    /// By its word, in whatever case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Whether commands may write into the workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Files {
    /// They may.
    #[default]
    ReadWrite,
    /// What they make goes to the store alone.
    ReadOnly,
}

/// The key `execution`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// Runs at a time.
    pub workers: Option<u32>,
    /// Runs that may wait.
    pub queue: Option<u32>,
    /// Longest run.
    pub timeout_ms: Option<u64>,
    /// How long a stop waits for what runs.
    pub drain_s: Option<u64>,
    /// Runs at a time of one environment, of one agent, with one model.
    pub concurrency: Concurrency,
}

/// The key `pool`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Child processes at a time.
    pub processes_max: Option<u32>,
    /// How long an idle connection stays open.
    pub idle_close_ms: Option<u64>,
}

/// The key `discovery`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// How long a server's list of tools is believed.
    pub ttl_ms: Option<u64>,
    /// How long a server may take to start and to list what it offers, where its own file does not say.
    pub timeout_ms: Option<u64>,
}

/// The key `approvals`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    /// How long a call waits for a person before it is answered as timed out; 0: for ever.
    pub timeout_ms: Option<u64>,
}

/// The key `runs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// How long finished runs are kept.
    pub keep_days: Option<u32>,
}

/// The key `context`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Bytes of one result that stand in the conversation.
    pub result_bytes_max: Option<u64>,
    /// Names of models, also as globs, to the tokens that they read at most.
    pub windows: BTreeMap<String, u64>,
}

/// Fewer tokens than this hold no prompt, task and answer.
const WINDOW_TOKENS_MIN: u64 = 500;

/// Reads `config.yaml`. An empty file is fine.
#[must_use]
pub fn read(text: &str, path: &str) -> (Option<Config>, Vec<Problem>) {
    let mut sheet = Sheet::new(text, path);
    let mut config = Config::default();
    match yaml::parse(sheet.text) {
        Err(fault) => sheet.fault(fault),
        Ok(None) => {}
        Ok(Some(root)) if root.is_null() => {}
        Ok(Some(root)) => {
            for member in sheet.members(&root, "the file") {
                config.take(&mut sheet, member);
            }
        }
    }
    sheet.finish(config)
}

impl Config {
    fn take(&mut self, sheet: &mut Sheet<'_>, member: &Member) {
        let (key, node) = (member.key.as_str(), &member.node);
        if !keys::is_known(key) {
            keys::say_slip(sheet, member.at, key);
            self.unknown.push(key.to_owned());
            return;
        }
        // `key:` with nothing behind it says nothing, whatever the key is.
        if node.is_null() || self.take_text(sheet, key, node) || self.take_section(sheet, key, node) {
            return;
        }
        match key {
            "files" => self.files = files(sheet, node),
            "api_port" => self.api_port = sheet.number(node, key, 1),
            "mcp_port" => self.mcp_port = sheet.number(node, key, 1),
            "encryption_key" => self.encryption_key = encryption_key(sheet, node),
            "debug" => self.debug = flag(sheet, node, key),
            "otel_content" => self.otel_content = flag(sheet, node, key),
            "log_format" => {
                self.log_format = sheet.value(node, key, "`text` or `json`", LogFormat::parse);
            }
            "models" => self.models = sheet.map_of_texts(node, key).into_iter().collect(),
            "env_passthrough" => self.env_passthrough = sheet.texts(node, key),
            "child_env" => self.child_env = sheet.texts(node, key),
            "limits" => self.limits = sheet.limits(node, key),
            "prices" => self.prices = prices::prices(sheet, node),
            "rate_limits" => self.rate_limits = prices::rate_limits(sheet, node),
            _ => self.unknown.push(key.to_owned()),
        }
    }

    fn take_text(&mut self, sheet: &mut Sheet<'_>, key: &str, node: &Node) -> bool {
        let place = match key {
            "ai_provider" => &mut self.ai_provider,
            "ai_model" => &mut self.ai_model,
            "ai_base_url" => &mut self.ai_base_url,
            "workspace" => &mut self.workspace,
            "workspace_id" => &mut self.workspace_id,
            "otel_endpoint" => &mut self.otel_endpoint,
            "log_level" => &mut self.log_level,
            "api_host" => &mut self.api_host,
            "ai_api_key" => {
                self.ai_api_key = not_empty(sheet.text(node, key)).map(Secret::new);
                return true;
            }
            "database_url" => {
                self.database_url = not_empty(sheet.text(node, key)).map(Secret::new);
                return true;
            }
            _ => return false,
        };
        *place = not_empty(sheet.text(node, key));
        true
    }

    fn take_section(&mut self, sheet: &mut Sheet<'_>, section: &str, node: &Node) -> bool {
        const SECTIONS: [&str; 10] = [
            "execution",
            "pool",
            "discovery",
            "approvals",
            "runs",
            "context",
            "http",
            "oauth",
            "tls",
            "cors",
        ];
        if !SECTIONS.contains(&section) {
            return false;
        }
        for member in sheet.members(node, section) {
            let what = format!("{section}.{}", member.key);
            let node = &member.node;
            if !keys::is_known(&what) {
                keys::say_slip(sheet, member.at, &what);
                self.unknown.push(what);
                continue;
            }
            if node.is_null() {
                continue;
            }
            match what.as_str() {
                "execution.workers" => self.execution.workers = sheet.number(node, &what, 1),
                "execution.queue" => self.execution.queue = sheet.number(node, &what, 0),
                "execution.timeout" => self.execution.timeout_ms = limit(sheet, node, &what),
                "execution.drain_s" => {
                    self.execution.drain_s = duration(sheet, node, &what).map(|ms| ms.div_ceil(1000));
                }
                "pool.processes_max" => self.pool.processes_max = sheet.number(node, &what, 1),
                "pool.idle_close" => self.pool.idle_close_ms = duration(sheet, node, &what),
                "discovery.ttl" => self.discovery.ttl_ms = duration(sheet, node, &what),
                "discovery.timeout" => self.discovery.timeout_ms = limit(sheet, node, &what),
                "approvals.timeout" => self.approvals.timeout_ms = duration(sheet, node, &what),
                "context.windows" => self.context.windows = windows(sheet, node),
                "context.result_bytes_max" => self.context.result_bytes_max = sheet.number(node, &what, 1),
                "runs.keep_days" => self.runs.keep_days = sheet.number(node, &what, 1),
                "cors.origins" => self.cors_origins = tls::origins(sheet, node, &what),
                _ if self.http.take(sheet, &what, node) || self.tls.take(sheet, &what, node) => {}
                _ if self.oauth.take(sheet, &what, node) => {}
                _ if concurrency::take(&mut self.execution.concurrency, sheet, &what, node) => {}
                _ => self.unknown.push(what),
            }
        }
        true
    }
}

/// A duration in which something must be possible.
pub(super) fn limit(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Option<u64> {
    let timeout_ms = duration(sheet, node, what);
    if timeout_ms == Some(0) {
        sheet.error(node.at, format!("`{what}` must be longer than nothing"));
    }
    timeout_ms
}

/// The Go program writes `key: ""` for what is not set.
pub(super) fn not_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn files(sheet: &mut Sheet<'_>, node: &Node) -> Files {
    sheet
        .value(node, "files", "`readwrite` or `readonly`", |word| match word {
            "readwrite" => Some(Files::ReadWrite),
            "readonly" => Some(Files::ReadOnly),
            _ => None,
        })
        .unwrap_or_default()
}

fn encryption_key(sheet: &mut Sheet<'_>, node: &Node) -> Option<Secret> {
    sheet
        .value(node, "encryption_key", "64 hexadecimal digits", |text| {
            let fits = text.is_empty() || (text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()));
            fits.then(|| text.to_owned())
        })
        .and_then(|text| not_empty(Some(text)))
        .map(Secret::new)
}

fn windows(sheet: &mut Sheet<'_>, node: &Node) -> BTreeMap<String, u64> {
    let members = sheet.members(node, "context.windows");
    let read = |member: &Member| {
        let what = format!("context.windows.{}", member.key);
        Some((member.key.clone(), sheet.number(&member.node, &what, WINDOW_TOKENS_MIN)?))
    };
    members.iter().filter_map(read).collect()
}

fn duration(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Option<u64> {
    sheet.value(node, what, "a duration like `30s`, `10m` or `1h30m`, or a number of seconds", duration_ms)
}

/// Milliseconds of `10m`, `30s`, `1h30m`, `500ms`, `2d`; a plain number is seconds.
///
/// `None` where it is none of these, or beyond what 64 bits hold.
#[must_use]
pub fn duration_ms(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1000);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// A duration as people write it, and as [`duration_ms`] reads it: `10m`, `1h30m`.
#[must_use]
pub fn duration_shown(ms: u64) -> String {
    let units = [("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000), ("ms", 1)];
    let mut rest = ms;
    let mut shown = String::new();
    for (unit, unit_ms) in units {
        let (n, left) = (rest / unit_ms, rest % unit_ms);
        // 24 hours are what people say of one day, and no other number of them.
        if n > 0 && !(unit == "d" && ms == unit_ms) {
            shown += &format!("{n}{unit}");
            rest = left;
        }
    }
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

fn flag(sheet: &mut Sheet<'_>, node: &Node, key: &str) -> Option<bool> {
    sheet.value(node, key, "`true` or `false`", |word| word.to_ascii_lowercase().parse().ok())
}

/// Puts `lookup`'s values in place of `${NAME}`. Any other `$` stays as it is.
///
/// # Errors
/// The names that `lookup` does not know, in order and once each.
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Vec<String>> {
    let (mut expanded, mut missing, mut rest) = (String::new(), Vec::<String>::new(), text);
    while let Some(start) = rest.find("${") {
        let (before, tail) = rest.split_at(start);
        expanded.push_str(before);
        let name = tail[2..].split('}').next().unwrap_or_default();
        let closed = tail[2..].len() > name.len();
        if !closed || name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            expanded.push_str("${");
            rest = &tail[2..];
            continue;
        }
        match lookup(name) {
            Some(value) => expanded.push_str(&value),
            None if missing.iter().any(|known| known == name) => {}
            None => missing.push(name.to_owned()),
        }
        rest = &tail[2 + name.len() + 1..];
    }
    expanded.push_str(rest);
    if missing.is_empty() { Ok(expanded) } else { Err(missing) }
}
