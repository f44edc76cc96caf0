//! The schemas of an agent's file, with the place of what is wrong in them.

use super::read::to_json;
use crate::file::sheet::Sheet;
use crate::file::tree::{Node, Scalar, Value as Tree};
use crate::file::{json, picoschema, yaml};
use crate::schema::{self, Fault};
use serde_json::Value;

/// A schema as a mapping, as Picoschema, or as a text of JSON.
pub(super) fn schema_of(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Option<Value> {
    if node.is_null() {
        return None;
    }
    let text = node.scalar().map(Scalar::shown).filter(|text| text.trim_start().starts_with('{'));
    let written = match &text {
        None => to_json(node),
        Some(text) => match serde_json::from_str(text) {
            Ok(schema) => schema,
            Err(error) => {
                let at = place_in(sheet.text, node, text, json::place(text, &error));
                sheet.error(at, format!("`{what}` is not JSON: {}", json::told(&error)));
                return None;
            }
        },
    };
    let faults = match picoschema::to_json_schema(&written) {
        Ok(schema) => match schema::fault(&schema) {
            None => return Some(schema),
            Some(fault) => vec![fault],
        },
        Err(faults) => faults,
    };
    for Fault { path, sentence } in faults {
        let at = match &text {
            None => place_of(node, &path),
            // What is JSON is YAML.
            Some(text) => {
                let root = yaml::parse(text).ok().flatten();
                place_in(sheet.text, node, text, root.map_or(0, |root| place_of(&root, &path)))
            }
        };
        let field = path.iter().fold(what.to_owned(), |what, key| format!("{what}.{key}"));
        sheet.error(at, format!("`{field}`: {sentence}"));
    }
    None
}

/// Where the value under `path` stands: as deep as the tree goes.
fn place_of(node: &Node, path: &[String]) -> usize {
    let below = path.split_first().and_then(|(key, rest)| {
        let child = match &node.value {
            Tree::List(items) => items.get(key.parse::<usize>().ok()?),
            Tree::Map(_) | Tree::Scalar(_) => node.get(key),
        };
        child.map(|child| (child, rest))
    });
    match below {
        Some((child, rest)) => place_of(child, rest),
        None => node.at,
    }
}

/// Where byte `offset` of `inner`, the text of the scalar `node`, stands in `text`, the file. A scalar is written with
/// quotes, escapes and indents in between that are no part of its text.
fn place_in(text: &str, node: &Node, inner: &str, offset: usize) -> usize {
    let (mut place, mut at) = (node.at, node.at);
    let before = inner.char_indices().take_while(|(at, _)| *at <= offset);
    for (_, c) in before.filter(|(_, c)| !c.is_whitespace()) {
        let Some(length) = text.get(at..node.end).and_then(|rest| rest.find(c)) else { return node.at };
        place = at + length;
        at = place + c.len_utf8();
    }
    place
}
