//! What is offered beside what is pinned, tool by tool.

use super::{Lock, Pinned};
use crate::Tool;
use serde_json::json;
use similar::{Change, ChangeTag, TextDiff};
use std::collections::{BTreeMap, BTreeSet};
use unicode_security::confusable_detection::skeleton;

/// A tool that is not as it is pinned.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its server's name.
    pub server: String,
    /// Its upstream name.
    pub tool: String,
    /// How it differs.
    pub what: What,
}

/// How a tool differs from what is pinned.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// It is offered and not pinned.
    New {
        /// A pinned tool of the environment, as `server__tool`, whose name a person would take for this one.
        looks_like: Option<String>,
    },
    /// It is offered under another name than the one it is pinned by, and as it was otherwise.
    Renamed {
        /// The pinned name.
        from: String,
    },
    /// Its definition is another one.
    Changed {
        /// Each part that is.
        fields: Vec<FieldChange>,
    },
    /// It is pinned and not offered any more.
    Gone,
}

/// A part of a definition that has changed, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// `description`, `input_schema`, `output_schema` or `annotations`.
    pub field: &'static str,
    /// As it is pinned; empty where it had none.
    pub before: String,
    /// As it is offered; empty where it has none.
    pub after: String,
}

/// The lines that are different, and one around them: `- ` as it is pinned, `+ ` as it is offered, two blanks for both.
#[must_use]
pub fn diff(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let line = |change: Change<&str>| {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        format!("{sign} {}", change.value().trim_end_matches(['\r', '\n']))
    };
    let groups = diff.grouped_ops(1);
    groups.iter().flatten().flat_map(|op| diff.iter_changes(op)).map(line).collect()
}

impl Lock {
    /// What is different between the pins and `tools`, the tools that the environment's servers offer, by server and tool.
    #[must_use]
    pub fn compare(&self, tools: &[Tool]) -> Vec<Difference> {
        let offered = Self::of(tools);
        let faces = self.faces();
        let none = BTreeMap::new();
        let servers: BTreeSet<&String> = self.servers.keys().chain(offered.servers.keys()).collect();
        let mut found = Vec::new();
        for server in servers {
            let before = self.servers.get(server).unwrap_or(&none);
            let after = offered.servers.get(server).unwrap_or(&none);
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            let mut renamed_from = BTreeSet::new();
            let mut of_server = Vec::new();
            for name in names {
                let what = match (before.get(name), after.get(name)) {
                    (Some(before), Some(after)) if before.hash == after.hash => continue,
                    (Some(before), Some(after)) => What::Changed { fields: changes(before, after) },
                    (Some(_), None) => What::Gone,
                    (None, Some(tool)) => {
                        let is_it = |(name, pinned): &(&String, &Pinned)| {
                            !after.contains_key(*name) && pinned.has_words_of(tool)
                        };
                        match before.iter().find(is_it) {
                            Some((from, _)) if renamed_from.insert(from.clone()) => {
                                What::Renamed { from: from.clone() }
                            }
                            _ => What::New { looks_like: faces.get(&face(name)).cloned() },
                        }
                    }
                    (None, None) => continue,
                };
                of_server.push(Difference { server: server.clone(), tool: name.clone(), what });
            }
            of_server.retain(|it| it.what != What::Gone || !renamed_from.contains(&it.tool));
            found.extend(of_server);
        }
        found
    }

    /// The pinned tools by how their names look.
    fn faces(&self) -> BTreeMap<String, String> {
        let names =
            self.servers.iter().flat_map(|(server, tools)| tools.keys().map(move |tool| (server, tool)));
        names.map(|(server, tool)| (face(tool), format!("{server}__{tool}"))).collect()
    }
}

impl Pinned {
    /// Whether all but the name is the same.
    fn has_words_of(&self, other: &Self) -> bool {
        (&self.description, &self.input_schema, &self.output_schema, self.annotations)
            == (&other.description, &other.input_schema, &other.output_schema, other.annotations)
    }
}

/// How a name looks to a person: case, `_`, `-`, `.` and blanks left out, and letters of other scripts that look like
/// ours (UTS 39, section 4).
fn face(name: &str) -> String {
    let plain = name.to_lowercase().replace(['_', '-', '.', ' '], "");
    skeleton(&plain).collect()
}

fn changes(before: &Pinned, after: &Pinned) -> Vec<FieldChange> {
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let schema = |schema: &Option<serde_json::Value>| schema.as_ref().map(pretty).unwrap_or_default();
    [
        ("description", before.description.clone(), after.description.clone()),
        ("input_schema", pretty(&before.input_schema), pretty(&after.input_schema)),
        ("output_schema", schema(&before.output_schema), schema(&after.output_schema)),
        ("annotations", pretty(&json!(before.annotations)), pretty(&json!(after.annotations))),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(field, before, after)| FieldChange { field, before, after })
    .collect()
}
