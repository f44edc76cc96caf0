//! What a sync will do, change by change.

use crate::file::Problem;
use crate::lock::Pin;
use crate::{AgentId, AgentName, Secret, ToolId, Transport};

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
    /// The tools that are pinned change.
    SetLock {
        /// Hash of the lock file, or [`crate::lock::Lock::UNREAD`]; `None` where the file is gone and nothing is held any more.
        hash: Option<String>,
        /// Every pin there is then.
        pins: Vec<Pin>,
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
    /// An agent's file has another name now: its row stays, with everything that hangs on it.
    RenameAgent {
        /// Its row.
        id: AgentId,
        /// The name it had.
        from: String,
        /// What it is from now on.
        row: Box<AgentRow>,
    },
    /// An agent's file is gone.
    RemoveAgent {
        /// Its row.
        id: AgentId,
        /// Its name.
        name: String,
    },
}

impl Change {
    /// The changes that come to the same where nobody may conclude that something was renamed.
    #[must_use]
    pub fn apart(self) -> Vec<Self> {
        match self {
            Self::RenameAgent { id, from, row } => {
                vec![Self::PutAgent(row), Self::RemoveAgent { id, name: from }]
            }
            other => vec![other],
        }
    }
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
    /// Names of the variables its entry asks for, once each, in file order.
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
