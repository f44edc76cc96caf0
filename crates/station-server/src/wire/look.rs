//! What a look at a server gave: a resource that was read, a prompt that was filled in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A resource that was read.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ReadResource {
    /// Its contents as the protocol has them: `uri`, `mimeType`, and `text` or `blob` (base64).
    pub contents: Vec<Value>,
}

/// A prompt with its arguments filled in.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct FilledPrompt {
    /// What the server says of it.
    pub description: Option<String>,
    /// Its messages as the protocol has them: `role` and `content`.
    pub messages: Vec<Value>,
}

impl From<station_engine::ReadResource> for ReadResource {
    fn from(read: station_engine::ReadResource) -> Self {
        Self { contents: read.contents }
    }
}

impl From<station_engine::FilledPrompt> for FilledPrompt {
    fn from(filled: station_engine::FilledPrompt) -> Self {
        Self { description: filled.description, messages: filled.messages }
    }
}
