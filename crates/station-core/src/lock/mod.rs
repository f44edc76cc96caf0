//! `mcp.lock`: the definitions of an environment's tools that somebody has looked at.
//!
//! A server may change what a tool says of itself at any time, after a person has read it and granted it: the words that
//! a model reads, the schema, the promise to change nothing. A lock file in the environment's folder pins each definition
//! by its hash and keeps it whole, so that a difference can be read in a pull request. Whatever is not as it is pinned is
//! held back: nobody sees it and nobody calls it until somebody has accepted it (`stn mcp lock`). Where there is no lock
//! file, nothing is held.
//!
//! What it is not: a check of a server's program or address. Those are in its file, whose change is a change of the file.

mod compare;
#[cfg(test)]
mod tests;

pub use compare::{Difference, FieldChange, What, diff};

use crate::file::{Position, Problem, Severity};
use crate::{Tool, tool};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Its name in the folder of an environment.
pub const FILE: &str = "mcp.lock";

/// The only version there is.
const VERSION: u32 = 1;

/// Largest file in bytes, which whoever reads it sees to: ten thousand tools with long schemas have a tenth of it.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What becomes of a tool that is not as it is pinned: `lock` in `environment.yml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nobody sees it and nobody calls it.
    #[default]
    Hold,
    /// It is used, and each run that could use it says so.
    Warn,
}

/// The pinned definitions, by server and tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    servers: BTreeMap<String, BTreeMap<String, Pinned>>,
}

/// A pinned definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// Its hash ([`tool::definition_hash`]).
    pub hash: String,
    /// What the tool does, in its server's words.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
    /// JSON Schema of its structured result, where it declares one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// What its server says of its effects.
    #[serde(default)]
    pub annotations: crate::Annotations,
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    servers: BTreeMap<String, BTreeMap<String, Pinned>>,
}

/// The hash that one tool is pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Its server's name.
    pub server: String,
    /// Its upstream name.
    pub tool: String,
    /// The hash of its definition.
    pub hash: String,
}

impl From<&Tool> for Pinned {
    fn from(tool: &Tool) -> Self {
        Self {
            hash: tool::definition_hash(tool),
            description: tool.description.clone(),
            input_schema: tool.input_schema.clone(),
            output_schema: tool.output_schema.clone(),
            annotations: tool.annotations,
        }
    }
}

impl Lock {
    /// Every one of `tools`, as it is.
    #[must_use]
    pub fn of(tools: &[Tool]) -> Self {
        let mut lock = Self::default();
        for tool in tools {
            lock.servers.entry(tool.server_name.clone()).or_default().insert(tool.name.clone(), tool.into());
        }
        lock
    }

    /// Reads the file. A hash that is not that of its definition is an error: one of the two was edited by hand, and
    /// whoever read the definition in a pull request would have read another than what is pinned.
    #[must_use]
    pub fn read(text: &str, path: &str) -> (Option<Self>, Vec<Problem>) {
        let refuse = |at: Option<Position>, sentence: String| {
            let hint = Some("`stn mcp lock` writes it anew, and shows what is different".to_owned());
            (None, vec![Problem { severity: Severity::Error, path: path.to_owned(), at, sentence, hint }])
        };
        let written: Written = match serde_json::from_str(text) {
            Ok(written) => written,
            Err(error) => {
                let at = Position::of_json(text, &error);
                return refuse(Some(at), "this is not a lock file as Station writes it".to_owned());
            }
        };
        if written.version != VERSION {
            return refuse(
                None,
                format!("its version is {}, and this Station knows {VERSION}", written.version),
            );
        }
        let lock = Self { servers: written.servers };
        if let Some((server, tool)) = lock.forged() {
            return refuse(None, format!("the hash of `{server}__{tool}` is not that of its definition"));
        }
        (Some(lock), Vec::new())
    }

    /// The file's text: one line for each member, in the order of names, so that a change is a change of few lines.
    #[must_use]
    pub fn text(&self) -> String {
        let written = Written { version: VERSION, servers: self.servers.clone() };
        // Names and JSON always serialize.
        serde_json::to_string_pretty(&written).unwrap_or_default() + "\n"
    }

    /// Every pin, by server and tool.
    pub fn pins(&self) -> impl Iterator<Item = Pin> {
        self.servers.iter().flat_map(|(server, tools)| {
            tools.iter().map(|(tool, pinned)| Pin {
                server: server.clone(),
                tool: tool.clone(),
                hash: pinned.hash.clone(),
            })
        })
    }

    /// What the store keeps of the text of a lock file in place of its hash where it could not be read: then nothing is
    /// pinned, and so everything is held.
    pub const UNREAD: &str = "unread";

    /// Takes the tools of `servers` as they are in `tools`, and leaves those of other servers as they are pinned.
    pub fn accept(&mut self, servers: &[String], tools: &[Tool]) {
        let accepted = Self::of(tools);
        for server in servers {
            self.servers.remove(server);
        }
        self.servers.extend(accepted.servers.into_iter().filter(|(server, _)| servers.contains(server)));
    }

    fn forged(&self) -> Option<(&str, &str)> {
        self.servers.iter().find_map(|(server, tools)| {
            let (tool, _) = tools.iter().find(|(name, pinned)| pinned.hash != pinned.hashed(name))?;
            Some((server.as_str(), tool.as_str()))
        })
    }
}

impl Pinned {
    fn hashed(&self, name: &str) -> String {
        tool::definition_hash_of(
            name,
            &self.description,
            &self.input_schema,
            self.output_schema.as_ref(),
            self.annotations,
        )
    }
}
