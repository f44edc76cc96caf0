//! What a sync would change: files beside the store, and the plan between them.
//!
//! The plan is computed once; a dry run prints it and an apply commits it, so the two cannot differ.
//! **Invariant:** rows of origin `store` and rows of another workspace are never part of a plan's removals.

use crate::file::Problem;
use crate::{AgentId, AgentName, EnvironmentId, EnvironmentName, Secret, ServerId, ToolId, Transport};
use std::collections::BTreeMap;

/// The text of one file, with the path to show in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Relative to the workspace, e.g. `environments/default/agents/triage.prompt`.
    pub path: String,
    /// What it holds; may contain secrets, so it is not shown by `Debug`.
    pub body: Secret,
}

/// One environment's folder, read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The folder's name.
    pub environment: EnvironmentName,
    /// The workspace the folder belongs to.
    pub workspace_id: String,
    /// `variables.yml`, where there is one.
    pub variables: Option<Text>,
    /// `environment.yml`, where there is one.
    pub rules: Option<Text>,
    /// Server files by config name (file name without `.json`), in file order: `mcp-servers/` first.
    pub configs: BTreeMap<String, Text>,
    /// Agent files by agent name (file name without `.prompt`).
    pub agents: BTreeMap<String, Text>,
}

/// What the store holds of that environment, removed rows left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its row; `None` where it is new.
    pub environment: Option<EnvironmentId>,
    /// The text of `environment.yml` as last applied; empty where none.
    pub rules: String,
    /// Values of the variables.
    pub variables: BTreeMap<String, Secret>,
    /// Server files by config name.
    pub configs: BTreeMap<String, StoredConfig>,
    /// Agents by name.
    pub agents: BTreeMap<String, StoredAgent>,
}

/// A stored server file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConfig {
    /// Its text.
    pub source: Secret,
    /// Whether sync of this workspace owns it: origin `file` and the same workspace id.
    pub ours: bool,
    /// Its servers: name to row and definition hash.
    pub servers: BTreeMap<String, (ServerId, String)>,
}

/// A stored agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAgent {
    /// Its row.
    pub id: AgentId,
    /// The text of its definition.
    pub source: String,
    /// Whether sync of this workspace owns it.
    pub ours: bool,
}

/// What a sync of one environment will do, and what it has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Changes in the order in which they are applied.
    pub changes: Vec<Change>,
    /// Broken files (each refuses itself alone) and warnings, by path and position.
    pub problems: Vec<Problem>,
    /// Number of definitions that stay as they are.
    pub unchanged: usize,
}

impl Plan {
    /// Whether there is nothing to apply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// One change. Where a row of the same name was removed earlier, it returns with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The environment's row is made.
    CreateEnvironment,
    /// The environment's rules change to this text; empty where the file is gone.
    SetRules {
        /// The text of `environment.yml`.
        source: String,
    },
    /// A variable gets a value. The value is never shown.
    SetVariable {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
        /// Whether it had one before.
        existed: bool,
    },
    /// A variable is gone from the file.
    RemoveVariable {
        /// Its name.
        name: String,
    },
    /// A server file is new or has changed.
    PutConfig {
        /// File name without `.json`.
        name: String,
        /// Relative path.
        path: String,
        /// The whole text; it may hold secrets.
        source: Secret,
        /// Every server it defines.
        servers: Vec<ServerOutline>,
        /// Whether it was known before.
        existed: bool,
        /// Names of the servers that it defined before and no longer does.
        dropped: Vec<String>,
    },
    /// A server file is gone, and with it these servers.
    RemoveConfig {
        /// File name without `.json`.
        name: String,
        /// Names of its servers.
        servers: Vec<String>,
    },
    /// An agent is new or has changed.
    PutAgent(Box<AgentRow>),
    /// An agent's file is gone.
    RemoveAgent {
        /// Its row.
        id: AgentId,
        /// Its name.
        name: String,
    },
}

/// What the store keeps of a server beside its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOutline {
    /// Its key in `mcpServers`.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// Hash of its entry with variables unresolved; a change makes sync discover it anew.
    pub definition_hash: String,
    /// Names of the variables its entry asks for.
    pub variables: Vec<String>,
}

/// What the store keeps of an agent beside its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRow {
    /// Checked name.
    pub name: AgentName,
    /// One line.
    pub description: String,
    /// The first model as written.
    pub model: Option<String>,
    /// Tags, in file order.
    pub tags: Vec<String>,
    /// The text of the `.prompt` file.
    pub source: String,
    /// Relative path; `None` for an agent of origin `store`.
    pub path: Option<String>,
    /// Grants as written, in order.
    pub tools: Vec<Grant>,
    /// Names of other agents as written, in order.
    pub agents: Vec<String>,
    /// Whether it was known before.
    pub existed: bool,
}

/// A written grant with the tool it is linked to now. A pattern has one row per tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// As written in the file.
    pub written: String,
    /// The catalogued tool, where there is one.
    pub tool: Option<ToolId>,
}
