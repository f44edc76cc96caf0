//! What the stand-in can be told to answer, and the pieces it sends for it.

use serde_json::{Value, json};
use std::time::Duration;

/// The name under which the stand-in's model answers.
pub(super) const MODEL: &str = "stand-in-1";
/// Characters of a call's arguments per fragment: few, so that fragments end inside strings.
const FRAGMENT_CHARS: usize = 5;

/// One scripted answer.
#[derive(Clone, Debug)]
pub struct Turn {
    pub(super) answer: Answer,
    pub(super) end: End,
    pub(super) finish: Option<String>,
    pub(super) crlf: bool,
    pub(super) piece_bytes: usize,
    pub(super) every: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Message { text: String, calls: Vec<(String, String)> },
    ErrorInStream(Value),
    Status { status: u16, headers: Vec<(String, String)>, body: String },
    Raw { content_type: String, body: String },
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With `[DONE]`.
    Done,
    /// After the finish reason and usage, without `[DONE]`.
    WithoutDone,
    /// The connection is closed in the middle of the answer.
    Cut,
    /// Nothing more comes in the middle of the answer, until the client goes away.
    Stall,
    /// Nothing comes at all, until the client goes away.
    Silence,
}

/// The model says `text`.
#[must_use]
pub fn reply(text: &str) -> Turn {
    Turn::new(Answer::Message { text: text.to_owned(), calls: Vec::new() })
}

/// The model wants `calls` made: names and arguments, which need not be JSON.
#[must_use]
pub fn calls<const N: usize>(calls: [(&str, &str); N]) -> Turn {
    let calls = calls.map(|(name, arguments)| (name.to_owned(), arguments.to_owned())).into();
    Turn::new(Answer::Message { text: String::new(), calls })
}

/// The model stops at once and says nothing.
#[must_use]
pub fn empty() -> Turn {
    reply("")
}

/// The stream carries an error instead of an answer.
#[must_use]
pub fn error_in_stream(kind: &str, message: &str) -> Turn {
    Turn::new(Answer::ErrorInStream(json!({"error": {"message": message, "type": kind, "code": null}})))
}

/// A refusal with a status and OpenAI's error body.
#[must_use]
pub fn status(status: u16, message: &str) -> Turn {
    refusal(status, message, "invalid_request_error", &Value::Null)
}

/// 429 with a `Retry-After`.
#[must_use]
pub fn rate_limited(retry_after: &str) -> Turn {
    let mut turn = refusal(429, "Rate limit reached for requests", "requests", &json!("rate_limit_exceeded"));
    if let Answer::Status { headers, .. } = &mut turn.answer {
        headers.push(("Retry-After".to_owned(), retry_after.to_owned()));
    }
    turn
}

/// 401 as OpenAI words it, with a part of `key` in the message.
#[must_use]
pub fn bad_key(key: &str) -> Turn {
    let message =
        format!("Incorrect API key provided: {key}. You can find your API key at https://example.com.");
    refusal(401, &message, "invalid_request_error", &json!("invalid_api_key"))
}

/// 400: the conversation is too long.
#[must_use]
pub fn overflow() -> Turn {
    let message =
        "This model's maximum context length is 8192 tokens. Please reduce the length of the messages.";
    refusal(400, message, "invalid_request_error", &json!("context_length_exceeded"))
}

/// 404: no such model.
#[must_use]
pub fn not_found(model: &str) -> Turn {
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    refusal(404, &message, "invalid_request_error", &json!("model_not_found"))
}

/// Status 200 with any body.
#[must_use]
pub fn raw(content_type: &str, body: &str) -> Turn {
    Turn::new(Answer::Raw { content_type: content_type.to_owned(), body: body.to_owned() })
}

/// A refusal with any body.
#[must_use]
pub fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> Turn {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Turn::new(Answer::Status { status, headers, body: body.to_owned() })
}

fn refusal(status: u16, message: &str, kind: &str, code: &Value) -> Turn {
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string();
    Turn::new(Answer::Status { status, headers: Vec::new(), body })
}

impl Turn {
    fn new(answer: Answer) -> Self {
        let (end, finish) = (End::Done, None);
        Self { answer, end, finish, crlf: false, piece_bytes: usize::MAX, every: Duration::ZERO }
    }

    /// The connection is closed in the middle of the answer.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.end = End::Cut;
        self
    }

    /// Nothing more comes after the middle of the answer, until the client goes away.
    #[must_use]
    pub fn stalls(mut self) -> Self {
        self.end = End::Stall;
        self
    }

    /// Nothing comes at all, not even a status, until the client goes away.
    #[must_use]
    pub fn is_silent(mut self) -> Self {
        self.end = End::Silence;
        self
    }

    /// The stream ends without `[DONE]`, as some servers end theirs.
    #[must_use]
    pub fn without_done(mut self) -> Self {
        self.end = End::WithoutDone;
        self
    }

    /// The finish reason, where it is not `stop` or `tool_calls`.
    #[must_use]
    pub fn finish(mut self, reason: &str) -> Self {
        self.finish = Some(reason.to_owned());
        self
    }

    /// Lines end in CRLF and comments stand between events, as behind some proxies.
    #[must_use]
    pub fn through_a_proxy(mut self) -> Self {
        self.crlf = true;
        self
    }

    /// The stream is sent in pieces of so many bytes, wherever they end.
    #[must_use]
    pub fn in_pieces(mut self, bytes: usize) -> Self {
        self.piece_bytes = bytes.max(1);
        self
    }

    /// So long lies between two pieces.
    #[must_use]
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = pause;
        self
    }

    fn finish_reason(&self) -> &str {
        let calls = matches!(&self.answer, Answer::Message { calls, .. } if !calls.is_empty());
        self.finish.as_deref().unwrap_or(if calls { "tool_calls" } else { "stop" })
    }

    /// The pieces of the stream, in the order sent.
    pub(super) fn pieces(&self, include_usage: bool) -> Vec<Vec<u8>> {
        let mut events: Vec<String> = match &self.answer {
            Answer::Message { text, calls } => {
                deltas(text, calls).iter().map(|delta| chunk(delta, None)).collect()
            }
            Answer::ErrorInStream(error) => {
                vec![chunk(&json!({"role": "assistant", "content": ""}), None), error.to_string()]
            }
            Answer::Raw { body, .. } => return self.cut_up(body),
            Answer::Status { .. } => Vec::new(),
        };
        match self.end {
            End::Cut | End::Stall => events.truncate(events.len().div_ceil(2).max(1)),
            End::Silence => events.clear(),
            End::Done | End::WithoutDone if matches!(self.answer, Answer::Message { .. }) => {
                events.push(chunk(&json!({}), Some(self.finish_reason())));
                events.extend(include_usage.then(usage_chunk));
                events.extend((self.end == End::Done).then(|| "[DONE]".to_owned()));
            }
            End::Done | End::WithoutDone => {}
        }
        let line_end = if self.crlf { "\r\n" } else { "\n" };
        let comment = if self.crlf { format!(": keep-alive{line_end}{line_end}") } else { String::new() };
        let mut whole: Vec<Vec<u8>> = events
            .iter()
            .map(|data| format!("{comment}data: {data}{line_end}{line_end}").into_bytes())
            .collect();
        if self.end == End::Cut {
            // In the middle of an event, too.
            whole.push(b"data: {\"id\":\"chatcmpl-1\",\"cho".to_vec());
        }
        if self.piece_bytes == usize::MAX {
            return whole;
        }
        whole.concat().chunks(self.piece_bytes).map(<[u8]>::to_vec).collect()
    }

    /// Whether it is sent at once, with its length.
    pub(super) fn is_whole(&self) -> bool {
        self.piece_bytes == usize::MAX && self.end == End::Done
    }

    /// `body` in pieces, and only its first half where it is not to end.
    fn cut_up(&self, body: &str) -> Vec<Vec<u8>> {
        let bytes = match self.end {
            End::Cut | End::Stall => &body.as_bytes()[..body.len() / 2],
            End::Silence => &[],
            End::Done | End::WithoutDone => body.as_bytes(),
        };
        bytes.chunks(self.piece_bytes).map(<[u8]>::to_vec).collect()
    }

    /// The answer where no stream is asked for.
    pub(super) fn whole(&self) -> Value {
        let Answer::Message { text, calls } = &self.answer else { return Value::Null };
        let calls: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(at, (name, arguments))| {
                json!({"id": call_id(at), "type": "function", "function": {"name": name, "arguments": arguments}})
            })
            .collect();
        json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "usage": usage(),
            "choices": [{"index": 0, "finish_reason": self.finish_reason(),
                "message": {"role": "assistant", "content": text, "tool_calls": calls}}]})
    }
}

/// The parts of an answer: text by words; each call's head, then its arguments in fragments, those of parallel calls
/// in turns.
fn deltas(text: &str, calls: &[(String, String)]) -> Vec<Value> {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    deltas.extend(text.split_inclusive(' ').map(|word| json!({"content": word})));
    for (at, (name, _)) in calls.iter().enumerate() {
        let function = json!({"name": name, "arguments": ""});
        let call = json!({"index": at, "id": call_id(at), "type": "function", "function": function});
        deltas.push(json!({"tool_calls": [call]}));
    }
    let fragments: Vec<Vec<String>> = calls
        .iter()
        .map(|(_, arguments)| {
            let chars: Vec<char> = arguments.chars().collect();
            chars.chunks(FRAGMENT_CHARS).map(|part| part.iter().collect()).collect()
        })
        .collect();
    for round in 0..fragments.iter().map(Vec::len).max().unwrap_or(0) {
        for (at, fragments) in fragments.iter().enumerate() {
            if let Some(fragment) = fragments.get(round) {
                let call = json!({"index": at, "function": {"arguments": fragment}});
                deltas.push(json!({"tool_calls": [call]}));
            }
        }
    }
    deltas
}

fn call_id(at: usize) -> String {
    format!("call_stand_in_{at}")
}

fn chunk(delta: &Value, finish: Option<&str>) -> String {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "usage": null,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    .to_string()
}

fn usage_chunk() -> String {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [],
        "usage": usage()})
    .to_string()
}

fn usage() -> Value {
    json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 8}})
}
