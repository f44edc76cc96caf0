//! What was deleted.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use station_engine::Defined;

/// What a deletion took, and what it left.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Deletion {
    /// `agent`, `environment` or `server`.
    pub noun: Word,
    /// Its row, which stays as removed.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The environment it was in; its own name for an environment.
    pub environment: String,
    /// Files that are gone, relative to the workspace.
    pub files: Vec<String>,
    /// Number of runs that were kept.
    pub runs_kept: u64,
}

impl From<&station_engine::AgentDeletion> for Deletion {
    fn from(gone: &station_engine::AgentDeletion) -> Self {
        Self {
            noun: "agent".into(),
            id: gone.agent.id.0,
            name: gone.agent.name.to_string(),
            environment: gone.environment.name.to_string(),
            files: gone.file.iter().cloned().collect(),
            runs_kept: gone.runs,
        }
    }
}

impl From<&station_engine::EnvironmentDetails> for Deletion {
    fn from(gone: &station_engine::EnvironmentDetails) -> Self {
        Self {
            noun: "environment".into(),
            id: gone.environment.id.0,
            name: gone.environment.name.to_string(),
            environment: gone.environment.name.to_string(),
            files: gone.files.clone(),
            runs_kept: gone.runs,
        }
    }
}

impl From<&station_engine::ServerDeletion> for Deletion {
    fn from(gone: &station_engine::ServerDeletion) -> Self {
        Self {
            noun: "server".into(),
            id: gone.server.id.0,
            name: gone.server.name.clone(),
            environment: gone.environment.name.to_string(),
            files: match &gone.defined {
                Defined::Alone(path) => vec![path.clone()],
                Defined::Among(_) | Defined::InStore => Vec::new(),
            },
            runs_kept: 0,
        }
    }
}
