//! An answer in the making: what every dialect gathers from its stream, with its limits.
//!
//! It is lenient in what a provider leaves out (ids, the model's name, usage) and strict about size. What is not here:
//! when an answer is whole, which each dialect says in its own way.

use crate::choose::Endpoint;
use crate::failure::{self, Failed};
use serde_json::Value;
use station_core::{Answer, Stop, Thinking, Thought, ToolCall, Usage, json};
use std::collections::BTreeSet;

/// Most bytes of one answer, calls included: far above any model's output limit.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most calls in one turn: more is a model gone wrong.
const CALLS_MAX: usize = 128;
/// Most tokens that an answer can say it cost: far beyond every window, and small enough that sums stay sums.
const TOKENS_MAX: u64 = 1 << 32;

/// What came so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    /// Words of a refusal, where the dialect tells them apart.
    pub(crate) refusal: String,
    pub(crate) calls: Vec<Piece>,
    pub(crate) usage: Usage,
    thoughts: Vec<Thought>,
    model: Option<String>,
    bytes: usize,
}

/// A call in the making.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// What fragments name it by, where they do.
    pub(crate) key: Option<u64>,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Draft {
    /// The data of one event as JSON.
    pub(crate) fn read(&mut self, endpoint: &Endpoint, data: &str) -> Result<Value, Failed> {
        self.bytes += data.len();
        if self.bytes > ANSWER_BYTES_MAX {
            return Err(failure::garbled(endpoint, "answered more than any answer is long").for_good());
        }
        json::read(data.as_bytes()).map_err(|_| failure::garbled(endpoint, "sent something that is not JSON"))
    }

    /// The model's name as the provider says it.
    pub(crate) fn named(&mut self, model: &Value) {
        if let Some(model) = model.as_str().filter(|model| !model.is_empty()) {
            self.model = Some(model.to_owned());
        }
    }

    /// More text; what a watcher is told.
    pub(crate) fn say(&mut self, text: &str) -> Option<String> {
        self.text.push_str(text);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A thought, at this place of the answer.
    pub(crate) fn think(&mut self, block: Value) {
        self.think_at(self.place(), block);
    }

    /// A thought that began at `place`.
    pub(crate) fn think_at(&mut self, (text, calls): (usize, usize), block: Value) {
        self.thoughts.push(Thought { text, calls, block });
    }

    /// Where the answer is now: bytes of text, and calls.
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.text.len(), self.calls.len())
    }

    /// Another call.
    pub(crate) fn begin(&mut self, endpoint: &Endpoint, piece: Piece) -> Result<(), Failed> {
        if self.calls.len() == CALLS_MAX {
            let what = format!("wants more than {CALLS_MAX} calls in one turn");
            return Err(failure::garbled(endpoint, &what).for_good());
        }
        self.calls.push(piece);
        Ok(())
    }

    /// The call whose fragments say `key`.
    pub(crate) fn call(&mut self, key: u64) -> Option<&mut Piece> {
        self.calls.iter_mut().rev().find(|piece| piece.key == Some(key))
    }

    /// The answer that stopped for this reason.
    pub(crate) fn finish(self, endpoint: &Endpoint, stop: Stop) -> Result<Answer, Failed> {
        let refused = !self.refusal.is_empty() && self.text.is_empty() && self.calls.is_empty();
        let (stop, text) = if refused { (Stop::Refused, self.refusal) } else { (stop, self.text) };
        if text.is_empty() && self.calls.is_empty() && stop == Stop::End {
            return Err(failure::garbled(endpoint, "gave an empty answer"));
        }
        let thoughts = self.thoughts;
        let thinking = (!thoughts.is_empty()).then(|| Thinking { by: endpoint.model.clone(), thoughts });
        let model = self.model.unwrap_or_else(|| endpoint.model.model.clone());
        Ok(Answer { text, calls: whole(self.calls), thinking, stop, usage: self.usage, model })
    }
}

/// A number of tokens as a provider tells it.
pub(crate) fn tokens(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default().min(TOKENS_MAX)
}

/// The arguments of a call: the text where the dialect has a text, else the object's.
pub(crate) fn arguments(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The entries of a list; none where it is no list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The calls in the order in which they began, each with an id of its own.
fn whole(pieces: Vec<Piece>) -> Vec<ToolCall> {
    let mut taken = BTreeSet::new();
    pieces
        .into_iter()
        .enumerate()
        .map(|(at, Piece { id, name, arguments, .. })| {
            let mut id = if id.is_empty() { format!("call_{at}") } else { id };
            while !taken.insert(id.clone()) {
                id = format!("{id}_{at}");
            }
            ToolCall { id, name, arguments }
        })
        .collect()
}
