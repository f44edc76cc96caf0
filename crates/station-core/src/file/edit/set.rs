//! One value of a YAML text changed in its place.

use super::flow;
use super::page::{Cut, Form, Page, entry};
use super::quote::{flow_list, line_end, plain_or_quoted, quoted};
use crate::file::prompt::to_json;
use crate::file::sheet::Fault;
use crate::file::tree::{Member, Node, Scalar, Value as Tree};
use crate::file::{Problem, Severity};
use serde_json::{Map, Value, json};

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

/// `text`, an agent's file, with `key` set to `value`: a top-level key of the front matter, or one below another as
/// `metadata.tags`. A missing key is added behind its siblings. Items of a block list that stay keep their lines,
/// comments included.
///
/// # Errors
/// A problem (without a path) where the front matter cannot be read, or where the edit would change another value.
pub fn set_field(text: &str, key: &str, value: &Field<'_>) -> Result<String, Problem> {
    marked(text, |text| edit(Form::Prompt, text, &path(key), value))
}

/// As [`set_field`] for a file that is YAML from beginning to end; `path` leads to the key, from the root on.
///
/// # Errors
/// As [`set_field`].
pub fn set_key(text: &str, path: &[&str], value: &Field<'_>) -> Result<String, Problem> {
    marked(text, |text| whole_lines(text, |text| edit(Form::Plain, text, path, value)))
}

/// The keys that lead to a field: at most two, so that the name of a model may hold dots.
pub(super) fn path(key: &str) -> Vec<&str> {
    key.splitn(2, '.').collect()
}

/// Edits `text` without its byte order mark.
pub(super) fn marked(
    text: &str,
    edit: impl FnOnce(&str) -> Result<String, Fault>,
) -> Result<String, Problem> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mark = &text[..text.len() - bare.len()];
    edit(bare).map(|edited| format!("{mark}{edited}")).map_err(|fault| Problem {
        severity: Severity::Error,
        path: String::new(),
        at: fault.at,
        sentence: fault.sentence,
        hint: fault.hint,
    })
}

/// Edits `text` as if its last line had an end; where it has none, it has none afterwards.
pub(super) fn whole_lines(
    text: &str,
    edit: impl FnOnce(&str) -> Result<String, Fault>,
) -> Result<String, Fault> {
    if text.is_empty() || text.ends_with('\n') {
        return edit(text);
    }
    let end = line_end(text);
    let edited = edit(&format!("{text}{end}"))?;
    Ok(edited.strip_suffix(end).map(str::to_owned).unwrap_or(edited))
}

fn edit(form: Form, text: &str, path: &[&str], value: &Field<'_>) -> Result<String, Fault> {
    let root = form.read(text)?;
    let page = Page { text, front_end: form.end(text)?, end: line_end(text) };
    let cuts = page.put(root.as_ref(), path, value).ok_or_else(|| refusal(path))?;
    carried_out(form, &page, cuts, &expected(root.as_ref(), path, value)).ok_or_else(|| refusal(path))
}

/// The text after `cuts`, where it then means `expected` and nothing behind what is edited has changed.
pub(super) fn carried_out(
    form: Form,
    page: &Page<'_>,
    mut cuts: Vec<Cut>,
    expected: &Value,
) -> Option<String> {
    let mut edited = page.text.to_owned();
    cuts.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    for (range, with) in cuts {
        edited.replace_range(range, &with);
    }
    let after = form.read(&edited).ok()?.map_or_else(|| Value::Object(Map::new()), |root| to_json(&root));
    (after == *expected && edited.ends_with(&page.text[page.front_end..])).then_some(edited)
}

pub(super) fn refusal(path: &[&str]) -> Fault {
    let key = path.join(".");
    Fault::new(None, format!("`{key}` cannot be changed without changing other lines of the file"))
        .with_hint("edit the file by hand")
}

/// What the text must mean afterwards.
fn expected(root: Option<&Node>, path: &[&str], value: &Field<'_>) -> Value {
    let value = match value {
        Field::Text(text) => json!(text),
        Field::Number(number) => json!(number),
        Field::Flag(flag) => json!(flag),
        Field::List(items) => json!(items),
    };
    let mut whole = root.map_or_else(|| Value::Object(Map::new()), to_json);
    let mut place = &mut whole;
    for key in path {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        // What is no map has no place for a key: the edit is refused, because the text will not mean this.
        let Value::Object(fields) = place else { return whole };
        place = fields.entry(*key).or_insert(Value::Null);
    }
    *place = value;
    whole
}

impl Page<'_> {
    /// Sets what `path` leads to.
    fn put(&self, root: Option<&Node>, path: &[&str], value: &Field<'_>) -> Option<Vec<Cut>> {
        let (first, below) = path.split_first()?;
        match root.and_then(|root| entry(root, first)) {
            Some(member) => self.put_below(member, below, value),
            None => self.add_to_root(root, path, value),
        }
    }

    /// Sets what `path` leads to from `member` on.
    fn put_below(&self, member: &Member, path: &[&str], value: &Field<'_>) -> Option<Vec<Cut>> {
        let Some((key, below)) = path.split_first() else { return self.replace(member, value) };
        if let Some(child) = entry(&member.node, key) {
            return self.put_below(child, below, value);
        }
        if member.node.is_null() {
            let at = self.line_after(self.colon(member)?);
            let indent = format!("{}  ", self.indent(member.at)?);
            return Some(vec![(
                at..at,
                format!("{indent}{}{}", self.lines_of(&indent, path, value), self.end),
            )]);
        }
        self.add(&member.node, path, value)
    }

    fn add_to_root(&self, root: Option<&Node>, path: &[&str], value: &Field<'_>) -> Option<Vec<Cut>> {
        let indent = match root.map(|root| (root, &root.value)) {
            Some((root, Tree::Map(_))) if self.is_flow(root) => return self.add(root, path, value),
            Some((_, Tree::Map(members))) => self.indent(members.first()?.at)?,
            Some(_) => return None,
            None => "",
        };
        let lines = self.lines_of(indent, path, value);
        Some(vec![(self.front_end..self.front_end, format!("{indent}{lines}{}", self.end))])
    }

    /// Adds an entry behind the last of a mapping.
    fn add(&self, map: &Node, path: &[&str], value: &Field<'_>) -> Option<Vec<Cut>> {
        let Tree::Map(members) = &map.value else {
            return None;
        };
        if self.is_flow(map) {
            let inside = self.text[..map.end.checked_sub(1)?].trim_end();
            let comma = if inside.ends_with(['{', ',']) { "" } else { ", " };
            return Some(vec![(inside.len()..inside.len(), format!("{comma}{}", flow_of(path, value)))]);
        }
        let (first, last) = (members.first()?, members.last()?);
        let at = self.line_after(self.colon(last)?.max(self.end_of(&last.node)));
        let indent = self.indent(first.at)?;
        Some(vec![(at..at, format!("{indent}{}{}", self.lines_of(indent, path, value), self.end))])
    }

    /// A new entry in block style, without the indent of its first line and the end of its last.
    fn lines_of(&self, indent: &str, path: &[&str], value: &Field<'_>) -> String {
        match path {
            [] => String::new(),
            [key] => format!("{}: {}", key_of(key), written(value)),
            [key, below @ ..] => {
                let indent = format!("{indent}  ");
                format!("{}:{}{indent}{}", key_of(key), self.end, self.lines_of(&indent, below, value))
            }
        }
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
            Tree::List(items) if self.text[node.at..].starts_with('[') => {
                let kept = match value {
                    Field::List(wanted) => flow::items(self, node, items, wanted),
                    Field::Text(_) | Field::Number(_) | Field::Flag(_) => None,
                };
                Some(vec![(node.at..self.end_of(node), kept.unwrap_or_else(|| written(value)))])
            }
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
            let value = item.scalar().map(Scalar::shown);
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
}

/// A new entry in flow style.
fn flow_of(path: &[&str], value: &Field<'_>) -> String {
    match path {
        [] => String::new(),
        [key] => format!("{}: {}", key_of(key), written(value)),
        [key, below @ ..] => format!("{}: {{{}}}", key_of(key), flow_of(below, value)),
    }
}

/// A key as it is written. Names of variables may begin with `_`, which needs no quotes before a colon.
fn key_of(key: &str) -> String {
    let is_name = key.starts_with('_') && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { key.to_owned() } else { plain_or_quoted(key) }
}

fn written(value: &Field<'_>) -> String {
    match value {
        Field::Text(text) => plain_or_quoted(text),
        Field::Number(number) => number.to_string(),
        Field::Flag(flag) => flag.to_string(),
        Field::List(items) => flow_list(items),
    }
}
