//! MCP servers.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use station_core::sandbox::{Confinement, Sandbox};
use station_engine::ServerDetails;

/// A server, without its definition: that may hold secrets.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Server {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The name of its environment.
    pub environment: String,
    /// The row of its environment.
    pub environment_id: i64,
    /// The name of the file that defines it, without `.json`.
    pub config: String,
    /// `stdio` or `http`.
    pub transport: Word,
    /// What is known of it.
    pub state: ServerState,
    /// Why it could not be asked, or not be called, last time.
    pub problem: Option<String>,
    /// The protocol era it spoke last: `legacy` or `modern`.
    pub era: Option<Word>,
    /// When its tools were last listed.
    pub discovered_at: Option<String>,
    /// When it could not be asked, where that is newer.
    pub problem_at: Option<String>,
    /// Since when every try has failed.
    pub down_since: Option<String>,
    /// Number of its tools.
    pub tools_count: usize,
    /// How its program is kept, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<ServerSandbox>,
    /// Who is logged in at it; `null` where nobody is.
    pub login: Option<super::Login>,
}

impl Server {
    /// With how its program is kept, where that is known.
    #[must_use]
    pub fn kept(self, kept: Option<&(Sandbox, Confinement)>) -> Self {
        Self { sandbox: kept.map(|(sandbox, kept)| ServerSandbox::new(sandbox, kept)), ..self }
    }
}

/// How a server's program is kept on this machine.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ServerSandbox {
    /// `confined`, `partly_confined` or `unconfined`.
    pub state: Word,
    /// The same in words, with what is stricter, and why something is not kept.
    pub says: String,
}

impl ServerSandbox {
    /// `kept` of what `sandbox` asks for.
    #[must_use]
    pub fn new(sandbox: &Sandbox, kept: &Confinement) -> Self {
        Self { state: kept.as_str().into(), says: kept.words(sandbox) }
    }
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// Its tools were listed.
    Ok,
    /// It could not be asked, or not be called, last time.
    Failed,
    /// Nobody has asked it yet.
    NeverListed,
}

impl ServerState {
    /// The word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::NeverListed => "never_listed",
        }
    }
}

impl From<&ServerDetails> for Server {
    fn from(details: &ServerDetails) -> Self {
        let server = &details.server;
        let state = match (&server.problem, server.discovered_at) {
            (Some(_), _) => ServerState::Failed,
            (None, Some(_)) => ServerState::Ok,
            (None, None) => ServerState::NeverListed,
        };
        Self {
            id: server.id.0,
            name: server.name.clone(),
            environment: details.environment.name.to_string(),
            environment_id: details.environment.id.0,
            config: server.config.clone(),
            transport: server.transport.as_str().into(),
            state,
            problem: server.problem.clone(),
            era: server.era.map(|era| era.as_str().into()),
            discovered_at: server.discovered_at.map(|at| at.to_string()),
            problem_at: server.problem_at.map(|at| at.to_string()),
            down_since: server.down_since.map(|at| at.to_string()),
            tools_count: details.tools.len(),
            sandbox: None,
            login: details.login.as_ref().map(super::Login::from),
        }
    }
}

/// A server with all that can be told of it without a secret.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ServerView {
    /// The server.
    pub server: Server,
    /// Its file, relative to the workspace.
    pub path: String,
    /// `environment` or `run`: who shares a process of it.
    pub isolation: Word,
    /// Longest time of one call; `null` where the configured one holds.
    pub timeout_ms: Option<u64>,
    /// Calls at a time; `null` where the default holds.
    pub concurrency: Option<u32>,
    /// Agents that may use it, as patterns; `null` for all.
    pub allow_agents: Option<Vec<String>>,
    /// Roles that may use it, with those above them; `null` for all.
    pub allow_roles: Option<Vec<Word>>,
    /// Variables that it asks for.
    pub variables: Vec<ServerVariable>,
    /// Its tools.
    pub tools: Vec<super::Tool>,
    /// Agents with a grant of one of its tools.
    pub granted_to: Vec<String>,
}

/// A file that defines servers; its text may hold secrets and is not told.
#[derive(Clone, Debug, Serialize)]
pub struct ServerFile {
    /// Its row.
    pub id: i64,
    /// Its name without `.json`.
    pub name: String,
    /// The name of its environment.
    pub environment: String,
    /// The row of its environment.
    pub environment_id: i64,
    /// Its path, relative to the workspace.
    pub path: String,
    /// `file` or `store`.
    pub origin: Word,
    /// Names of the servers that it defines.
    pub servers: Vec<String>,
}

impl ServerFile {
    /// `file`, whose environment is among `environments`.
    #[must_use]
    pub fn new(
        file: &station_engine::ServerFile,
        servers: &[String],
        environments: &[station_core::Environment],
    ) -> Self {
        let environment = environments.iter().find(|it| it.id == file.environment);
        Self {
            id: file.id,
            name: file.name.clone(),
            environment: environment.map(|it| it.name.to_string()).unwrap_or_default(),
            environment_id: file.environment.0,
            path: file.path.clone(),
            origin: file.origin.as_str().into(),
            servers: servers.to_vec(),
        }
    }
}

/// A variable that a server asks for.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ServerVariable {
    /// Its name.
    pub name: String,
    /// Whether it has a value, a default counted.
    pub has_value: bool,
}

impl From<&station_engine::ServerView> for ServerView {
    fn from(view: &station_engine::ServerView) -> Self {
        let settings = &view.settings;
        let variable =
            |(name, has_value): &(String, bool)| ServerVariable { name: name.clone(), has_value: *has_value };
        Self {
            server: Server::from(&view.details),
            path: view.path.clone(),
            isolation: match settings.isolation {
                station_core::Isolation::Environment => "environment",
                station_core::Isolation::Run => "run",
            }
            .into(),
            timeout_ms: settings.timeout_s.map(|s| s.saturating_mul(1_000)),
            concurrency: settings.concurrency,
            allow_agents: settings.allow_agents.clone(),
            allow_roles: settings
                .allow_roles
                .as_ref()
                .map(|roles| roles.iter().map(|role| role.as_str().into()).collect()),
            variables: view.variables.iter().map(variable).collect(),
            tools: view.details.tools.iter().map(super::Tool::from).collect(),
            granted_to: view.granted_to.clone(),
        }
    }
}
