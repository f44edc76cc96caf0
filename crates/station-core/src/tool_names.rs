//! The tools of one environment by name: all that linking a grant needs to know of them.
//!
//! A catalog of ten thousand tools is mostly descriptions and schemas. A sync links every grant of every agent, so it
//! takes the names alone, and finds each by looking it up rather than by going over all of them.

use crate::{ServerId, Tool, ToolId};
use std::collections::HashMap;

/// A tool, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolName {
    /// Its id.
    pub id: ToolId,
    /// Its server.
    pub server: ServerId,
    /// Its server's name.
    pub server_name: String,
    /// Its upstream name.
    pub name: String,
}

impl ToolName {
    /// `server__tool`: the name that is exact.
    #[must_use]
    pub fn qualified(&self) -> String {
        qualified(&self.server_name, &self.name)
    }
}

impl From<&Tool> for ToolName {
    fn from(tool: &Tool) -> Self {
        Self {
            id: tool.id,
            server: tool.server,
            server_name: tool.server_name.clone(),
            name: tool.name.clone(),
        }
    }
}

pub(crate) fn qualified(server: &str, tool: &str) -> String {
    format!("{server}__{tool}")
}

/// Tools in file order, found by what they are called. Collected from [`ToolName`]s.
#[derive(Clone, Debug, Default)]
pub struct ToolNames {
    in_order: Vec<ToolName>,
    by_short: HashMap<String, Vec<usize>>,
    by_qualified: HashMap<String, usize>,
    by_id: HashMap<ToolId, usize>,
}

impl ToolNames {
    /// All of them, in file order.
    pub fn iter(&self) -> std::slice::Iter<'_, ToolName> {
        self.in_order.iter()
    }

    /// Those with this upstream name, in file order.
    pub fn short(&self, name: &str) -> impl Iterator<Item = &ToolName> + Clone {
        self.by_short.get(name).into_iter().flatten().map(|at| &self.in_order[*at])
    }

    /// The first in file order with this `server__tool`.
    #[must_use]
    pub fn exact(&self, qualified: &str) -> Option<&ToolName> {
        self.by_qualified.get(qualified).map(|at| &self.in_order[*at])
    }

    /// The one with this id.
    #[must_use]
    pub fn by_id(&self, id: ToolId) -> Option<&ToolName> {
        self.by_id.get(&id).map(|at| &self.in_order[*at])
    }
}

impl FromIterator<ToolName> for ToolNames {
    fn from_iter<I: IntoIterator<Item = ToolName>>(tools: I) -> Self {
        let mut names = Self { in_order: tools.into_iter().collect(), ..Self::default() };
        for (at, tool) in names.in_order.iter().enumerate() {
            names.by_short.entry(tool.name.clone()).or_default().push(at);
            names.by_qualified.entry(tool.qualified()).or_insert(at);
            names.by_id.entry(tool.id).or_insert(at);
        }
        names
    }
}

impl<'a> IntoIterator for &'a ToolNames {
    type Item = &'a ToolName;
    type IntoIter = std::slice::Iter<'a, ToolName>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
