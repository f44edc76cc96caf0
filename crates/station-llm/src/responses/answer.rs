//! Puts an answer together from the events of a stream. Each names its type in its data; unknown ones are passed over.

use crate::choose::Endpoint;
use crate::draft::{Draft, Piece, arguments, list, tokens};
use crate::failure::{self, Failed};
use serde_json::{Value, json};
use station_core::{Answer, Stop, Usage};

/// What came so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    draft: Draft,
    /// Items of the output that were read, by their place: the last event repeats them all.
    read: std::collections::BTreeSet<u64>,
    stop: Option<Stop>,
}

impl Reading {
    /// Takes the data of one event; returns the text it adds.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, data: &str) -> Result<Option<String>, Failed> {
        let event = self.draft.read(endpoint, data)?;
        // The whole answer where nothing is streamed.
        if event["object"] == "response" {
            return self.end(endpoint, &event);
        }
        match event["type"].as_str().unwrap_or_default() {
            "response.output_text.delta" => {
                self.read.extend(event["output_index"].as_u64());
                return Ok(self.draft.say(event["delta"].as_str().unwrap_or_default()));
            }
            "response.refusal.delta" => {
                self.draft.refusal.push_str(event["delta"].as_str().unwrap_or_default());
            }
            "response.output_item.added" if event["item"]["type"] == "function_call" => {
                self.begin(endpoint, event["output_index"].as_u64(), &event["item"])?;
            }
            "response.function_call_arguments.delta" => {
                let key = event["output_index"].as_u64().unwrap_or_default();
                if let Some(piece) = self.draft.call(key) {
                    piece.arguments.push_str(event["delta"].as_str().unwrap_or_default());
                }
            }
            "response.output_item.done" => {
                return self.item(endpoint, event["output_index"].as_u64(), &event["item"]);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                return self.end(endpoint, &event["response"]);
            }
            "error" => {
                let error = if event["error"].is_object() { &event["error"] } else { &event };
                return Err(failure::of_stream(endpoint, error));
            }
            _ => {}
        }
        Ok(None)
    }

    /// Whether the answer is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.stop.is_some()
    }

    /// The answer, if what came is one.
    pub(crate) fn finish(self, endpoint: &Endpoint) -> Result<Answer, Failed> {
        let stop = self.stop.ok_or_else(|| failure::truncated(endpoint))?;
        self.draft.finish(endpoint, stop)
    }

    fn begin(&mut self, endpoint: &Endpoint, key: Option<u64>, item: &Value) -> Result<(), Failed> {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let piece = Piece { key, id: text("call_id"), name: text("name"), arguments: String::new() };
        self.draft.begin(endpoint, piece)
    }

    /// An item that is complete. What was streamed of it is there already; what a server did not stream is taken here.
    fn item(&mut self, endpoint: &Endpoint, at: Option<u64>, item: &Value) -> Result<Option<String>, Failed> {
        let is_new = at.is_none_or(|at| self.read.insert(at));
        match item["type"].as_str().unwrap_or_default() {
            "reasoning" if is_new && item["encrypted_content"].is_string() => {
                self.draft.think(json!({"type": "reasoning", "id": item["id"], "summary": item["summary"],
                    "encrypted_content": item["encrypted_content"]}));
            }
            "function_call" if is_new => {
                let key = at.unwrap_or(u64::MAX);
                if self.draft.call(key).is_none() {
                    self.begin(endpoint, Some(key), item)?;
                }
                let whole = arguments(&item["arguments"]);
                if let Some(piece) = self.draft.call(key).filter(|_| !whole.is_empty()) {
                    piece.arguments = whole;
                }
                // Where places are not told, the next call is another one.
                if let Some(piece) = self.draft.calls.last_mut().filter(|_| at.is_none()) {
                    piece.key = None;
                }
            }
            "message" if is_new => {
                let parts = list(&item["content"]);
                if self.draft.refusal.is_empty() {
                    self.draft.refusal = parts.iter().filter_map(|part| part["refusal"].as_str()).collect();
                }
                let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
                return Ok(self.draft.say(&text));
            }
            _ => {}
        }
        Ok(None)
    }

    fn end(&mut self, endpoint: &Endpoint, response: &Value) -> Result<Option<String>, Failed> {
        let mut told = String::new();
        for (at, item) in (0..).zip(list(&response["output"])) {
            told.extend(self.item(endpoint, Some(at), item)?);
        }
        self.draft.named(&response["model"]);
        let usage = &response["usage"];
        self.draft.usage = Usage {
            input: tokens(&usage["input_tokens"]),
            output: tokens(&usage["output_tokens"]),
            cached: tokens(&usage["input_tokens_details"]["cached_tokens"]),
            reasoning: tokens(&usage["output_tokens_details"]["reasoning_tokens"]),
            ..Usage::default()
        };
        self.stop = Some(match response["status"].as_str().unwrap_or_default() {
            "failed" | "cancelled" => return Err(failure::of_stream(endpoint, &response["error"])),
            "incomplete" if response["incomplete_details"]["reason"] == "content_filter" => Stop::Refused,
            "incomplete" => Stop::Length,
            _ => Stop::End,
        });
        Ok((!told.is_empty()).then_some(told))
    }
}
