//! Logins at remote servers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A login at a server. No token has a field here.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Login {
    /// Whom its token is from.
    pub issuer: String,
    /// What it is good for; `null` where nobody said.
    pub scope: Option<String>,
    /// When its token ends; `null` where nobody said.
    pub expires_at: Option<String>,
    /// Whether the token is renewed by itself.
    pub renews: bool,
    /// Whether it is over, and a person must log in again.
    pub is_over: bool,
}

impl From<&station_engine::ServerLogin> for Login {
    fn from(login: &station_engine::ServerLogin) -> Self {
        Self {
            issuer: login.issuer.clone(),
            scope: login.scope.clone(),
            expires_at: login.expires_at.map(|at| at.to_string()),
            renews: login.renews,
            is_over: login.is_over,
        }
    }
}

/// A login that was made.
#[derive(Clone, Debug, Serialize)]
pub struct LoggedIn {
    /// The server.
    pub server: String,
    /// The row of the server.
    pub server_id: i64,
    /// With whom.
    pub issuer: String,
    /// For what; `null` where nobody said.
    pub scope: Option<String>,
    /// Number of tools that it offers now; `null` where it could not be listed.
    pub tools_count: Option<usize>,
    /// Why it could not be listed.
    pub problem: Option<String>,
}

impl From<&station_engine::LoggedIn> for LoggedIn {
    fn from(done: &station_engine::LoggedIn) -> Self {
        let listed = done.listed.as_ref().map(|listed| &listed.result);
        Self {
            server: done.server.server.name.clone(),
            server_id: done.server.server.id.0,
            issuer: done.issuer.clone(),
            scope: done.scope.clone(),
            tools_count: listed.and_then(|result| result.as_ref().ok().copied()),
            problem: listed.and_then(|result| result.as_ref().err().cloned()),
        }
    }
}

/// A login that was ended.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct LoggedOut {
    /// The server.
    pub server: String,
    /// The row of the server.
    pub server_id: i64,
    /// Why its tokens may still be good elsewhere; `null` where they are not.
    pub warning: Option<String>,
}

impl From<&station_engine::LoggedOut> for LoggedOut {
    fn from(done: &station_engine::LoggedOut) -> Self {
        Self {
            server: done.server.server.name.clone(),
            server_id: done.server.server.id.0,
            warning: done.warning.clone(),
        }
    }
}
