//! One server with every value: what a connection is made from.

use super::Declared;
use super::entry::entry;
use super::load::{self, default_of};
use crate::file::json;
use crate::file::sheet::Sheet;
use crate::file::tree::{Member, Value};
use crate::file::{Position, Problem};
use crate::plain::is_of_a_secret;
use crate::{Definition, Secret, ServerSettings, is_plain};
use std::collections::{BTreeMap, BTreeSet};

/// A variable that a server needs and that has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub variable: String,
    /// Where the server first asks for it.
    pub at: Position,
    /// In which file.
    pub path: String,
    /// What `metadata.variables` says of it; may be empty.
    pub description: String,
    /// Whether it is not to be asked of a client: it is a secret (the file says so, or its name, or the name of a setting that it
    /// fills), or it says what is started, or where secrets are sent.
    pub is_secret: bool,
}

/// Why a server's definition cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// All variables without a value, in the order of their first use.
    Missing(Vec<Missing>),
    /// The file is broken, has no such server, or a value does not fit its place.
    Broken(Vec<Problem>),
}

/// Resolves the definition of `server` with the values of its variables.
///
/// # Errors
/// All missing variables at once, or else all problems.
pub fn resolve(
    text: &str,
    path: &str,
    server: &str,
    value_of: &dyn Fn(&str) -> Option<Secret>,
) -> Result<(Definition, ServerSettings), Unresolved> {
    let mut sheet = Sheet::new(text, path);
    let known = |name: &str| value_of(name).map(|value| value.expose().to_owned());
    let Some(loaded) = load::load(&mut sheet, &known) else {
        return Err(Unresolved::Broken(sheet.into_problems()));
    };
    let entries = load::entries(&mut sheet, &loaded.root);
    let Some(member) = entries.into_iter().find(|member| member.key == server) else {
        sheet.error(loaded.root.at, format!("the file defines no server `{}`", server.escape_debug()));
        return Err(Unresolved::Broken(sheet.into_problems()));
    };
    let value = |name: &str| value_of(name).or_else(|| default_of(&loaded.declared, name).map(Secret::new));
    let missing = missing(sheet.text, path, member, &loaded.declared, &value);
    if !missing.is_empty() {
        return Err(Unresolved::Missing(missing));
    }
    let mut faults = Vec::new();
    let fill = |name: &str| value(name).map(|value| value.expose().to_owned()).unwrap_or_default();
    let node = json::fill(&member.node, &fill, &mut faults);
    for (at, variable) in faults {
        sheet.error_with_hint(
            at,
            format!("variable `{variable}` stands outside quotes, and its value is no number, `true`, `false` or `null`"),
            "put it between quotes if a text is meant",
        );
    }
    let filled = Member { key: member.key.clone(), at: member.at, node };
    let resolved = entry(&mut sheet, &filled);
    match (resolved, sheet.is_broken()) {
        (Some((definition, settings)), false) => {
            let is_secret = |name: &str| loaded.declared.get(name).is_some_and(|declared| declared.secret);
            Ok((with_filled(definition, untold(member, &value, &is_secret)), settings))
        }
        _ => Err(Unresolved::Broken(sheet.into_problems())),
    }
}

/// The values that stand in the entry and may be secrets: what the file calls one, and all that is not plain.
fn untold(
    member: &Member,
    value: &dyn Fn(&str) -> Option<Secret>,
    is_secret: &dyn Fn(&str) -> bool,
) -> Vec<Secret> {
    let mut names = BTreeSet::new();
    member.node.holes(&mut |variable, _| {
        names.insert(variable.to_owned());
    });
    let may_be_told = |name: &str, value: &Secret| !is_secret(name) && is_plain(name, value.expose());
    names.iter().filter_map(|name| value(name).filter(|value| !may_be_told(name, value))).collect()
}

fn with_filled(mut definition: Definition, values: Vec<Secret>) -> Definition {
    match &mut definition {
        Definition::Stdio { filled, .. } | Definition::Http { filled, .. } => *filled = values,
    }
    definition
}

/// The variables without a value among those that stand in the entry itself: a condition needs none.
fn missing(
    text: &str,
    path: &str,
    member: &Member,
    declared: &BTreeMap<String, Declared>,
    value: &dyn Fn(&str) -> Option<Secret>,
) -> Vec<Missing> {
    let mut needed: BTreeMap<String, usize> = BTreeMap::new();
    member.node.holes(&mut |variable, at| {
        needed.entry(variable.to_owned()).or_insert(at);
    });
    needed.retain(|variable, _| value(variable).is_none());
    if needed.is_empty() {
        return Vec::new();
    }
    let hidden = hidden(member);
    let mut missing: Vec<Missing> = needed
        .into_iter()
        .map(|(variable, at)| {
            let declared = declared.get(&variable);
            Missing {
                at: Position::of(text, at),
                path: path.to_owned(),
                description: declared.map(|it| it.description.clone()).unwrap_or_default(),
                is_secret: declared.is_some_and(|it| it.secret)
                    || is_of_a_secret(&variable)
                    || hidden.contains(&variable),
                variable,
            }
        })
        .collect();
    missing.sort_by_key(|missing| missing.at);
    missing
}

/// Variables that fill settings whose names are those of secrets, and those that say what is started and where it is reached: who
/// answers a form must not choose that.
fn hidden(member: &Member) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for key in ["command", "url", "cwd"] {
        if let Some(node) = member.node.get(key) {
            node.holes(&mut |name, _| {
                found.insert(name.to_owned());
            });
        }
    }
    for key in ["env", "headers"] {
        let Some(Value::Map(settings)) = member.node.get(key).map(|node| &node.value) else { continue };
        for setting in settings.iter().filter(|setting| is_of_a_secret(&setting.key)) {
            setting.node.holes(&mut |name, _| {
                found.insert(name.to_owned());
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_lacks_is_told_with_whether_it_is_a_secret() {
        let text = r#"{"mcpServers": {"a": {"command": "x", "args": ["{{ .REGION }}", "{{ .KNOWN }}", "{{ .REGION }}"],
            "env": {"API_TOKEN": "{{ .PLAIN }}", "URL": "{{ .BASE }}/{{ .DB_PASSWORD }}", "X": "{{ .TOLD }}"}}},
            "metadata": {"variables": {"REGION": {"description": "Where"}, "BASE": {"default": "http://a"},
            "TOLD": {"secret": true}}}}"#;
        let value_of = |name: &str| (name == "KNOWN").then(|| Secret::new("k"));
        let Err(Unresolved::Missing(missing)) = resolve(text, "a.json", "a", &value_of) else {
            panic!("it lacks something");
        };
        let found: Vec<(String, String, bool)> =
            missing.into_iter().map(|it| (it.variable, it.description, it.is_secret)).collect();
        let row = |name: &str, says: &str, is_secret| (name.to_owned(), says.to_owned(), is_secret);
        assert_eq!(
            found,
            [
                row("REGION", "Where", false),
                row("PLAIN", "", true),
                row("DB_PASSWORD", "", true),
                row("TOLD", "", true),
            ]
        );
        for (text, server) in [(text, "b"), ("{", "a")] {
            assert!(matches!(resolve(text, "a.json", server, &value_of), Err(Unresolved::Broken(_))));
        }
    }
}
