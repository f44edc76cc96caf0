//! What a span or an event says of itself, read for whoever counts it or sends it on.

use std::borrow::Cow;
use std::fmt;
use tracing::field::{Field, Visit};

/// The fields of a span or an event, as far as they were said; what is said again takes the place of what was said before.
#[derive(Debug, Default)]
pub struct Said(Vec<(&'static str, Word)>);

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A text, or what else has no sort of its own here.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl Said {
    /// The value of a field; `None` where it was not said.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Word> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, word)| word)
    }

    /// The same as text; empty where it was not said.
    #[must_use]
    pub fn text(&self, name: &str) -> Cow<'_, str> {
        match self.get(name) {
            Some(Word::Text(text)) => Cow::Borrowed(text),
            Some(Word::Number(number)) => Cow::Owned(number.to_string()),
            None => Cow::Borrowed(""),
        }
    }

    /// The same as a count; 0 where it was not said.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        match self.get(name) {
            Some(Word::Number(number)) => u64::try_from(*number).unwrap_or_default(),
            Some(Word::Text(_)) | None => 0,
        }
    }

    fn put(&mut self, field: &Field, word: Word) {
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, before)) => *before = word,
            None => self.0.push((field.name(), word)),
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Word::Text(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Word::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Word::Number(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Word::Text(format!("{value:?}")));
    }
}
