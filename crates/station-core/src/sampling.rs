//! A model that a tool server asks for while it is at work on a call (`sampling/createMessage`): what its file allows it, what
//! it asks, and what it is answered.
//!
//! The server is a stranger, and so are its words: they are sent as they are, in its name. **Invariant:** nothing of a run is in
//! what a model is asked here. System prompt and messages are the server's own, whatever `includeContext` wants, and no tools
//! go along. Which model is asked is said by the server's file alone, so `modelPreferences` decide nothing.

use crate::answers::Refused;
use crate::run::{Prepared, Settings};
use crate::{Answer, Message, Stop};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Bytes of the words of one request: many pages, and far from what a journal should keep of a stranger.
const WORDS_BYTES_MAX: usize = 256 * 1024;

/// Texts at which a model is to stop that are passed on: no provider takes more.
const STOPS_MAX: usize = 16;

/// What a server's file allows: `station.answers.sampling` of its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Which model is asked.
    pub model: Lent,
    /// Tokens of one answer at most.
    pub tokens_max: u32,
    /// Requests of the server at most while it is at work on one call, those included that were refused.
    pub requests_max: u32,
}

/// Which model a server is lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lent {
    /// The one that the run is asking itself.
    Own,
    /// The one of this name.
    Named(String),
}

impl Sampling {
    /// Tokens of one answer where the file does not say: a page or two, as servers ask for summaries and choices.
    pub const TOKENS_MAX: u32 = 1_024;
    /// Requests of one call where the file does not say.
    pub const REQUESTS_MAX: u32 = 4;
}

/// What a model is asked for a server. A word of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The server's own system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What it has said, and what it wants answered: neither twice in a row by one side.
    pub messages: Vec<Message>,
    /// How the model is to answer; the length is within what the file allows.
    pub settings: Settings,
}

impl Asked {
    /// Reads the parameters of a request; no answer is longer than `sampling` says.
    ///
    /// # Errors
    /// What is not as the protocol has it, or cannot be passed on.
    pub fn read(params: &Value, sampling: &Sampling) -> Result<Self, Refused> {
        // The protocol wants an error where they are sent without having been declared.
        if ["tools", "toolChoice"].iter().any(|key| params.get(key).is_some_and(|it| !it.is_null())) {
            return Err(invalid("no tools can be used: `sampling.tools` was not declared"));
        }
        let system = match &params["systemPrompt"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            _ => return Err(invalid("`systemPrompt` must be a text")),
        };
        let tokens = params["maxTokens"].as_u64().filter(|tokens| *tokens > 0);
        let tokens = tokens.ok_or_else(|| invalid("`maxTokens` must be a whole number of 1 or more"))?;
        let stops = params["stopSequences"].as_array().into_iter().flatten();
        let settings = Settings {
            temperature: params["temperature"].as_f64(),
            max_output_tokens: Some(u32::try_from(tokens).unwrap_or(u32::MAX).min(sampling.tokens_max)),
            stop: stops.filter_map(Value::as_str).take(STOPS_MAX).map(str::to_owned).collect(),
            ..Settings::default()
        };
        let asked = Self { system, messages: messages(&params["messages"])?, settings };
        if asked.bytes() > WORDS_BYTES_MAX {
            return Err(invalid("more is asked than 256 KiB"));
        }
        Ok(asked)
    }

    /// The conversation as a model is sent it.
    #[must_use]
    pub fn conversation(&self) -> Vec<Message> {
        let system = self.system.iter().map(|text| Message::System { text: text.clone() });
        system.chain(self.messages.iter().cloned()).collect()
    }

    /// What goes along with the conversation: settings, and no tools.
    #[must_use]
    pub fn prepared(&self) -> Prepared {
        let settings = self.settings.clone();
        Prepared { system: String::new(), tools: Vec::new(), settings, output_schema: None }
    }

    fn bytes(&self) -> usize {
        let said = self.system.iter().map(String::len).chain(self.messages.iter().map(|it| words(it).len()));
        said.sum::<usize>() + self.settings.stop.iter().map(String::len).sum::<usize>()
    }
}

/// The words of a message, for people.
#[must_use]
pub fn words(message: &Message) -> &str {
    match message {
        Message::System { text }
        | Message::User { text }
        | Message::Assistant { text, .. }
        | Message::Tool { text, .. } => text,
    }
}

/// An answer as the protocol has it: the result of the request.
///
/// # Errors
/// It is none that can be passed on.
pub fn result(answer: &Answer) -> Result<Value, Refused> {
    let stop = match answer.stop {
        Stop::Refused => return Err(Refused::no("the model refused to answer")),
        Stop::End => "endTurn",
        Stop::Length => "maxTokens",
    };
    if !answer.calls.is_empty() {
        return Err(Refused::no("the model wanted to call tools, and has none"));
    }
    let content = json!({ "type": "text", "text": answer.text });
    Ok(json!({ "role": "assistant", "content": content, "model": answer.model, "stopReason": stop }))
}

/// What is said, in turns.
fn messages(said: &Value) -> Result<Vec<Message>, Refused> {
    let said = said.as_array().ok_or_else(|| invalid("`messages` must be a list"))?;
    let mut messages: Vec<Message> = Vec::new();
    for one in said {
        let text = text(&one["content"])?;
        match (one["role"].as_str(), messages.last_mut()) {
            (Some("user"), Some(Message::User { text: before }))
            | (Some("assistant"), Some(Message::Assistant { text: before, .. })) => {
                before.push_str("\n\n");
                before.push_str(&text);
            }
            (Some("user"), _) => messages.push(Message::User { text }),
            (Some("assistant"), Some(_)) => {
                messages.push(Message::Assistant { text, calls: Vec::new(), thinking: None });
            }
            (Some("assistant"), None) => return Err(invalid("the first of `messages` must be the user's")),
            _ => return Err(invalid("the role of a message must be `user` or `assistant`")),
        }
    }
    match messages.last() {
        Some(Message::User { .. }) => Ok(messages),
        Some(_) => Err(invalid("the last of `messages` must be the user's")),
        None => Err(invalid("`messages` must not be empty")),
    }
}

/// The text of one block, or of several.
fn text(content: &Value) -> Result<String, Refused> {
    let blocks = match content {
        Value::Array(blocks) => blocks.as_slice(),
        block => std::slice::from_ref(block),
    };
    let texts = blocks.iter().map(|block| match (block["type"].as_str(), &block["text"]) {
        (Some("text"), Value::String(text)) => Ok(text.as_str()),
        (Some("image" | "audio"), _) => Err(invalid("only texts are passed on to a model")),
        (Some("tool_use" | "tool_result"), _) => Err(invalid("no tools can be used, nor told of")),
        _ => Err(invalid("the content of a message must be a text block, or a list of them")),
    });
    let text = texts.collect::<Result<Vec<_>, _>>()?.join("\n");
    if text.is_empty() { Err(invalid("a message must not be empty")) } else { Ok(text) }
}

fn invalid(message: &'static str) -> Refused {
    Refused { code: -32602, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ToolCall, Usage};

    const SAMPLING: Sampling = Sampling { model: Lent::Own, tokens_max: 100, requests_max: 1 };

    #[test]
    fn a_request_is_read_as_the_protocol_has_it_or_refused_with_a_sentence() {
        let user = |text: &str| json!({ "role": "user", "content": { "type": "text", "text": text } });
        let said = |content: Value| json!([{ "role": "user", "content": content }]);
        let check = |params: Value, expected: Result<&str, &str>| {
            let read = Asked::read(&params, &SAMPLING).map(|asked| {
                let told = |message: &Message| match message {
                    Message::System { text } => format!("system {text:?}"),
                    Message::User { text } => format!("user {text:?}"),
                    Message::Assistant { text, .. } => format!("assistant {text:?}"),
                    Message::Tool { .. } => "tool".to_owned(),
                };
                let told: Vec<String> = asked.conversation().iter().map(told).collect();
                let Settings { temperature, max_output_tokens, stop, .. } = asked.settings;
                format!("{} {temperature:?} {} {stop:?}", told.join(", "), max_output_tokens.unwrap_or(0))
            });
            let read = read.map_err(|refused| {
                assert_eq!(refused.code, -32602);
                refused.message
            });
            assert_eq!(read.as_deref().map_err(|message| *message), expected, "{params}");
        };
        check(json!({ "messages": [user("hi")], "maxTokens": 7 }), Ok(r#"user "hi" None 7 []"#));
        // However much is asked for, no more than the file allows; context and preferences change nothing.
        check(
            json!({
                "messages": [user("a"), { "role": "assistant", "content": [{ "type": "text", "text": "b" }] }, user("c"), user("d")],
                "systemPrompt": "be brief", "maxTokens": 5_000_000_000_u64, "temperature": 0.5, "stopSequences": ["x", 7],
                "includeContext": "allServers", "modelPreferences": { "hints": [{ "name": "big" }] }, "metadata": {},
            }),
            Ok(r#"system "be brief", user "a", assistant "b", user "c\n\nd" Some(0.5) 100 ["x"]"#),
        );
        let with = |key: &str, value: Value| {
            let mut params = json!({ "messages": [user("hi")], "maxTokens": 7 });
            params[key] = value;
            params
        };
        let picture = json!({ "type": "image", "data": "AAAA", "mimeType": "image/png" });
        for (key, value, expected) in [
            ("tools", json!([]), "no tools can be used: `sampling.tools` was not declared"),
            ("toolChoice", json!({}), "no tools can be used: `sampling.tools` was not declared"),
            ("systemPrompt", json!(7), "`systemPrompt` must be a text"),
            ("maxTokens", json!(0), "`maxTokens` must be a whole number of 1 or more"),
            ("maxTokens", Value::Null, "`maxTokens` must be a whole number of 1 or more"),
            ("messages", json!("hi"), "`messages` must be a list"),
            ("messages", json!([]), "`messages` must not be empty"),
            ("messages", json!([7]), "the content of a message must be a text block, or a list of them"),
            (
                "messages",
                said(json!("hi")),
                "the content of a message must be a text block, or a list of them",
            ),
            ("messages", said(json!([])), "a message must not be empty"),
            ("messages", said(picture), "only texts are passed on to a model"),
            ("messages", said(json!({ "type": "tool_result" })), "no tools can be used, nor told of"),
            (
                "messages",
                json!([{ "role": "system", "content": { "type": "text", "text": "x" } }]),
                "the role of a message must be `user` or `assistant`",
            ),
            (
                "messages",
                json!([{ "role": "assistant", "content": { "type": "text", "text": "x" } }]),
                "the first of `messages` must be the user's",
            ),
            (
                "messages",
                json!([user("x"), { "role": "assistant", "content": { "type": "text", "text": "x" } }]),
                "the last of `messages` must be the user's",
            ),
            ("messages", json!([user(&"x".repeat(WORDS_BYTES_MAX + 1))]), "more is asked than 256 KiB"),
        ] {
            check(with(key, value), Err(expected));
        }
        check(Value::Null, Err("`maxTokens` must be a whole number of 1 or more"));
    }

    #[test]
    fn an_answer_is_passed_on_as_the_protocol_has_it_or_not_at_all() {
        let check = |stop: Stop, calls: &[&str], expected: Result<Value, &str>| {
            let call = |name: &&str| ToolCall {
                id: "1".to_owned(),
                name: (*name).to_owned(),
                arguments: String::new(),
            };
            let answer = Answer {
                text: "so".to_owned(),
                calls: calls.iter().map(call).collect(),
                thinking: None,
                stop,
                usage: Usage::default(),
                model: "m".to_owned(),
            };
            assert_eq!(result(&answer).map_err(|refused| refused.message), expected);
        };
        let whole = |stop: &str| json!({ "role": "assistant", "content": { "type": "text", "text": "so" }, "model": "m", "stopReason": stop });
        check(Stop::End, &[], Ok(whole("endTurn")));
        check(Stop::Length, &[], Ok(whole("maxTokens")));
        check(Stop::Refused, &[], Err("the model refused to answer"));
        check(Stop::End, &["rm"], Err("the model wanted to call tools, and has none"));
    }
}
