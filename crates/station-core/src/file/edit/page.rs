//! The file while an edit is planned: where things begin and end in its text.

use crate::file::prompt::split;
use crate::file::sheet::Fault;
use crate::file::tree::{Member, Node, Value as Tree};
use crate::file::yaml;
use std::ops::Range;

/// Bytes to replace, and by what.
pub(super) type Cut = (Range<usize>, String);

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An agent's file: only its front matter is edited.
    Prompt,
    /// YAML from beginning to end: config.yaml, variables.yml, environment.yml.
    Plain,
}

impl Form {
    /// Where what is edited ends in `text`.
    pub(super) fn end(self, text: &str) -> Result<usize, Fault> {
        match self {
            Self::Prompt => Ok(split(text)?.front.end),
            Self::Plain => Ok(text.len()),
        }
    }

    /// What is edited; `None` where it is empty.
    pub(super) fn read(self, text: &str) -> Result<Option<Node>, Fault> {
        Ok(yaml::parse(&text[..self.end(text)?])?.filter(|root| !root.is_null()))
    }
}

/// A text, and where in it keys may be added.
pub(super) struct Page<'a> {
    pub(super) text: &'a str,
    /// Where the last line of what is edited ends: where a prompt's closing `---` begins.
    pub(super) front_end: usize,
    /// The file's line end.
    pub(super) end: &'static str,
}

impl Page<'_> {
    /// Just behind the colon of an entry.
    pub(super) fn colon(&self, member: &Member) -> Option<usize> {
        let quotes = if self.text[member.at..].starts_with(['"', '\'']) { 2 } else { 0 };
        let behind = member.at + member.key.len() + quotes;
        Some(behind + self.text.get(behind..)?.find(':')? + 1)
    }

    /// Where a value's last character ends: a block ends for the parser only where the next token begins.
    pub(super) fn end_of(&self, node: &Node) -> usize {
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

    pub(super) fn is_flow(&self, node: &Node) -> bool {
        // An alias stands for a collection, but is one word.
        self.text[node.at..].starts_with(['{', '[', '*'])
    }

    /// The whole lines of a block collection.
    pub(super) fn lines(&self, node: &Node) -> Range<usize> {
        self.line_start(node.at)..self.line_after(self.end_of(node))
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    pub(super) fn line_after(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |end| at + end + 1)
    }

    /// What stands before a key on its line, where that is only blanks.
    pub(super) fn indent(&self, at: usize) -> Option<&str> {
        let indent = &self.text[self.line_start(at)..at];
        indent.chars().all(|c| c == ' ').then_some(indent)
    }
}

/// The entry of `key`. Where it is written twice, the edit is refused in the end.
pub(super) fn entry<'n>(map: &'n Node, key: &str) -> Option<&'n Member> {
    let Tree::Map(members) = &map.value else {
        return None;
    };
    members.iter().find(|member| member.key == key)
}
