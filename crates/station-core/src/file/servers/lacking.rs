//! The variables that a server lacks, told so that a person can be asked for them.

use super::load::{self, default_of};
use crate::file::sheet::Sheet;
use crate::file::tree::{Member, Value};
use crate::plain::is_of_a_secret;
use std::collections::BTreeSet;

/// A variable that a server needs and that has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Its name.
    pub variable: String,
    /// What `metadata.variables` says of it; may be empty.
    pub description: String,
    /// Whether it is not to be asked of a client: it is a secret (the file says so, or its name, or the name of a setting that it
    /// fills), or it says what is started, or where secrets are sent.
    pub is_secret: bool,
}

/// What the entry of `server` lacks with the values that `is_known`, in the order in which it asks for it; nothing where the file
/// cannot be read: whoever resolves it says why.
#[must_use]
pub fn lacking(
    text: &str,
    path: &str,
    server: &str,
    value_of: &dyn Fn(&str) -> Option<String>,
) -> Vec<Lacking> {
    let mut sheet = Sheet::new(text, path);
    let Some(loaded) = load::load(&mut sheet, value_of) else { return Vec::new() };
    let entries = load::entries(&mut sheet, &loaded.root);
    let Some(member) = entries.into_iter().find(|member| member.key == server) else { return Vec::new() };
    let has_value = |name: &str| value_of(name).is_some() || default_of(&loaded.declared, name).is_some();
    let mut needed: Vec<String> = Vec::new();
    member.node.holes(&mut |name, _| {
        if !has_value(name) && needed.iter().all(|known| known != name) {
            needed.push(name.to_owned());
        }
    });
    let hidden = hidden(member);
    needed
        .into_iter()
        .map(|variable| {
            let declared = loaded.declared.get(&variable);
            Lacking {
                description: declared.map(|it| it.description.clone()).unwrap_or_default(),
                is_secret: declared.is_some_and(|it| it.secret)
                    || is_of_a_secret(&variable)
                    || hidden.contains(&variable),
                variable,
            }
        })
        .collect()
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
        let value_of = |name: &str| (name == "KNOWN").then(|| "k".to_owned());
        let found: Vec<(String, String, bool)> = lacking(text, "a.json", "a", &value_of)
            .into_iter()
            .map(|it| (it.variable, it.description, it.is_secret))
            .collect();
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
        assert_eq!(lacking(text, "a.json", "b", &value_of), []);
        assert_eq!(lacking("{", "a.json", "a", &value_of), []);
    }
}
