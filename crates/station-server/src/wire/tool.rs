//! Tools of the catalog.

use serde::Serialize;
use serde_json::Value;

/// A tool that a server offers.
#[derive(Clone, Debug, Serialize)]
pub struct Tool {
    /// Its row.
    pub id: i64,
    /// Its name at its server.
    pub name: String,
    /// The server's name.
    pub server: String,
    /// The server's row.
    pub server_id: i64,
    /// What people see; may be empty.
    pub title: String,
    /// What it does, in the server's words.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
    /// JSON Schema of its structured result.
    pub output_schema: Option<Value>,
    /// It changes nothing, as its server says.
    pub read_only: Option<bool>,
    /// It may destroy something, as its server says.
    pub destructive: Option<bool>,
    /// Calling it twice is calling it once, as its server says.
    pub idempotent: Option<bool>,
    /// It reaches beyond the server's own domain, as its server says.
    pub open_world: Option<bool>,
}

impl From<&station_core::Tool> for Tool {
    fn from(tool: &station_core::Tool) -> Self {
        Self {
            id: tool.id.0,
            name: tool.name.clone(),
            server: tool.server_name.clone(),
            server_id: tool.server.0,
            title: tool.title.clone(),
            description: tool.description.clone(),
            input_schema: tool.input_schema.clone(),
            output_schema: tool.output_schema.clone(),
            read_only: tool.annotations.read_only,
            destructive: tool.annotations.destructive,
            idempotent: tool.annotations.idempotent,
            open_world: tool.annotations.open_world,
        }
    }
}
