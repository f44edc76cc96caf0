//! Puts an answer together from the pieces of a stream.
//!
//! Servers differ in the details, so it is lenient in reading: a call's index or id may be missing or wrong, usage
//! may come early or late, `[DONE]` may be missing after a finish reason. It is strict about the end: an answer
//! without any sign that it is whole is truncated.

use super::failure;
use crate::ask::Failed;
use crate::choose::Endpoint;
use serde_json::Value;
use station_core::{Answer, Stop, ToolCall, Usage};
use std::collections::BTreeSet;

/// Most bytes of one answer, calls included: far above any model's output limit.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most calls in one turn: more is a model gone wrong.
const CALLS_MAX: usize = 128;
/// Most tokens that an answer can say it cost: far beyond every window, and small enough that sums stay sums.
const TOKENS_MAX: u64 = 1 << 32;

/// What came so far.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    text: String,
    refusal: String,
    calls: Vec<Piece>,
    finish: Option<String>,
    done: bool,
    usage: Usage,
    model: Option<String>,
    bytes: usize,
}

#[derive(Debug)]
struct Piece {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Assembly {
    /// Takes the data of one event; returns the text it adds.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, data: &str) -> Result<Option<String>, Failed> {
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(None);
        }
        if data.trim().is_empty() {
            return Ok(None);
        }
        self.bytes += data.len();
        if self.bytes > ANSWER_BYTES_MAX {
            return Err(failure::garbled(endpoint, "answered more than any answer is long").for_good());
        }
        let chunk: Value = serde_json::from_str(data)
            .map_err(|_| failure::garbled(endpoint, "sent something that is not JSON"))?;
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return Err(failure::of_stream(endpoint, error));
        }
        self.note(&chunk);
        let choice = &chunk["choices"][0];
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.finish = Some(reason.to_owned());
        }
        // A server that does not stream sends `message` where others send `delta`.
        let delta = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        if let Some(refusal) = delta["refusal"].as_str() {
            self.refusal.push_str(refusal);
        }
        for call in delta["tool_calls"].as_array().map_or(&[] as &[Value], Vec::as_slice) {
            self.take_call(call);
            if self.calls.len() > CALLS_MAX {
                let what = format!("wants more than {CALLS_MAX} calls in one turn");
                return Err(failure::garbled(endpoint, &what).for_good());
            }
        }
        let text = content(&delta["content"]);
        self.text.push_str(&text);
        Ok((!text.is_empty()).then_some(text))
    }

    /// Whether the answer is whole: nothing but usage can follow.
    pub(crate) fn is_whole(&self) -> bool {
        self.done || self.finish.is_some()
    }

    /// Whether nothing follows at all.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// The answer, if what came is one.
    pub(crate) fn finish(self, endpoint: &Endpoint) -> Result<Answer, Failed> {
        let stop = match self.finish.as_deref() {
            Some("length" | "max_tokens") => Stop::Length,
            Some("content_filter" | "refusal" | "safety") => Stop::Refused,
            Some("error") => return Err(failure::truncated(endpoint)),
            Some(_) => Stop::End,
            None if !self.done => return Err(failure::truncated(endpoint)),
            None => Stop::End,
        };
        let refused = !self.refusal.is_empty() && self.text.is_empty() && self.calls.is_empty();
        let (stop, text) = if refused { (Stop::Refused, self.refusal) } else { (stop, self.text) };
        if text.is_empty() && self.calls.is_empty() && stop == Stop::End {
            return Err(failure::garbled(endpoint, "gave an empty answer"));
        }
        let model = self.model.unwrap_or_else(|| endpoint.model.model.clone());
        Ok(Answer { text, calls: whole(self.calls), thinking: None, stop, usage: self.usage, model })
    }

    fn note(&mut self, chunk: &Value) {
        if let Some(model) = chunk["model"].as_str().filter(|model| !model.is_empty()) {
            self.model = Some(model.to_owned());
        }
        let usage = if chunk["usage"].is_object() { &chunk["usage"] } else { &chunk["x_groq"]["usage"] };
        if usage.is_object() {
            let count = |value: &Value| value.as_u64().unwrap_or_default().min(TOKENS_MAX);
            let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]);
            self.usage = Usage {
                input: count(&usage["prompt_tokens"]),
                output: count(&usage["completion_tokens"]),
                // DeepSeek's word for the same.
                cached: cached.max(count(&usage["prompt_cache_hit_tokens"])),
                reasoning: count(&usage["completion_tokens_details"]["reasoning_tokens"]),
            };
        }
    }

    /// A fragment belongs to the call of its index; without one, to the last. An id that differs from that call's
    /// begins another: some servers number every parallel call 0.
    fn take_call(&mut self, fragment: &Value) {
        let index = fragment["index"].as_u64();
        let id = fragment["id"].as_str().unwrap_or_default();
        let name = fragment["function"]["name"].as_str().unwrap_or_default();
        let arguments = match &fragment["function"]["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // Ollama has sent the object itself.
            other => other.to_string(),
        };
        let known = match index {
            Some(_) => self.calls.iter_mut().rev().find(|piece| piece.index == index),
            None => self.calls.last_mut(),
        };
        let is_more = |piece: &Piece| id.is_empty() || piece.id.is_empty() || piece.id == id;
        match known.filter(|piece| is_more(piece) && (index.is_some() || name.is_empty())) {
            Some(piece) => {
                if piece.id.is_empty() {
                    id.clone_into(&mut piece.id);
                }
                if piece.name.is_empty() {
                    name.clone_into(&mut piece.name);
                }
                piece.arguments.push_str(&arguments);
            }
            None => {
                self.calls.push(Piece { index, id: id.to_owned(), name: name.to_owned(), arguments });
            }
        }
    }
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

/// Content is a text, or with some servers a list of parts.
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}
