//! What can be wrong with an answer that ends a run, and is worth one more turn.
//!
//! The model is told what to do about it; people are told what was wrong, and what they can change.

use crate::{Answer, Stop, schema};
use serde_json::Value;

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// For people, where the answer is not mended.
    pub(super) sentence: String,
    /// What they can try.
    pub(super) hints: Vec<String>,
    /// For the model.
    pub(super) told: String,
}

impl Flaw {
    /// What is wrong with `answer`, if it is the end of its run. A refusal is none: it is not mended by asking again.
    pub(super) fn of(answer: &Answer, output_schema: Option<&Value>) -> Option<Self> {
        if !answer.calls.is_empty() || answer.stop == Stop::Refused {
            return None;
        }
        if answer.stop == Stop::Length {
            return Some(Self::cut_off());
        }
        if answer.text.trim().is_empty() {
            return Some(Self::new("the answer was empty", "Answer the task now, in words."));
        }
        let errors = schema::check_text(output_schema?, &answer.text).err()?;
        let sentence = format!("the answer does not fit its schema: {}", errors.join("; "));
        Some(Self::new(&sentence, "Answer again with JSON that fits the schema, and nothing else."))
    }

    fn new(sentence: &str, demand: &str) -> Self {
        Self { sentence: sentence.to_owned(), hints: Vec::new(), told: format!("{sentence}\n{demand}") }
    }

    /// Before all else, because what was cut is empty or does not fit for this reason alone.
    fn cut_off() -> Self {
        Self {
            sentence: "the answer was cut off at the output limit: `max_tokens` is too low for it".to_owned(),
            hints: vec!["raise `max_tokens` in the `config` of the agent's file, or ask for less".to_owned()],
            told: "your answer was cut off at the output limit; answer again, shorter".to_owned(),
        }
    }
}
