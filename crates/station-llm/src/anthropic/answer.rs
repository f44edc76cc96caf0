//! Puts an answer together from the events of a stream, each of which names its type in its data.

use crate::choose::Endpoint;
use crate::draft::{Draft, Piece, list, tokens};
use crate::failure::{self, Failed};
use serde_json::{Value, json};
use station_core::{Answer, Stop};
use std::collections::BTreeMap;

/// What came so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    draft: Draft,
    /// Thoughts that are not complete, by the index of their block, with their place in the answer.
    thoughts: BTreeMap<u64, ((usize, usize), Value)>,
    fresh: u64,
    read: u64,
    written: u64,
    stop: Option<Stop>,
    done: bool,
}

impl Reading {
    /// Takes the data of one event; returns the text it adds.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, data: &str) -> Result<Option<String>, Failed> {
        let event = self.draft.read(endpoint, data)?;
        let index = event["index"].as_u64().unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => self.note(&event["message"]),
            "content_block_start" => return self.begin(endpoint, index, &event["content_block"]),
            "content_block_delta" => return Ok(self.more(index, &event["delta"])),
            "content_block_stop" => self.end(index),
            "message_delta" => {
                self.note(&json!({"usage": event["usage"]}));
                self.stopped(&event["delta"]["stop_reason"]);
            }
            "message_stop" => self.done = true,
            "error" => return Err(failure::of_stream(endpoint, &event["error"])),
            // The whole answer where nothing is streamed.
            "message" => return self.whole(endpoint, &event),
            // `ping`, and what is still to come.
            _ => {}
        }
        Ok(None)
    }

    /// Whether the answer is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.done || self.stop.is_some()
    }

    /// Whether nothing follows at all.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// The answer, if what came is one.
    pub(crate) fn finish(mut self, endpoint: &Endpoint) -> Result<Answer, Failed> {
        if !self.is_whole() {
            return Err(failure::truncated(endpoint));
        }
        self.draft.usage.input = self.fresh + self.read + self.written;
        self.draft.usage.cached = self.read;
        self.draft.usage.cache_written = self.written;
        self.draft.finish(endpoint, self.stop.unwrap_or(Stop::End))
    }

    fn whole(&mut self, endpoint: &Endpoint, message: &Value) -> Result<Option<String>, Failed> {
        self.note(message);
        let mut told = String::new();
        for (index, block) in (0..).zip(list(&message["content"])) {
            told.extend(self.begin(endpoint, index, block)?);
            self.end(index);
        }
        self.stopped(&message["stop_reason"]);
        self.done = true;
        Ok((!told.is_empty()).then_some(told))
    }

    /// What is said of the message as a whole. Tokens are told twice, the second time in full.
    fn note(&mut self, message: &Value) {
        self.draft.named(&message["model"]);
        let usage = &message["usage"];
        self.fresh = self.fresh.max(tokens(&usage["input_tokens"]));
        self.read = self.read.max(tokens(&usage["cache_read_input_tokens"]));
        self.written = self.written.max(tokens(&usage["cache_creation_input_tokens"]));
        let known = &mut self.draft.usage;
        known.output = known.output.max(tokens(&usage["output_tokens"]));
        known.reasoning = known.reasoning.max(tokens(&usage["output_tokens_details"]["thinking_tokens"]));
    }

    fn stopped(&mut self, reason: &Value) {
        let stop = match reason.as_str() {
            None => return,
            Some("max_tokens" | "model_context_window_exceeded") => Stop::Length,
            Some("refusal") => Stop::Refused,
            Some(_) => Stop::End,
        };
        self.stop = Some(stop);
    }

    fn begin(&mut self, endpoint: &Endpoint, index: u64, block: &Value) -> Result<Option<String>, Failed> {
        let text = |name: &str| block[name].as_str().unwrap_or_default();
        match text("type") {
            "text" => return Ok(self.draft.say(text("text"))),
            "thinking" | "redacted_thinking" => {
                self.thoughts.insert(index, (self.draft.place(), block.clone()));
            }
            "tool_use" => {
                let (id, name) = (text("id").to_owned(), text("name").to_owned());
                // Empty where the arguments follow in fragments.
                let is_told = block["input"].as_object().is_some_and(|input| !input.is_empty());
                let arguments = if is_told { block["input"].to_string() } else { String::new() };
                self.draft.begin(endpoint, Piece { key: Some(index), id, name, arguments })?;
            }
            _ => {}
        }
        Ok(None)
    }

    fn more(&mut self, index: u64, delta: &Value) -> Option<String> {
        let text = |name: &str| delta[name].as_str().unwrap_or_default();
        match text("type") {
            "text_delta" => return self.draft.say(text("text")),
            "input_json_delta" => {
                if let Some(piece) = self.draft.call(index) {
                    piece.arguments.push_str(text("partial_json"));
                }
            }
            "thinking_delta" => self.think(index, "thinking", text("thinking")),
            "signature_delta" => self.think(index, "signature", text("signature")),
            _ => {}
        }
        None
    }

    fn think(&mut self, index: u64, word: &str, more: &str) {
        if let Some((_, block)) = self.thoughts.get_mut(&index) {
            let known = block[word].as_str().unwrap_or_default();
            block[word] = json!(format!("{known}{more}"));
        }
    }

    /// A block is complete. A thought without its signature would be refused when it came back.
    fn end(&mut self, index: u64) {
        if let Some((place, block)) = self.thoughts.remove(&index) {
            let is_signed = block["signature"].as_str().is_some_and(|signature| !signature.is_empty());
            if is_signed || block["type"] == "redacted_thinking" {
                self.draft.think_at(place, block);
            }
        }
    }
}
