//! Users and API keys.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A user.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct User {
    /// Its row.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// `admin`, `user` or `viewer`.
    pub role: Word,
    /// Names of the environments assigned to it; of an administrator none, who sees all.
    pub environments: Vec<String>,
    /// Whether it can sign in with a password.
    pub has_password: bool,
    /// When it was made.
    pub created_at: String,
}

impl From<&station_engine::User> for User {
    fn from(user: &station_engine::User) -> Self {
        Self {
            id: user.id.0,
            name: user.name.clone(),
            role: user.role.as_str().into(),
            environments: user.environments.values().cloned().collect(),
            has_password: user.has_password,
            created_at: user.created_at.to_string(),
        }
    }
}

/// Whoever asks.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Caller {
    /// The user's row; that of the local administrator is 1.
    pub user_id: i64,
    /// The name.
    pub name: String,
    /// `admin`, `user` or `viewer`.
    pub role: Word,
    /// How much of what that role may: `read`, `run`, `edit`, `approve`, `admin`.
    pub scopes: Vec<Word>,
}

impl From<&station_core::Caller> for Caller {
    fn from(by: &station_core::Caller) -> Self {
        Self {
            user_id: by.user.0,
            name: by.name.clone(),
            role: by.role.as_str().into(),
            scopes: by.scopes.iter().map(|scope| scope.as_str().into()).collect(),
        }
    }
}

/// An API key. What it says is told nowhere but where it is made.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ApiKey {
    /// Its row.
    pub id: i64,
    /// Whose it is.
    pub user: String,
    /// What it is for.
    pub name: String,
    /// How much of what its user may: `read`, `run`, `edit`, `approve`, `admin`.
    pub scopes: Vec<Word>,
    /// When it was made.
    pub created_at: String,
    /// When it ends; `null` for never.
    pub expires_at: Option<String>,
    /// When it was used last, to the minute; `null` for never.
    pub last_used_at: Option<String>,
    /// From where that was; null where it was not used yet.
    pub last_used_from: Option<String>,
}

impl From<&station_engine::ApiKey> for ApiKey {
    fn from(key: &station_engine::ApiKey) -> Self {
        Self {
            id: key.id,
            user: key.user_name.clone(),
            name: key.name.clone(),
            scopes: key.scopes.iter().map(|scope| scope.as_str().into()).collect(),
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            last_used_at: key.last_used_at.map(|at| at.to_string()),
            last_used_from: key.last_used_from.clone(),
        }
    }
}

/// A link by which a user chooses a password, once.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Invitation {
    /// Whom it is for.
    pub user: String,
    /// Where it leads, below the address of this Station; told this once.
    pub path: String,
    /// When it ends.
    pub expires_at: String,
}

impl From<&station_engine::Invitation> for Invitation {
    fn from(it: &station_engine::Invitation) -> Self {
        Self {
            user: it.user.name.clone(),
            path: format!("{}#{}", crate::pages::WELCOME, it.secret.expose()),
            expires_at: it.expires_at.to_string(),
        }
    }
}

/// An API key that was just made.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct NewApiKey {
    /// Its row.
    pub api_key: ApiKey,
    /// The key itself, told this once: `stn_…`.
    pub secret: String,
}
