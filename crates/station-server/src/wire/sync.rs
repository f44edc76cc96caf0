//! What a sync did, or would do.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use station_core::file::Severity;
use station_core::lock;
use station_core::sync::Change as Planned;

/// One environment's sync.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct SyncReport {
    /// The environment's name.
    pub environment: String,
    /// Whether the changes were made; `false` for a dry run.
    pub applied: bool,
    /// Changes in the order in which they are applied.
    pub changes: Vec<Change>,
    /// Number of definitions that stay as they are.
    pub unchanged: usize,
    /// What there is to say about the files.
    pub problems: Vec<Problem>,
    /// Variables that the changed servers ask for.
    pub variables: Vec<Variable>,
    /// Servers that were connected to.
    pub discovery: Discovery,
}

/// One change. A value is never part of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
pub struct Change {
    /// `create`, `update`, `rename` or `remove`.
    pub action: Word,
    /// `environment`, `rules`, `variable`, `server_file` or `agent`.
    pub noun: Word,
    /// Its name.
    pub name: String,
    /// The name it had, where it is renamed.
    pub renamed_from: Option<String>,
    /// Servers of a server file.
    pub servers: Vec<String>,
    /// Servers that the file defined before and no longer does.
    pub dropped_servers: Vec<String>,
}

/// Something to say about a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Problem {
    /// `note`, `warning` or `error`; an error refuses the file.
    pub severity: Word,
    /// The file, relative to the workspace.
    pub path: String,
    /// Where in it.
    pub at: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

/// A place in a text; both count from 1.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// A variable that a server asks for.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where its value comes from; `null` where nothing has it. Never the value.
    pub from: Option<Word>,
}

/// What came of connecting to servers.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Discovery {
    /// One row per server that was asked.
    pub servers: Vec<Discovered>,
    /// What to know about grants afterwards.
    pub warnings: Vec<String>,
}

/// What one server answered.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Discovered {
    /// Its name.
    pub server: String,
    /// `ok` or `failed`.
    pub status: Word,
    /// Number of its tools.
    pub tools_count: Option<usize>,
    /// Why it could not be asked.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
}

impl From<&station_engine::SyncReport> for SyncReport {
    fn from(report: &station_engine::SyncReport) -> Self {
        let variable = |(name, from): &(String, Option<&'static str>)| Variable {
            name: name.clone(),
            from: from.map(Word::from),
        };
        Self {
            environment: report.environment.to_string(),
            applied: report.applied,
            changes: report
                .plan
                .changes
                .iter()
                .map(|change| Change::new(change, report.environment.as_str()))
                .collect(),
            unchanged: report.plan.unchanged,
            problems: report.plan.problems.iter().map(Problem::from).collect(),
            variables: report.variables.iter().map(variable).collect(),
            discovery: Discovery::from(&report.discovery),
        }
    }
}

impl Change {
    /// One change of the environment named `environment`.
    #[must_use]
    pub fn new(change: &Planned, environment: &str) -> Self {
        let put = |existed: bool| if existed { "update" } else { "create" };
        let (action, noun, name) = match change {
            Planned::CreateEnvironment => ("create", "environment", environment),
            Planned::SetRules { source } if source.is_empty() => ("remove", "rules", "environment.yml"),
            Planned::SetRules { .. } => ("update", "rules", "environment.yml"),
            Planned::SetLock { hash: None, .. } => ("remove", "lock", lock::FILE),
            Planned::SetLock { .. } => ("update", "lock", lock::FILE),
            Planned::SetVariable { name, existed, .. } => (put(*existed), "variable", name.as_str()),
            Planned::RemoveVariable { name } => ("remove", "variable", name.as_str()),
            Planned::PutConfig { name, existed, .. } => (put(*existed), "server_file", name.as_str()),
            Planned::RemoveConfig { name, .. } => ("remove", "server_file", name.as_str()),
            Planned::PutAgent(row) => (put(row.existed), "agent", row.name.as_str()),
            Planned::RenameAgent { row, .. } => ("rename", "agent", row.name.as_str()),
            Planned::RemoveAgent { name, .. } => ("remove", "agent", name.as_str()),
        };
        let renamed_from = match change {
            Planned::RenameAgent { from, .. } => Some(from.clone()),
            _ => None,
        };
        let (servers, dropped_servers) = match change {
            Planned::PutConfig { servers, dropped, .. } => {
                (servers.iter().map(|server| server.name.clone()).collect(), dropped.clone())
            }
            Planned::RemoveConfig { servers, .. } => (Vec::new(), servers.clone()),
            _ => (Vec::new(), Vec::new()),
        };
        Self {
            action: action.into(),
            noun: noun.into(),
            name: name.to_owned(),
            renamed_from,
            servers,
            dropped_servers,
        }
    }
}

impl From<&station_core::file::Problem> for Problem {
    fn from(problem: &station_core::file::Problem) -> Self {
        Self {
            severity: match problem.severity {
                Severity::Note => "note",
                Severity::Warning => "warning",
                Severity::Error => "error",
            }
            .into(),
            path: problem.path.clone(),
            at: problem.at.map(|at| Place { line: at.line, column: at.column }),
            message: problem.sentence.clone(),
            hint: problem.hint.clone(),
        }
    }
}

impl From<&station_engine::Discovery> for Discovery {
    fn from(discovery: &station_engine::Discovery) -> Self {
        let servers = discovery.servers.iter().map(|found| Discovered {
            server: found.server.clone(),
            status: if found.result.is_ok() { "ok" } else { "failed" }.into(),
            tools_count: found.result.as_ref().ok().copied(),
            error: found.result.as_ref().err().cloned(),
            duration_ms: found.ms,
        });
        Self { servers: servers.collect(), warnings: discovery.warnings.clone() }
    }
}
