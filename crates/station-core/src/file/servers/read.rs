//! What a server file says, without the values of its variables.

use super::entry::entry;
use super::load::{self, Loaded, SERVER_KEYS};
use crate::file::sheet::Sheet;
use crate::file::tree::{Member, Scalar, Value};
use crate::file::{Position, Problem};
use crate::{BlobHash, ServerSettings, Transport, tool};
use std::collections::BTreeMap;

/// A place where a server's entry asks for a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The variable's name.
    pub variable: String,
    /// Its `{{` in the file.
    pub at: Position,
}

/// One server of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key in `mcpServers`.
    pub name: String,
    /// Where that key stands.
    pub at: Position,
    /// Hash of the entry as written, with placeholders for variables: white space and the order of keys do not
    /// matter, and no value enters it.
    pub definition_hash: String,
    /// How the server is reached.
    pub transport: Transport,
    /// Its `station` key; a setting whose number is a variable is not known here, and left at its default.
    pub settings: ServerSettings,
    /// Every use of a variable on which it depends, in file order.
    pub uses: Vec<Use>,
}

/// What a file says of a variable, under `metadata.variables`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// For people.
    pub description: String,
    /// Whether the servers need a value; so it is where nothing is said and there is no default.
    pub required: bool,
    /// Whether it is to be typed unseen.
    pub secret: bool,
    /// The value where nothing else sets one. An empty one counts only if none is required.
    pub default: Option<String>,
}

/// A server file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServersFile {
    /// Its own name for itself; the name of the file is what counts.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Its servers, in file order.
    pub entries: Vec<Entry>,
    /// Its declared variables.
    pub declared: BTreeMap<String, Declared>,
}

/// Reads a server file. `value_of` tells known values of variables: they decide `{{ if }}`, and nothing else.
#[must_use]
pub fn read(
    text: &str,
    path: &str,
    value_of: &dyn Fn(&str) -> Option<String>,
) -> (Option<ServersFile>, Vec<Problem>) {
    let mut sheet = Sheet::new(text, path);
    let Some(loaded) = load::load(&mut sheet, value_of) else {
        return (None, sheet.into_problems());
    };
    let entries = load::entries(&mut sheet, &loaded.root)
        .into_iter()
        .filter_map(|member| {
            let (definition, settings) = entry(&mut sheet, member)?;
            let uses = uses(sheet.text, member, &loaded);
            Some(Entry {
                name: member.key.clone(),
                at: Position::of(sheet.text, member.at),
                definition_hash: definition_hash(sheet.text, member, &uses, &loaded),
                transport: definition.transport(),
                settings,
                uses,
            })
        })
        .collect();
    let word = |key: &str| loaded.root.get(key).filter(|node| !node.is_null())?.scalar().map(Scalar::shown);
    let file = ServersFile {
        name: word("name"),
        description: word("description"),
        entries,
        declared: loaded.declared.clone(),
    };
    sheet.finish(file)
}

/// Whether a JSON file beside the agents is meant as a server file: manifests and OpenAPI descriptions are not.
///
/// A file that cannot be parsed counts where it names the servers' key, so that its fault is told.
#[must_use]
pub fn looks_like(text: &str) -> bool {
    let names = || SERVER_KEYS.iter().any(|key| text.contains(&format!("\"{key}\"")));
    let mut sheet = Sheet::new(text, "");
    let Some(loaded) = load::load(&mut sheet, &|_| None) else { return names() };
    let is_map = |key: &str| loaded.root.get(key).is_some_and(|node| matches!(node.value, Value::Map(_)));
    loaded.root.get(SERVER_KEYS[0]).is_some()
        || (is_map(SERVER_KEYS[1]) && loaded.root.get("openapi").is_none())
}

/// The variables in the entry, and those that decide whether parts of it are there.
pub(super) fn uses(text: &str, member: &Member, loaded: &Loaded) -> Vec<Use> {
    let mut places: Vec<(usize, String)> = Vec::new();
    member.node.holes(&mut |variable, at| places.push((at, variable.to_owned())));
    places.extend(
        loaded
            .rendered
            .asked
            .iter()
            .filter(|asked| asked.extent.start < member.node.end && asked.extent.end > member.at)
            .map(|asked| (asked.at, asked.variable.clone())),
    );
    places.sort();
    places.into_iter().map(|(at, variable)| Use { variable, at: Position::of(text, at) }).collect()
}

/// A file with conditions has no one tree: then the whole text stands for each of its entries. An edit anywhere in
/// such a file makes all of its servers be discovered anew, and no value of a variable does.
fn definition_hash(text: &str, member: &Member, uses: &[Use], loaded: &Loaded) -> String {
    let entry = if loaded.rendered.asked.is_empty() { member.node.to_json() } else { text.into() };
    let defaults: BTreeMap<&str, &str> = uses
        .iter()
        .filter_map(|place| {
            Some((place.variable.as_str(), load::default_of(&loaded.declared, &place.variable)?))
        })
        .collect();
    let whole = serde_json::json!({ "entry": entry, "defaults": defaults });
    BlobHash::of(tool::canonical_json(&whole).as_bytes()).to_string()
}
