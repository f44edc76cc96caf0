//! One field of an agent's front matter changed in its place.

use super::quote::{flow_list, line_end, plain_or_quoted, quoted};
use crate::file::prompt::{split, to_json};
use crate::file::sheet::Fault;
use crate::file::tree::{Member, Node, Value as Tree};
use crate::file::{Problem, Severity, yaml};
use serde_json::{Map, Value, json};
use std::ops::Range;

/// A field's new value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Number(i64),
    /// A truth value.
    Flag(bool),
    /// Texts.
    List(&'a [String]),
}

/// Bytes to replace, and by what.
type Cut = (Range<usize>, String);

/// `text` with `key` set to `value`: a top-level key of the front matter, or one below another as `metadata.tags`.
/// A missing key is added behind its siblings. Items of a block list that stay keep their lines, comments included.
///
/// # Errors
/// A problem (without a path) where the front matter cannot be read, or where the edit would change another value.
pub fn set_field(text: &str, key: &str, value: &Field<'_>) -> Result<String, Problem> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mark = &text[..text.len() - bare.len()];
    edit(bare, key, value).map(|edited| format!("{mark}{edited}")).map_err(|fault| Problem {
        severity: Severity::Error,
        path: String::new(),
        at: fault.at,
        sentence: fault.sentence,
        hint: fault.hint,
    })
}

fn edit(text: &str, key: &str, value: &Field<'_>) -> Result<String, Fault> {
    let front = split(text)?.front;
    let root = read(text)?;
    let page = Page { text, front_end: front.end, end: line_end(text) };
    let mut edited = text.to_owned();
    let mut cuts = match key.split_once('.') {
        None => page.put(root.as_ref(), key, value),
        Some((parent, child)) => page.put_below(root.as_ref(), parent, child, value),
    }
    .ok_or_else(|| refusal(key))?;
    cuts.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    for (range, with) in cuts {
        edited.replace_range(range, &with);
    }
    let expected = expected(root.as_ref(), key, value);
    match read(&edited) {
        Ok(after)
            if after.as_ref().map(to_json) == Some(expected) && edited.ends_with(&text[front.end..]) =>
        {
            Ok(edited)
        }
        _ => Err(refusal(key)),
    }
}

fn refusal(key: &str) -> Fault {
    Fault::new(None, format!("`{key}` cannot be changed without changing other lines of the file"))
        .with_hint("edit the file by hand")
}

/// The front matter; `None` where it is empty.
fn read(text: &str) -> Result<Option<Node>, Fault> {
    let front = split(text)?.front;
    Ok(yaml::parse(&text[..front.end])?.filter(|root| !root.is_null()))
}

/// What the front matter must mean afterwards.
fn expected(root: Option<&Node>, key: &str, value: &Field<'_>) -> Value {
    let value = match value {
        Field::Text(text) => json!(text),
        Field::Number(number) => json!(number),
        Field::Flag(flag) => json!(flag),
        Field::List(items) => json!(items),
    };
    let mut fields = root.map_or_else(|| Value::Object(Map::new()), to_json);
    if let Value::Object(fields) = &mut fields {
        match key.split_once('.') {
            None => drop(fields.insert(key.to_owned(), value)),
            Some((parent, child)) => {
                let parent = fields.entry(parent).or_insert(Value::Null);
                if parent.is_null() {
                    *parent = Value::Object(Map::new());
                }
                if let Value::Object(parent) = parent {
                    parent.insert(child.to_owned(), value);
                }
            }
        }
    }
    fields
}

/// The file while an edit is planned.
struct Page<'a> {
    text: &'a str,
    /// Where the closing `---` begins.
    front_end: usize,
    /// The file's line end.
    end: &'static str,
}

impl Page<'_> {
    /// Sets a key of `map`, the root.
    fn put(&self, map: Option<&Node>, key: &str, value: &Field<'_>) -> Option<Vec<Cut>> {
        match map.and_then(|map| entry(map, key)) {
            Some(member) => self.replace(member, value),
            None => self.add_to_root(map, |_| format!("{key}: {}", written(value))),
        }
    }

    /// Sets a key of a mapping that is itself under a key of the root.
    fn put_below(
        &self,
        root: Option<&Node>,
        parent: &str,
        child: &str,
        value: &Field<'_>,
    ) -> Option<Vec<Cut>> {
        let line = format!("{child}: {}", written(value));
        let Some(member) = root.and_then(|root| entry(root, parent)) else {
            return self.add_to_root(root, |indent| format!("{parent}:{}{indent}  {line}", self.end));
        };
        if let Some(member) = entry(&member.node, child) {
            return self.replace(member, value);
        }
        if member.node.is_null() {
            let at = self.line_after(self.colon(member)?);
            return Some(vec![(at..at, format!("{}  {line}{}", self.indent(member.at)?, self.end))]);
        }
        self.add(&member.node, &line)
    }

    fn add_to_root(&self, root: Option<&Node>, line: impl Fn(&str) -> String) -> Option<Vec<Cut>> {
        let indent = match root.map(|root| (root, &root.value)) {
            Some((root, Tree::Map(_))) if self.is_flow(root) => return self.add(root, &line("")),
            Some((_, Tree::Map(members))) => self.indent(members.first()?.at)?,
            Some(_) => return None,
            None => "",
        };
        Some(vec![(self.front_end..self.front_end, format!("{indent}{}{}", line(indent), self.end))])
    }

    /// Adds an entry behind the last of a mapping.
    fn add(&self, map: &Node, line: &str) -> Option<Vec<Cut>> {
        let Tree::Map(members) = &map.value else {
            return None;
        };
        if self.is_flow(map) {
            let inside = self.text[..map.end.checked_sub(1)?].trim_end();
            let comma = if inside.ends_with(['{', ',']) { "" } else { ", " };
            return Some(vec![(inside.len()..inside.len(), format!("{comma}{line}"))]);
        }
        let (first, last) = (members.first()?, members.last()?);
        let at = self.line_after(self.colon(last)?.max(self.end_of(&last.node)));
        Some(vec![(at..at, format!("{}{line}{}", self.indent(first.at)?, self.end))])
    }

    fn replace(&self, member: &Member, value: &Field<'_>) -> Option<Vec<Cut>> {
        let node = &member.node;
        let colon = self.colon(member)?;
        let behind_colon = (colon..colon, format!(" {}", written(value)));
        match &node.value {
            // `key:` alone: nothing is written, and where the parser puts it is not behind the colon.
            Tree::Scalar(_) if node.is_null() && self.end_of(node) == node.at => Some(vec![behind_colon]),
            Tree::Scalar(scalar) if scalar.quoted && self.is_block_text(colon) => {
                Some(self.block_text(colon, node, value))
            }
            Tree::List(items) if !self.is_flow(node) => match value {
                Field::List(wanted) if !wanted.is_empty() => Some(vec![self.block_list(items, wanted)?]),
                _ => Some(vec![behind_colon, (self.lines(node), String::new())]),
            },
            Tree::Map(_) if !self.is_flow(node) => {
                Some(vec![behind_colon, (self.lines(node), String::new())])
            }
            _ => Some(vec![(node.at..self.end_of(node), written(value))]),
        }
    }

    /// Whether a text begins behind this colon that is written on the lines below (`|` or `>`).
    fn is_block_text(&self, colon: usize) -> bool {
        self.text[colon..].trim_start_matches(' ').starts_with(['|', '>'])
    }

    /// One value in place of such a text; a comment behind the `|` stays.
    fn block_text(&self, colon: usize, node: &Node, value: &Field<'_>) -> Vec<Cut> {
        let below = self.line_after(colon);
        let header = self.text[colon..below].trim_end();
        let header = header.find('#').map_or(header, |comment| header[..comment].trim_end());
        let end = self.end_of(node);
        let end = if end <= below { below } else { self.line_after(end) };
        vec![(colon..colon + header.len(), format!(" {}", written(value))), (below..end, String::new())]
    }

    /// The lines of a block list with other items: those that stay keep their lines, comments behind them included.
    fn block_list(&self, items: &[Node], wanted: &[String]) -> Option<Cut> {
        let starts: Vec<usize> = items.iter().map(|item| self.line_start(item.at)).collect();
        let end = self.line_after(self.end_of(items.last()?));
        let first = *starts.first()?;
        let line = &self.text[first..];
        let indent = &line[..line.find('-')?];
        if !indent.chars().all(|c| c == ' ') {
            return None;
        }
        let mut kept: Vec<(String, &str)> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let next = starts.get(index + 1).copied().unwrap_or(end);
            let value = item.scalar().map(crate::file::tree::Scalar::shown);
            kept.push((value.unwrap_or_default(), self.text.get(starts[index]..next)?));
        }
        let mut lines = String::new();
        for item in wanted {
            match kept.iter().position(|(value, _)| value == item) {
                Some(index) => lines.push_str(kept.remove(index).1),
                None => lines.push_str(&format!("{indent}- {}{}", quoted(item), self.end)),
            }
        }
        Some((first..end, lines))
    }

    /// Just behind the colon of an entry.
    fn colon(&self, member: &Member) -> Option<usize> {
        let quotes = if self.text[member.at..].starts_with(['"', '\'']) { 2 } else { 0 };
        let behind = member.at + member.key.len() + quotes;
        Some(behind + self.text.get(behind..)?.find(':')? + 1)
    }

    /// Where a value's last character ends: a block ends for the parser only where the next token begins.
    fn end_of(&self, node: &Node) -> usize {
        let end = match &node.value {
            Tree::List(items) if !self.is_flow(node) => items.last().map(|item| self.end_of(item)),
            Tree::Map(members) if !self.is_flow(node) => {
                members.last().map(|member| self.end_of(&member.node))
            }
            Tree::Scalar(_) | Tree::List(_) | Tree::Map(_) => None,
        };
        let end = end.unwrap_or(node.end).max(node.at);
        node.at + self.text[node.at..end].trim_end().len()
    }

    fn is_flow(&self, node: &Node) -> bool {
        // An alias stands for a collection, but is one word.
        self.text[node.at..].starts_with(['{', '[', '*'])
    }

    /// The whole lines of a block collection.
    fn lines(&self, node: &Node) -> Range<usize> {
        self.line_start(node.at)..self.line_after(self.end_of(node))
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    fn line_after(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |end| at + end + 1)
    }

    /// What stands before a key on its line, where that is only blanks.
    fn indent(&self, at: usize) -> Option<&str> {
        let indent = &self.text[self.line_start(at)..at];
        indent.chars().all(|c| c == ' ').then_some(indent)
    }
}

/// The entry of `key`. Where it is written twice, the edit is refused in the end.
fn entry<'n>(map: &'n Node, key: &str) -> Option<&'n Member> {
    let Tree::Map(members) = &map.value else {
        return None;
    };
    members.iter().find(|member| member.key == key)
}

fn written(value: &Field<'_>) -> String {
    match value {
        Field::Text(text) => plain_or_quoted(text),
        Field::Number(number) => number.to_string(),
        Field::Flag(flag) => flag.to_string(),
        Field::List(items) => flow_list(items),
    }
}

#[cfg(test)]
mod tests;
