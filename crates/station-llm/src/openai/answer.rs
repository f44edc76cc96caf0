//! Puts an answer together from the pieces of a stream.
//!
//! Servers differ in the details, so it is lenient in reading: a call's index or id may be missing or wrong, usage
//! may come early or late, `[DONE]` may be missing after a finish reason. It is strict about the end: an answer
//! without any sign that it is whole is truncated.

use crate::choose::Endpoint;
use crate::draft::{Draft, Piece, arguments, list, tokens};
use crate::failure::{self, Failed};
use crate::openai::THOUGHTS;
use serde_json::{Value, json};
use station_core::{Answer, Stop, Usage};

/// What came so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    draft: Draft,
    thought: Option<(&'static str, String)>,
    finish: Option<String>,
    done: bool,
}

impl Reading {
    /// Takes the data of one event; returns the text it adds.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, data: &str) -> Result<Option<String>, Failed> {
        if data.trim() == "[DONE]" {
            self.done = true;
            return Ok(None);
        }
        let chunk = self.draft.read(endpoint, data)?;
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
            self.draft.refusal.push_str(refusal);
        }
        self.think(delta);
        for call in list(&delta["tool_calls"]) {
            self.take_call(endpoint, call)?;
        }
        Ok(self.draft.say(&content(&delta["content"])))
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
    pub(crate) fn finish(mut self, endpoint: &Endpoint) -> Result<Answer, Failed> {
        if let Some((word, thought)) = self.thought.take() {
            self.draft.think_at((0, 0), json!({ word: thought }));
        }
        let stop = match self.finish.as_deref() {
            Some("length" | "max_tokens") => Stop::Length,
            Some("content_filter" | "refusal" | "safety") => Stop::Refused,
            Some("error") => return Err(failure::truncated(endpoint)),
            Some(_) => Stop::End,
            None if !self.done => return Err(failure::truncated(endpoint)),
            None => Stop::End,
        };
        self.draft.finish(endpoint, stop)
    }

    /// Thoughts are kept under the word that the server has for them, of which some servers send two at once.
    fn think(&mut self, delta: &Value) {
        let said =
            |word: &&'static str| Some((*word, delta[*word].as_str().filter(|text| !text.is_empty())?));
        let Some((word, text)) = THOUGHTS.iter().find_map(said) else { return };
        self.thought.get_or_insert_with(|| (word, String::new())).1.push_str(text);
    }

    fn note(&mut self, chunk: &Value) {
        self.draft.named(&chunk["model"]);
        let usage = if chunk["usage"].is_object() { &chunk["usage"] } else { &chunk["x_groq"]["usage"] };
        if usage.is_object() {
            let cached = tokens(&usage["prompt_tokens_details"]["cached_tokens"]);
            self.draft.usage = Usage {
                input: tokens(&usage["prompt_tokens"]),
                output: tokens(&usage["completion_tokens"]),
                // DeepSeek's word for the same.
                cached: cached.max(tokens(&usage["prompt_cache_hit_tokens"])),
                reasoning: tokens(&usage["completion_tokens_details"]["reasoning_tokens"]),
                ..Usage::default()
            };
        }
    }

    /// A fragment belongs to the call of its index; without one, to the last. An id that differs from that call's
    /// begins another: some servers number every parallel call 0.
    fn take_call(&mut self, endpoint: &Endpoint, fragment: &Value) -> Result<(), Failed> {
        let key = fragment["index"].as_u64();
        let id = fragment["id"].as_str().unwrap_or_default();
        let name = fragment["function"]["name"].as_str().unwrap_or_default();
        // Ollama has sent the object itself.
        let arguments = arguments(&fragment["function"]["arguments"]);
        let known = match key {
            Some(key) => self.draft.call(key),
            None => self.draft.calls.last_mut(),
        };
        let is_more = |piece: &Piece| id.is_empty() || piece.id.is_empty() || piece.id == id;
        match known.filter(|piece| is_more(piece) && (key.is_some() || name.is_empty())) {
            Some(piece) => {
                if piece.id.is_empty() {
                    id.clone_into(&mut piece.id);
                }
                if piece.name.is_empty() {
                    name.clone_into(&mut piece.name);
                }
                piece.arguments.push_str(&arguments);
                Ok(())
            }
            None => {
                let piece = Piece { key, id: id.to_owned(), name: name.to_owned(), arguments };
                self.draft.begin(endpoint, piece)
            }
        }
    }
}

/// Content is a text, or with some servers a list of parts.
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}
