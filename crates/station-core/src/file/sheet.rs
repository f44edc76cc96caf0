//! A text while it is read: its problems, and the checked readings of its values.
//!
//! **Invariant:** no sentence made here shows a value, because any value of any file may be a secret; keys are shown.

use super::tree::{Member, Node, Value};
use super::{Position, Problem, Severity, verify};
use crate::{ToolRules, near};
use std::str::FromStr;

/// Largest file of the formats read here: real ones have a few kilobytes.
pub(super) const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Said of a text that no store can hold.
pub(super) const NUL: &str = "holds a NUL character (U+0000)";

/// Most problems told of one file: nobody reads more, and a file of another kind would have one per line.
const PROBLEMS_MAX: usize = 50;

/// The keys of a `tools` block.
const TOOL_RULES: [&str; 7] = ["allow", "deny", "approve", "read_only", "idempotent", "secret", "verify"];

/// Something wrong at a place, before it is known to which file it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: Option<Position>,
    pub(super) sentence: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(at: Option<Position>, sentence: impl Into<String>) -> Self {
        Self { at, sentence: sentence.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The text of one file and what there is to say about it.
pub(super) struct Sheet<'a> {
    pub(super) text: &'a str,
    path: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Sheet<'a> {
    /// A sheet over `text`, without the byte order mark that some editors write. Positions do not count the mark.
    pub(super) fn new(text: &'a str, path: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut sheet = Self { text, path, problems: Vec::new() };
        if text.len() > FILE_BYTES_MAX {
            sheet.push(Severity::Error, None::<usize>, "the file is larger than 1 MiB".to_owned(), None);
        }
        if let Some(at) = text.find('\0') {
            sheet.error(at, "the file holds a NUL character here");
        }
        sheet
    }

    /// Whether the file is refused.
    pub(super) fn is_broken(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// The problems, and `value` where none of them refuses the file.
    pub(super) fn finish<T>(self, value: T) -> (Option<T>, Vec<Problem>) {
        let value = (!self.is_broken()).then_some(value);
        (value, self.problems)
    }

    /// The problems alone.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Adds a fault, which refuses the file.
    pub(super) fn fault(&mut self, fault: Fault) {
        self.push(Severity::Error, fault.at, fault.sentence, fault.hint);
    }

    /// The file is refused because of what stands at byte `at`.
    pub(super) fn error(&mut self, at: usize, sentence: impl Into<String>) {
        self.push(Severity::Error, Some(at), sentence.into(), None);
    }

    /// As `error`, and what to try.
    pub(super) fn error_with_hint(
        &mut self,
        at: usize,
        sentence: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Error, Some(at), sentence.into(), Some(hint.into()));
    }

    /// It works, but probably not as meant.
    pub(super) fn warning(&mut self, at: usize, sentence: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Warning, Some(at), sentence.into(), Some(hint.into()));
    }

    /// `key` is kept, but has no effect here.
    pub(super) fn without_effect(&mut self, at: usize, key: &str) {
        self.note(at, format!("`{key}` is kept, but has no effect here"));
    }

    /// `key`, which ends with a name that is none of `known`, is kept, but has no effect here. A slip of a name that would
    /// have effect is a warning: what it was meant for does not hold.
    pub(super) fn unknown(&mut self, at: usize, key: &str, known: &[&str]) {
        let name = key.rsplit('.').next().unwrap_or(key);
        match near::hint(name, known.iter().copied()) {
            Some(hint) => self.warning(at, format!("`{key}` is kept, but has no effect here"), hint),
            None => self.without_effect(at, key),
        }
    }

    /// It works as written, but not as one might think.
    pub(super) fn note(&mut self, at: usize, sentence: impl Into<String>) {
        self.push(Severity::Note, Some(at), sentence.into(), None);
    }

    fn push(
        &mut self,
        severity: Severity,
        at: Option<impl Into<Place>>,
        sentence: String,
        hint: Option<String>,
    ) {
        // An error is always told: it is the reason for a refusal.
        if self.problems.len() >= PROBLEMS_MAX && (severity != Severity::Error || self.is_broken()) {
            return;
        }
        let at = at.map(|at| match at.into() {
            Place::Byte(at) => Position::of(self.text, at),
            Place::Known(position) => position,
        });
        self.problems.push(Problem { severity, path: self.path.to_owned(), at, sentence, hint });
    }

    /// The members of `node`, which must be a map without duplicate keys.
    pub(super) fn members<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Member] {
        let Value::Map(members) = &node.value else {
            self.error(node.at, format!("`{what}` must be a map of names to values"));
            return &[];
        };
        let mut seen = std::collections::BTreeSet::new();
        for member in members {
            if !seen.insert(&member.key) {
                let key = member.key.escape_debug();
                self.error_with_hint(
                    member.at,
                    format!("`{key}` stands twice in `{what}`"),
                    "keep one of them: which of the two is meant cannot be known",
                );
            }
        }
        members
    }

    /// The text of `node`; a number or truth value counts as the text it is written as.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match node.scalar() {
            Some(scalar) if !node.is_null() => {
                let text = scalar.shown();
                if text.contains('\0') {
                    self.error(node.at, format!("`{what}` {NUL}"));
                    return None;
                }
                Some(text)
            }
            _ => {
                self.error(node.at, format!("`{what}` must be a text"));
                None
            }
        }
    }

    /// The texts of a list; a single text counts as a list of one.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        match &node.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| self.text(item, &format!("{what}.{index}")))
                .collect(),
            Value::Scalar(_) if node.is_null() => Vec::new(),
            Value::Scalar(_) => self.text(node, what).into_iter().collect(),
            Value::Map(_) => {
                self.error(node.at, format!("`{what}` must be a list of texts"));
                Vec::new()
            }
        }
    }

    /// A map of texts, in file order.
    pub(super) fn map_of_texts(&mut self, node: &Node, what: &str) -> Vec<(String, String)> {
        self.members(node, what)
            .iter()
            .filter_map(|member| {
                let text = self.text(&member.node, &format!("{what}.{}", member.key))?;
                Some((member.key.clone(), text))
            })
            .collect()
    }

    /// A value that `parse` understands. `None` without a problem where the value is null, or is not known yet.
    pub(super) fn value<T>(
        &mut self,
        node: &Node,
        what: &str,
        must_be: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let scalar = node.scalar();
        if node.is_null() || scalar.is_some_and(super::tree::Scalar::is_open) {
            return None;
        }
        let value = scalar.and_then(|scalar| parse(scalar.shown().trim()));
        if value.is_none() {
            self.error(node.at, format!("`{what}` must be {must_be}"));
        }
        value
    }

    /// `true` or `false`, spelled so.
    pub(super) fn truth(&mut self, node: &Node, what: &str) -> Option<bool> {
        self.value(node, what, "`true` or `false`", |word| word.parse().ok())
    }

    /// A whole number of at least `least`.
    pub(super) fn number<T: Whole>(&mut self, node: &Node, what: &str, least: T) -> Option<T> {
        let digits = node.scalar().map(|scalar| scalar.shown().trim().to_owned()).unwrap_or_default();
        let is_beyond =
            !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) && digits.parse::<T>().is_err();
        let must_be = match is_beyond {
            true => format!("a whole number from {least} to {}", T::MOST),
            false => format!("a whole number of {least} or more"),
        };
        self.value(node, what, &must_be, |text| text.parse().ok().filter(|number| *number >= least))
    }

    /// The `tools` block of a server entry or of an environment.
    pub(super) fn tool_rules(&mut self, node: &Node, what: &str) -> ToolRules {
        let mut rules = ToolRules::default();
        for member in self.members(node, what) {
            let what = format!("{what}.{}", member.key);
            let list = match member.key.as_str() {
                "allow" if member.node.is_null() => continue,
                "allow" => rules.allow.insert(Vec::new()),
                "deny" => &mut rules.deny,
                "approve" => &mut rules.approve,
                "read_only" => &mut rules.read_only,
                "idempotent" => &mut rules.idempotent,
                "secret" => &mut rules.secret,
                "verify" if member.node.is_null() => continue,
                "verify" => {
                    rules.verify = verify::read(self, &member.node, &what);
                    continue;
                }
                _ => {
                    self.unknown(member.at, &what, &TOOL_RULES);
                    continue;
                }
            };
            *list = self.texts(&member.node, &what);
        }
        rules
    }
}

/// A whole number that a file may hold.
pub(super) trait Whole: Copy + FromStr + PartialOrd + std::fmt::Display {
    /// The largest.
    const MOST: Self;
}

impl Whole for u16 {
    const MOST: Self = Self::MAX;
}

impl Whole for u32 {
    const MOST: Self = Self::MAX;
}

impl Whole for u64 {
    const MOST: Self = Self::MAX;
}

/// A place in a text, as a byte or as line and column.
enum Place {
    Byte(usize),
    Known(Position),
}

impl From<usize> for Place {
    fn from(at: usize) -> Self {
        Self::Byte(at)
    }
}

impl From<Position> for Place {
    fn from(at: Position) -> Self {
        Self::Known(at)
    }
}
