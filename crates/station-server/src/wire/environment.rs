//! Environments.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An environment.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Environment {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// One line; may be empty.
    pub description: String,
    /// `file` or `store`.
    pub origin: Word,
    /// When its row was made.
    pub created_at: String,
}

impl From<&station_core::Environment> for Environment {
    fn from(environment: &station_core::Environment) -> Self {
        Self {
            id: environment.id.0,
            name: environment.name.to_string(),
            description: environment.description.clone(),
            origin: environment.origin.as_str().into(),
            created_at: environment.created_at.to_string(),
        }
    }
}

/// An environment with what is in it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct EnvironmentDetails {
    /// The environment.
    pub environment: Environment,
    /// Names of its agents.
    pub agents: Vec<String>,
    /// Names of its servers.
    pub servers: Vec<String>,
    /// Names of its variables; values are not told.
    pub variables: Vec<String>,
    /// Its folder; `null` where it has none here.
    pub folder: Option<String>,
    /// Files in that folder, relative to the workspace.
    pub files: Vec<String>,
    /// Number of its runs.
    pub runs_count: u64,
}

impl From<&station_engine::EnvironmentDetails> for EnvironmentDetails {
    fn from(details: &station_engine::EnvironmentDetails) -> Self {
        Self {
            environment: Environment::from(&details.environment),
            agents: details.agents.clone(),
            servers: details.servers.clone(),
            variables: details.variables.clone(),
            folder: details.folder.as_ref().map(|folder| folder.display().to_string()),
            files: details.files.clone(),
            runs_count: details.runs,
        }
    }
}

/// A variable of an environment: never its value.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Where its value comes from at this terminal; `null` where nothing sets it.
    pub from: Option<Word>,
    /// Whether variables.yml, or the store, sets it.
    pub stored: bool,
    /// Servers that ask for it.
    pub asked_by: Vec<String>,
}

impl From<&station_engine::Variable> for EnvironmentVariable {
    fn from(variable: &station_engine::Variable) -> Self {
        let station_engine::Variable { name, from, stored, asked_by } = variable.clone();
        Self { name, from: from.map(Word::from), stored, asked_by }
    }
}
