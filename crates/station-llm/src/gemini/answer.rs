//! Puts an answer together from the chunks of a stream, each of which looks like a whole answer.

use crate::choose::Endpoint;
use crate::draft::{Draft, Piece, arguments, list, tokens};
use crate::failure::{self, Failed};
use serde_json::{Value, json};
use station_core::{Answer, Stop, Usage};

/// What came so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    draft: Draft,
    stop: Option<Stop>,
    /// The provider's word where the model wrote a call that cannot be read.
    garbled: Option<String>,
}

impl Reading {
    /// Takes the data of one event; returns the text it adds.
    pub(crate) fn take(&mut self, endpoint: &Endpoint, data: &str) -> Result<Option<String>, Failed> {
        let chunk = self.draft.read(endpoint, data)?;
        // Without `alt=sse`, and behind some gateways, chunks come as a list.
        let chunks = if chunk.is_array() { list(&chunk) } else { std::slice::from_ref(&chunk) };
        let mut told = String::new();
        for chunk in chunks {
            told.push_str(&self.chunk(endpoint, chunk)?);
        }
        Ok((!told.is_empty()).then_some(told))
    }

    /// Whether the answer is whole: nothing but usage can follow.
    pub(crate) fn is_whole(&self) -> bool {
        self.stop.is_some()
    }

    /// The answer, if what came is one.
    pub(crate) fn finish(self, endpoint: &Endpoint) -> Result<Answer, Failed> {
        let stop = self.stop.ok_or_else(|| failure::truncated(endpoint))?;
        if let Some(reason) = self.garbled.filter(|_| self.draft.calls.is_empty()) {
            return Err(failure::garbled(endpoint, &format!("wrote a call that cannot be read ({reason})")));
        }
        self.draft.finish(endpoint, stop)
    }

    fn chunk(&mut self, endpoint: &Endpoint, chunk: &Value) -> Result<String, Failed> {
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return Err(failure::of_stream(endpoint, error));
        }
        self.note(chunk);
        let mut told = String::new();
        let candidate = &chunk["candidates"][0];
        for part in list(&candidate["content"]["parts"]) {
            told.push_str(&self.part(endpoint, part)?);
        }
        if let Some(reason) = candidate["finishReason"].as_str().filter(|reason| !reason.is_empty()) {
            self.stopped(reason);
        }
        if let Some(reason) = chunk["promptFeedback"]["blockReason"].as_str() {
            self.stop = Some(Stop::Refused);
            self.draft.refusal = format!("the provider blocked the request: {reason}");
        }
        Ok(told)
    }

    fn part(&mut self, endpoint: &Endpoint, part: &Value) -> Result<String, Failed> {
        let signature = part["thoughtSignature"].as_str().filter(|signature| !signature.is_empty());
        let call = &part["functionCall"];
        if call.is_object() {
            if let Some(signature) = signature {
                self.draft.think(json!({"of": "call", "thoughtSignature": signature}));
            }
            let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
            let arguments = arguments(&call["args"]);
            self.draft.begin(endpoint, Piece { key: None, id: text("id"), name: text("name"), arguments })?;
            return Ok(String::new());
        }
        // A summary of thoughts is for people who asked for it.
        let is_thought = part["thought"] == true;
        let said = part["text"].as_str().filter(|_| !is_thought).unwrap_or_default();
        let told = self.draft.say(said).unwrap_or_default();
        if let Some(signature) = signature.filter(|_| !is_thought) {
            self.draft.think(json!({"of": "text", "thoughtSignature": signature}));
        }
        Ok(told)
    }

    fn stopped(&mut self, reason: &str) {
        self.stop = Some(match reason {
            "MAX_TOKENS" => Stop::Length,
            "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE"
            | "IMAGE_SAFETY" => Stop::Refused,
            "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MISSING_THOUGHT_SIGNATURE" => {
                self.garbled = Some(reason.to_owned());
                Stop::End
            }
            _ => Stop::End,
        });
    }

    fn note(&mut self, chunk: &Value) {
        self.draft.named(&chunk["modelVersion"]);
        let usage = &chunk["usageMetadata"];
        if usage.is_object() {
            let reasoning = tokens(&usage["thoughtsTokenCount"]);
            self.draft.usage = Usage {
                input: tokens(&usage["promptTokenCount"]) + tokens(&usage["toolUsePromptTokenCount"]),
                // Thoughts are counted beside the answer here, and within it elsewhere.
                output: tokens(&usage["candidatesTokenCount"]) + reasoning,
                cached: tokens(&usage["cachedContentTokenCount"]),
                reasoning,
                ..Usage::default()
            };
        }
    }
}
