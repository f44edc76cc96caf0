//! Puts an answer together from the lines of a stream.

use crate::choose::Endpoint;
use crate::draft::{Draft, Piece, arguments, list, tokens};
use crate::failure::{self, Failed};
use serde_json::{Value, json};
use station_core::{Answer, Stop, Usage};

/// What came so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    draft: Draft,
    thought: String,
    stop: Option<Stop>,
}

impl Reading {
    /// Takes one line; returns the text it adds.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, data: &str) -> Result<Option<String>, Failed> {
        let line = self.draft.read(endpoint, data)?;
        if let Some(error) = line.get("error").filter(|error| !error.is_null()) {
            return Err(failure::of_stream(endpoint, error));
        }
        self.draft.named(&line["model"]);
        let message = &line["message"];
        self.thought.push_str(message["thinking"].as_str().unwrap_or_default());
        for call in list(&message["tool_calls"]) {
            let function = &call["function"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (id, name) = (text(&call["id"]), text(&function["name"]));
            let arguments = arguments(&function["arguments"]);
            self.draft.begin(endpoint, Piece { key: None, id, name, arguments })?;
        }
        let told = self.draft.say(message["content"].as_str().unwrap_or_default());
        if line["done"] == true {
            self.end(&line);
        }
        Ok(told)
    }

    /// Whether the answer is whole: nothing follows then.
    pub(crate) fn is_whole(&self) -> bool {
        self.stop.is_some()
    }

    /// The answer, if what came is one.
    pub(crate) fn finish(mut self, endpoint: &Endpoint) -> Result<Answer, Failed> {
        let stop = self.stop.ok_or_else(|| failure::truncated(endpoint))?;
        if !self.thought.is_empty() {
            self.draft.think_at((0, 0), json!({"thinking": self.thought}));
        }
        self.draft.finish(endpoint, stop)
    }

    fn end(&mut self, line: &Value) {
        let usage = &mut self.draft.usage;
        *usage = Usage {
            input: tokens(&line["prompt_eval_count"]),
            output: tokens(&line["eval_count"]),
            ..Usage::default()
        };
        self.stop = Some(if line["done_reason"] == "length" { Stop::Length } else { Stop::End });
    }
}
