//! What a server was found to offer, in our own words: the answer of `station-mcp`, and what `station-store` keeps.

use crate::{Annotations, Era};
use serde_json::{Map, Value};

/// Everything one server offered when it was last asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovery {
    /// The era it spoke.
    pub era: Era,
    /// Its tools, in its order.
    pub tools: Vec<DiscoveredTool>,
    /// Its resources and resource templates, in its order.
    pub resources: Vec<DiscoveredResource>,
    /// Its prompts, in its order.
    pub prompts: Vec<DiscoveredPrompt>,
    /// Its capabilities as it declared them; an object.
    pub capabilities: Value,
    /// How it says it should be used.
    pub instructions: Option<String>,
}

/// A tool as its server described it.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscoveredTool {
    /// Its upstream name.
    pub name: String,
    /// What people see; empty where the server gave none.
    pub title: String,
    /// What it does, in the server's words.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
    /// JSON Schema of its structured result, where it declares one.
    pub output_schema: Option<Value>,
    /// What the server says of its effects.
    pub annotations: Annotations,
    /// What its server says of it besides, for whoever passes it on: `icons`, `_meta`. No part of what it promises: it is not
    /// pinned, and no model reads it.
    pub more: Map<String, Value>,
}

/// A resource, or a template of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredResource {
    /// Its URI, or its URI template.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// What it holds, in the server's words.
    pub description: String,
    /// Its MIME type, where the server told.
    pub mime: Option<String>,
    /// Whether `uri` is a template.
    pub is_template: bool,
    /// What its server says of it besides, for whoever passes it on: `title`, `icons`, `annotations`, `_meta`, `size`.
    pub more: Map<String, Value>,
}

/// A prompt that a server offers.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscoveredPrompt {
    /// Its name.
    pub name: String,
    /// What it is for, in the server's words.
    pub description: String,
    /// Its arguments as declared; an array.
    pub arguments: Value,
    /// What its server says of it besides, for whoever passes it on: `title`, `icons`, `_meta`.
    pub more: Map<String, Value>,
}
