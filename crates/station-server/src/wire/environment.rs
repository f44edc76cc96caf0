//! Environments.

use serde::Serialize;

/// An environment.
#[derive(Clone, Debug, Serialize)]
pub struct Environment {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// One line; may be empty.
    pub description: String,
    /// `file` or `store`.
    pub origin: &'static str,
    /// When its row was made.
    pub created_at: String,
}

impl From<&station_core::Environment> for Environment {
    fn from(environment: &station_core::Environment) -> Self {
        Self {
            id: environment.id.0,
            name: environment.name.to_string(),
            description: environment.description.clone(),
            origin: environment.origin.as_str(),
            created_at: environment.created_at.to_string(),
        }
    }
}
