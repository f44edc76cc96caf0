//! The keys of config.yaml as one table: what the reader knows, what `stn settings set` may write, and what the
//! configuration reference says.
//!
//! **Invariant:** the reader takes no key that is not here, and each one here is taken (a test reads them all). To add a
//! key: a row, and an arm in `read`.

use super::fit;
use crate::file::edit::{Field, set_key, unset_key};
use crate::file::sheet::Sheet;
use crate::file::tree::{Node, Scalar, Value};
use crate::file::{Problem, Severity, yaml};
use crate::{Error, Result, near};

/// A key of config.yaml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// From the root on, with dots.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// What holds where it is not written; empty where nothing does.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
}

impl Key {
    /// Whether a worker that runs reads it again when it is told to (SIGHUP); every other one when it is started again.
    #[must_use]
    pub fn is_reread(&self) -> bool {
        matches!(self.name, "debug" | "log_level")
    }

    /// Whether what it says is shown to nobody.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.shape, Shape::Secret | Shape::Made(_))
    }
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// A text that is shown nowhere.
    Secret,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// `30s`, `10m`, or a number of seconds.
    Duration,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of names.
    Names,
    /// A map from names to values of one kind; the name may hold dots.
    Map(&'static str),
    /// A number, or a map from names to numbers.
    NumberOrMap,
    /// A map whose shape is told elsewhere; it is written by hand.
    Block,
    /// Written by another command.
    Made(&'static str),
}

impl Shape {
    /// What it takes, in words.
    #[must_use]
    pub fn shown(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Secret => "a text, never shown".to_owned(),
            Self::Number => "a whole number".to_owned(),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Duration => "a duration like `30s`, `10m` or `1h30m`, or a number of seconds".to_owned(),
            Self::Word(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
            }
            Self::Names => "a list of names".to_owned(),
            Self::Map(of) => format!("a map from names to {of}"),
            Self::NumberOrMap => "a whole number, or a map from names to whole numbers".to_owned(),
            Self::Block => "a map, written by hand".to_owned(),
            Self::Made(by) => format!("a text, written by `{by}`"),
        }
    }
}

const fn key(name: &'static str, shape: Shape, default: &'static str, about: &'static str) -> Key {
    Key { name, shape, default, about }
}

/// Every key, in the order of the reference.
pub const KEYS: &[Key] = &[
    key(
        "ai_provider",
        Shape::Text,
        "",
        "The model provider: `openai`, `openai-responses`, `anthropic`, `gemini`, `ollama`, `offline`, or any name beside `ai_base_url`.",
    ),
    key("ai_model", Shape::Text, "", "The model where an agent names none."),
    key(
        "ai_api_key",
        Shape::Secret,
        "",
        "The provider's key; `${NAME}` is replaced by that variable of the environment.",
    ),
    key(
        "ai_base_url",
        Shape::Text,
        "",
        "Where the provider is: an address that speaks as `ai_provider` does, and as OpenAI where that is another name.",
    ),
    key(
        "models",
        Shape::Map("models"),
        "",
        "Names of models as agents write them, to the models that are meant.",
    ),
    key(
        "database_url",
        Shape::Secret,
        "`station.db` in the configuration folder",
        "The database: a path, or `postgres://…`.",
    ),
    key("workspace", Shape::Text, "the configuration folder", "The folder that holds `environments/`."),
    key(
        "workspace_id",
        Shape::Made("stn sync"),
        "",
        "Whose rows a sync may remove. Made by the first sync; keep it with the files.",
    ),
    key(
        "files",
        Shape::Word(&["readwrite", "readonly"]),
        "`readwrite`",
        "Whether commands may write into the workspace. With `readonly` what they make lives in the store alone.",
    ),
    key(
        "encryption_key",
        Shape::Made("stn key set"),
        "",
        "The store's key, 64 hexadecimal digits; better kept in the key file.",
    ),
    key("debug", Shape::Flag, "`false`", "Whether to log more."),
    key(
        "log_level",
        Shape::Text,
        "`warn` where nobody waits for the command, else nothing",
        "How much is logged: `error`, `warn`, `info`, `debug` or `trace`, or levels by module, such as `info,station_mcp=debug`. `stn serve` reads it again at SIGHUP.",
    ),
    key(
        "log_format",
        Shape::Word(&["text", "json"]),
        "`text`",
        "Lines for people, or one JSON object on each.",
    ),
    key(
        "env_passthrough",
        Shape::Names,
        "",
        "Variables of a worker's environment that server files may ask for.",
    ),
    key("child_env", Shape::Names, "", "Variables of the environment that every tool server gets."),
    key("execution.workers", Shape::Number, "50", "Runs that a worker (`stn serve`) drives at a time."),
    key("execution.queue", Shape::Number, "1000", "Runs that may wait in the queue."),
    key(
        "execution.timeout",
        Shape::Duration,
        "10m",
        "Longest run, where neither its agent nor its caller says otherwise.",
    ),
    key(
        "execution.drain_s",
        Shape::Duration,
        "25s",
        "How long a worker that is told to stop waits for calls that are out.",
    ),
    key(
        "execution.environment_max",
        Shape::Number,
        "",
        "Runs of one environment at a time, whoever drives them.",
    ),
    key("execution.agent_max", Shape::Number, "", "Runs of one agent at a time, whoever drives them."),
    key(
        "execution.model_max",
        Shape::NumberOrMap,
        "",
        "Runs with one model at a time, whoever drives them; one number for each, or numbers by model.",
    ),
    key("pool.processes_max", Shape::Number, "128", "Connections to tool servers at a time."),
    key("pool.idle_close", Shape::Duration, "5m", "A connection that was not used for so long is closed."),
    key("discovery.ttl", Shape::Duration, "24h", "A server's list of tools is believed for so long."),
    key(
        "discovery.timeout",
        Shape::Duration,
        "60s",
        "How long a server may take to start and to list its tools.",
    ),
    key(
        "approvals.timeout",
        Shape::Duration,
        "30d",
        "How long a call waits for a person before it is answered as timed out; 0: for ever.",
    ),
    key(
        "context.result_bytes_max",
        Shape::Number,
        "65536",
        "Bytes of one tool result that stand in the conversation; the rest is read by handle.",
    ),
    key(
        "context.windows",
        Shape::Map("tokens"),
        "",
        "Names of models, also as patterns, to the tokens that they read at most.",
    ),
    key("limits.run", Shape::Map("limits"), "", "What one run may spend: `tokens`, `usd`, `calls`, `time`."),
    key(
        "limits.day",
        Shape::Map("limits"),
        "",
        "What all runs of a day may spend: `tokens`, `usd`, `calls`, `time`.",
    ),
    key("prices", Shape::Block, "", "What models cost, for limits in money."),
    key(
        "rate_limits",
        Shape::Block,
        "",
        "Requests and tokens per minute of a provider, calls per minute of a tool server.",
    ),
    key("runs.keep_days", Shape::Number, "", "Runs that ended longer ago are removed by a worker."),
    key(
        "api_host",
        Shape::Text,
        "127.0.0.1",
        "The address that HTTP is served on. Another than this machine's own needs a user first: `stn user create`.",
    ),
    key("api_port", Shape::Number, "8585", "The port of HTTP: the API at `/api/v1`, MCP at `/mcp`."),
    key(
        "mcp_port",
        Shape::Number,
        "",
        "A second port of the same, for clients that were set up with it; the next one has agents as tools, `/execute` and `/runs/{id}`.",
    ),
    key(
        "http.requests_max",
        Shape::Number,
        "512",
        "Requests that are answered at a time; more are told to come again (503). Streams of events are counted apart.",
    ),
    key("http.streams_max", Shape::Number, "256", "Streams of events that one user follows at a time."),
    key("http.user_per_minute", Shape::Number, "6000", "Requests a minute of one user; 0: no limit."),
    key("http.address_per_minute", Shape::Number, "12000", "Requests a minute of one address; 0: no limit."),
    key("http.administrator_per_minute", Shape::Number, "0", "The local administrator's; 0: no limit."),
    key("http.headers_max", Shape::Number, "100", "Headers of one request, 256 at most."),
    key(
        "http.head_bytes_max",
        Shape::Number,
        "65536",
        "Bytes of a request's address and headers, 131072 at most.",
    ),
    key("http.body_bytes_max", Shape::Number, "16777216", "Bytes of one body, 67108864 at most."),
    key("http.body_within", Shape::Duration, "30s", "How long a body may take to come."),
    key(
        "http.public_url",
        Shape::Text,
        "",
        "Where others reach `stn serve`, behind a proxy or by a name: `https://station.example.com`. Without it, the address that it listens on.",
    ),
    key(
        "oauth.issuer",
        Shape::Text,
        "",
        "Whose access tokens let a user in: an OAuth authorization server, as it names itself.",
    ),
    key(
        "oauth.audience",
        Shape::Text,
        "",
        "What its tokens are for (`aud`), where it does not write an address of ours there.",
    ),
    key("oauth.user_claim", Shape::Text, "`sub`", "The claim that names the user: `sub`, `email`, …"),
    key(
        "oauth.scope_prefix",
        Shape::Text,
        "",
        "What stands before `read`, `run`, `edit`, `approve` and `admin` in its scopes, such as `station:`.",
    ),
    key(
        "oauth.token_type",
        Shape::Word(&["at+jwt", "any"]),
        "`at+jwt`",
        "What `typ` its tokens have; `any` for issuers that do not write that of access tokens (RFC 9068).",
    ),
    key(
        "oauth.jwks_url",
        Shape::Text,
        "",
        "Where its keys are, where its metadata (RFC 8414, OpenID Connect) does not say so.",
    ),
    key(
        "oauth.allow_private",
        Shape::Flag,
        "`false`",
        "Whether its metadata may lead into private networks.",
    ),
    key("tls.cert", Shape::Text, "", "A PEM file of the certificate and its chain: HTTP is served over TLS."),
    key("tls.key", Shape::Text, "", "A PEM file of its private key, which others may not read."),
    key("tls.client_ca", Shape::Text, "", "A PEM file of those who sign what clients have to show."),
    key("tls.redirect_port", Shape::Number, "", "A port without TLS that leads to the one with it."),
    key("cors.origins", Shape::Names, "", "Other sites whose pages may ask: `https://app.example.com`."),
    key(
        "otel_endpoint",
        Shape::Text,
        "",
        "Where `stn serve` sends traces and metrics: an OpenTelemetry collector that takes OTLP over HTTP, such as `http://localhost:4318`. OTEL_EXPORTER_OTLP_ENDPOINT is before it.",
    ),
    key(
        "otel_content",
        Shape::Flag,
        "`false`",
        "Whether traces have in them what people, models and tools said. OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is before it.",
    ),
];

/// Whether the table has this key, or one below it.
pub(super) fn is_known(name: &str) -> bool {
    KEYS.iter().any(|key| {
        key.name == name || key.name.strip_prefix(name).is_some_and(|below| below.starts_with('.'))
    })
}

/// Says of a key that the table does not have what was meant by it, where that can be told.
pub(super) fn say_slip(sheet: &mut Sheet<'_>, at: usize, name: &str) {
    let sections = KEYS.iter().filter_map(|key| key.name.split_once('.').map(|(section, _)| section));
    if let Some(hint) = near::hint(name, KEYS.iter().map(|key| key.name).chain(sections)) {
        sheet.warning(at, format!("`{name}` is kept, but has no effect here"), hint);
    }
}

/// The key that `name` is, or is below, with the name in its map.
///
/// # Errors
/// `NotFound`, with the key that may be meant.
pub fn find(name: &str) -> Result<(&'static Key, Option<&str>)> {
    let below = |key: &Key| name.strip_prefix(key.name)?.strip_prefix('.').filter(|rest| !rest.is_empty());
    if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        return Ok((key, None));
    }
    let takes_names = |key: &Key| matches!(key.shape, Shape::Map(_) | Shape::NumberOrMap | Shape::Block);
    if let Some((key, rest)) =
        KEYS.iter().filter(|key| takes_names(key)).find_map(|key| Some((key, below(key)?)))
    {
        return Ok((key, Some(rest)));
    }
    let hint = near::hint(name, KEYS.iter().map(|key| key.name));
    Err(Error::not_found(format!("there is no setting `{name}`"))
        .with_hint(hint.unwrap_or_else(|| "`stn settings list` shows them".to_owned())))
}

/// `text`, a config.yaml, with the setting `name` as `value` says; the rest stays byte for byte.
///
/// # Errors
/// `NotFound` for an unknown setting; `Invalid` where the value does not fit, or the setting is written otherwise.
pub fn set(text: &str, name: &str, value: &str) -> Result<String> {
    let (key, below) = find(name)?;
    let not_here =
        |how: &str| Err(Error::invalid(format!("`{name}` is not set this way")).with_hint(how.to_owned()));
    let names: Vec<String> =
        value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let number = value.trim().parse::<i64>().ok();
    let field = match (key.shape, below) {
        (Shape::Made(by), _) => return not_here(&format!("use `{by}`")),
        (Shape::Block, _) => {
            return not_here("write it into config.yaml by hand; docs/reference/config.md tells how");
        }
        (Shape::Map(_), None) => return not_here(&format!("name what is below it: `{name}.NAME`")),
        (Shape::Names, _) => Field::List(&names),
        (Shape::Flag, _) => Field::Flag(
            value
                .trim()
                .parse()
                .map_err(|_| Error::invalid(format!("`{name}` must be {}", key.shape.shown())))?,
        ),
        (Shape::Number | Shape::NumberOrMap | Shape::Duration | Shape::Map(_), _) => match number {
            Some(number) => Field::Number(number),
            None => Field::Text(value),
        },
        (Shape::Text | Shape::Secret | Shape::Word(_), _) => Field::Text(value),
    };
    fit::check(name, value)?;
    let edited = set_key(text, &path(key, below), &field)?;
    checked(edited)
}

/// `text`, a config.yaml, without the setting `name`: its default holds.
///
/// # Errors
/// As [`set`].
pub fn unset(text: &str, name: &str) -> Result<String> {
    let (key, below) = find(name)?;
    checked(unset_key(text, &path(key, below))?)
}

/// A config.yaml as it was written.
pub struct Written(Option<Node>);

impl Written {
    /// Reads `text`; one that cannot be read says nothing.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self(yaml::parse(text.trim_start_matches('\u{feff}')).ok().flatten())
    }

    /// Whether it says the setting `name`, whatever it says.
    ///
    /// # Errors
    /// `NotFound` for an unknown setting.
    pub fn has(&self, name: &str) -> Result<bool> {
        let (key, below) = find(name)?;
        Ok(self.node(key, below).is_some())
    }

    /// What it says of the setting `name`: a list with commas, a map as JSON. `None` where it says nothing, or the setting is
    /// a secret.
    ///
    /// # Errors
    /// `NotFound` for an unknown setting.
    pub fn value(&self, name: &str) -> Result<Option<String>> {
        let (key, below) = find(name)?;
        if key.is_secret() {
            return Ok(None);
        }
        Ok(self.node(key, below).map(|node| match &node.value {
            Value::Scalar(scalar) => scalar.shown(),
            Value::List(items) => {
                items.iter().filter_map(Node::scalar).map(Scalar::shown).collect::<Vec<_>>().join(", ")
            }
            Value::Map(_) => node.to_json().to_string(),
        }))
    }

    /// The keys of which `other` says something else, in the order of the table.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<&'static Key> {
        let said = |written: &Self, key: &Key| written.node(key, None).map(Node::to_json);
        KEYS.iter().filter(|key| said(self, key) != said(other, key)).collect()
    }

    pub(super) fn node(&self, key: &Key, below: Option<&str>) -> Option<&Node> {
        let node = path(key, below).into_iter().try_fold(self.0.as_ref()?, |node, part| node.get(part))?;
        Some(node).filter(|node| !node.is_null())
    }
}

fn path<'n>(key: &'n Key, below: Option<&'n str>) -> Vec<&'n str> {
    key.name.split('.').chain(below).collect()
}

fn checked(text: String) -> Result<String> {
    let (_, problems) = super::read(&text, "");
    match problems.iter().find(|problem| problem.severity == Severity::Error) {
        // The place is one of a text that was not written.
        Some(problem) => Err(Problem { at: None, ..problem.clone() }.into()),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests;
