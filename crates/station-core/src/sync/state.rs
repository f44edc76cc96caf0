//! The two sides of a sync: one environment's files, and what the store holds of it.

use crate::{AgentId, EnvironmentId, EnvironmentName, Secret, ServerId};
use std::collections::{BTreeMap, BTreeSet};

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
    /// `mcp.lock`, where there is one.
    pub lock: Option<Text>,
    /// Server files by config name (file name without `.json`), in file order: `mcp-servers/` first.
    pub configs: BTreeMap<String, Text>,
    /// Agent files by agent name (file name without `.prompt`).
    pub agents: BTreeMap<String, Text>,
}

/// What the store holds of that environment, removed rows left out but for their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its row; `None` where it is new.
    pub environment: Option<EnvironmentId>,
    /// Whether that row belongs to another workspace, or to the store alone: then a sync of this one leaves its rules
    /// and variables as they are.
    pub foreign: bool,
    /// The text of `environment.yml` as last applied; empty where none.
    pub rules: String,
    /// Hash of the lock file as last applied; `None` where there is none.
    pub lock: Option<String>,
    /// Values of the variables.
    pub variables: BTreeMap<String, Secret>,
    /// Server files by config name.
    pub configs: BTreeMap<String, StoredConfig>,
    /// Agents by name.
    pub agents: BTreeMap<String, StoredAgent>,
    /// Names of agents that were removed: each returns with the row that it had.
    pub removed_agents: BTreeSet<String>,
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
