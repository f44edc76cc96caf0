//! Text to tree: render, parse, find the servers and the declared variables.

use super::Declared;
use crate::file::json;
use crate::file::sheet::Sheet;
use crate::file::template::{self, Rendered};
use crate::file::tree::{Member, Node, Scalar, Value};
use std::collections::BTreeMap;

/// A parsed server file.
pub(super) struct Loaded {
    pub(super) root: Node,
    pub(super) rendered: Rendered,
    pub(super) declared: BTreeMap<String, Declared>,
}

/// The two names under which servers stand.
pub(in crate::file) const SERVER_KEYS: [&str; 2] = ["mcpServers", "servers"];

/// Keys of a file that say something about it to people and other programs, and need no effect here.
const QUIET: &[&str] = &[
    "$schema",
    "author",
    "category",
    "created_at",
    "description",
    "license",
    "logoUrl",
    "metadata",
    "name",
    "tags",
    "updated_at",
    "version",
];

/// Renders and parses; `None` after an error.
pub(super) fn load(sheet: &mut Sheet<'_>, value_of: &dyn Fn(&str) -> Option<String>) -> Option<Loaded> {
    if sheet.is_broken() {
        return None;
    }
    let first = parse(sheet, value_of)?;
    let decides = |name: &str| value_of(name).is_none() && default_of(&first.declared, name).is_some();
    if !first.rendered.asked.iter().any(|asked| decides(&asked.variable)) {
        return Some(first);
    }
    // A default decides conditions too, and is known only once the file is parsed.
    let declared = first.declared;
    parse(sheet, &|name| value_of(name).or_else(|| default_of(&declared, name).map(str::to_owned)))
}

/// The value of a variable that nothing else sets.
pub(super) fn default_of<'a>(declared: &'a BTreeMap<String, Declared>, name: &str) -> Option<&'a str> {
    let declared = declared.get(name)?;
    match declared.default.as_deref() {
        // `"required": true, "default": ""` is how the Go program writes "no default".
        Some("") if declared.required => None,
        Some(default) => Some(default),
        None => (!declared.required).then_some(""),
    }
}

fn parse(sheet: &mut Sheet<'_>, value_of: &dyn Fn(&str) -> Option<String>) -> Option<Loaded> {
    let rendered = template::render(sheet.text, value_of);
    let parsed = rendered.and_then(|rendered| Ok((json::parse(&rendered, sheet.text)?, rendered)));
    match parsed {
        Ok((root, rendered)) => {
            let declared = declared(&root);
            Some(Loaded { root, rendered, declared })
        }
        Err(fault) => {
            sheet.fault(fault);
            None
        }
    }
}

/// The server entries, in file order.
pub(super) fn entries<'n>(sheet: &mut Sheet<'_>, root: &'n Node) -> Vec<&'n Member> {
    let mut entries: Vec<&Member> = Vec::new();
    let mut found: Option<&str> = None;
    for member in sheet.members(root, "the file") {
        if SERVER_KEYS.contains(&member.key.as_str()) {
            let first = found.replace(&member.key);
            let n_before = entries.len();
            for entry in sheet.members(&member.node, &member.key) {
                check_name(sheet, entry);
                if first.is_some() && entries[..n_before].iter().any(|known| known.key == entry.key) {
                    let name = entry.key.escape_debug();
                    sheet.error(entry.at, format!("server `{name}` stands under `mcpServers` and `servers`"));
                }
                entries.push(entry);
            }
        } else if !QUIET.contains(&member.key.as_str()) {
            sheet.unknown(member.at, &member.key.escape_debug().to_string(), &SERVER_KEYS);
        }
    }
    if found.is_none() && !sheet.is_broken() {
        sheet.error_with_hint(
            root.at,
            "the file defines no servers: it has neither `mcpServers` nor `servers`",
            "write `{\"mcpServers\": {\"name\": {\"command\": \"…\"}}}`",
        );
    }
    if entries.len() > SERVERS_MAX {
        sheet.error(root.at, "the file defines more than 1,000 servers");
        entries.clear();
    }
    entries
}

/// Most servers of one file: a workspace with a hundred is large.
const SERVERS_MAX: usize = 1_000;

/// Longest server name: it becomes part of tool names and of messages.
const NAME_CHARS_MAX: usize = 128;

fn check_name(sheet: &mut Sheet<'_>, entry: &Member) {
    let name = &entry.key;
    let fits = !name.is_empty() && name.trim() == name && !name.chars().any(char::is_control);
    if !fits || name.chars().count() > NAME_CHARS_MAX {
        sheet.error_with_hint(
            entry.at,
            format!("`{}` cannot be the name of a server", name.escape_debug()),
            "use 1 to 128 characters, none of them a control character, no blank at either end",
        );
    }
}

/// `metadata.variables`. It is for people first: what is not understood in it is passed over.
fn declared(root: &Node) -> BTreeMap<String, Declared> {
    let Some(Value::Map(variables)) =
        root.get("metadata").and_then(|metadata| metadata.get("variables")).map(|node| &node.value)
    else {
        return BTreeMap::new();
    };
    variables
        .iter()
        .map(|variable| {
            let text = |key: &str| {
                let node = variable.node.get(key).filter(|node| !node.is_null())?;
                node.scalar().map(Scalar::shown)
            };
            let default = text("default");
            let required = match text("required").as_deref() {
                Some(word) => word == "true",
                // Nothing is said: a variable that a template asks for is needed, unless there is a default.
                None => default.as_deref().is_none_or(str::is_empty),
            };
            let secret = text("secret").as_deref() == Some("true");
            let description = text("description").unwrap_or_default();
            (variable.key.clone(), Declared { description, required, secret, default })
        })
        .collect()
}
