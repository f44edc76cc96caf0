//! Tools of the catalog.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tool that a server offers.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
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

/// What a tool answered to a person.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct CalledTool {
    /// The id that the call carried; the audit names it too.
    pub effect_id: String,
    /// The result as text.
    pub text: String,
    /// The structured result.
    pub structured: Option<Value>,
    /// Whether the tool says that it failed.
    pub is_error: bool,
    /// Bytes of the result that were left out.
    pub cut_bytes: u64,
    /// How long it took.
    pub took_ms: u64,
}

impl From<&station_engine::CalledTool> for CalledTool {
    fn from(called: &station_engine::CalledTool) -> Self {
        Self {
            effect_id: called.effect.to_string(),
            text: called.text.clone(),
            structured: called.structured.clone(),
            is_error: called.is_error,
            cut_bytes: called.cut_bytes,
            took_ms: called.ms,
        }
    }
}
