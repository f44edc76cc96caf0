//! One message as it comes in: a request, a notification, something to pass over, or something that is wrong.
//!
//! JSON-RPC 2.0 as MCP narrows it: an id is a text or a whole number, parameters are an object. Nesting deeper than
//! 128 is refused by the JSON reader.

use super::Fault;
use serde_json::{Map, Number, Value, json};
use station_core::Era;
use std::fmt;

/// The messages of one batch (revision 2025-03-26 alone has them): more is no conversation.
const BATCH_MAX: usize = 256;

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    Request(Request),
    Notification {
        method: String,
        params: Map<String, Value>,
    },
    /// An answer to what we asked: its result, or its error as an object.
    Answer {
        id: Option<Id>,
        answered: Result<Value, Value>,
    },
    /// Several messages at once.
    Batch(Vec<Frame>),
    /// It is wrong, and this says so.
    Broken {
        id: Option<Id>,
        fault: Fault,
    },
}

/// Something that is to be answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: Id,
    pub(crate) method: String,
    pub(crate) params: Map<String, Value>,
}

/// What an answer is told by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Id {
    Number(Number),
    Text(String),
}

impl Id {
    /// `value` as an id; `None` where it cannot be one.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) if !number.is_f64() => Some(Self::Number(number.clone())),
            Value::String(text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::from(text.as_str()),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

/// JSON on its way out: as a value, or as text where a part of it was text already.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// The value.
    Json(Value),
    /// Its text.
    Text(String),
}

impl From<Value> for Written {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Written {
    /// As one message of a batch.
    pub(crate) fn into_json(self) -> Value {
        match self {
            Self::Json(value) => value,
            Self::Text(text) => serde_json::from_str(&text).expect("what we wrote can be read"),
        }
    }
}

/// The answer to request `id`, with a result that may be written already.
pub(crate) fn reply_with(id: &Id, outcome: Result<Written, Fault>, era: Era) -> Written {
    match outcome {
        Ok(Written::Text(result)) => {
            Written::Text(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
        }
        Ok(Written::Json(result)) => reply(Some(id), Ok(result), era).into(),
        Err(fault) => reply(Some(id), Err(fault), era).into(),
    }
}

/// The answer to request `id`, or to one whose id could not be read.
pub(crate) fn reply(id: Option<&Id>, outcome: Result<Value, Fault>, era: Era) -> Value {
    let mut message = json!({ "jsonrpc": "2.0" });
    if let Some(id) = id {
        message["id"] = id.to_json();
    }
    match outcome {
        Ok(result) => message["result"] = result,
        Err(fault) => message["error"] = fault.to_json(era),
    }
    message
}

/// A notification.
pub(crate) fn notification(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

/// Reads what stands in `bytes`.
pub(crate) fn read(bytes: &[u8]) -> Frame {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Array(batch)) => match batch.len() {
            1..=BATCH_MAX => Frame::Batch(batch.into_iter().map(of_value).collect()),
            0 => broken(None, Fault::Request("a batch is empty".to_owned())),
            n => broken(None, Fault::Request(format!("a batch of {n} is too long: {BATCH_MAX} at most"))),
        },
        Ok(value) => of_value(value),
        // The sentence names line and column, and nothing of the text.
        Err(error) => broken(None, Fault::Parse(format!("the message cannot be read as JSON: {error}"))),
    }
}

fn broken(id: Option<Id>, fault: Fault) -> Frame {
    Frame::Broken { id, fault }
}

fn of_value(value: Value) -> Frame {
    let wrong = |id: Option<Id>, sentence: &str| broken(id, Fault::Request(sentence.to_owned()));
    let Value::Object(mut message) = value else { return wrong(None, "a message is a JSON object") };
    let id = match message.remove("id").map(|id| (Id::of(&id), id)) {
        None => None,
        Some((Some(id), _)) => Some(id),
        // An answer to nothing that can be told.
        Some((None, _)) if message.get("error").is_some() => return answer(None, &mut message),
        Some((None, _)) => return wrong(None, "an id is a text or a whole number"),
    };
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return wrong(id, "`jsonrpc` is \"2.0\" in every message");
    }
    let method = match message.remove("method") {
        Some(Value::String(method)) => method,
        None if message.get("result").is_some() || message.get("error").is_some() => {
            return answer(id, &mut message);
        }
        _ => return wrong(id, "a message names its `method`, a text"),
    };
    let params = match message.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return broken(id, Fault::Params("`params` is a JSON object".to_owned())),
    };
    match id {
        Some(id) => Frame::Request(Request { id, method, params }),
        None => Frame::Notification { method, params },
    }
}

fn answer(id: Option<Id>, message: &mut Map<String, Value>) -> Frame {
    let answered = match message.remove("error") {
        Some(error) => Err(error),
        None => Ok(message.remove("result").unwrap_or_default()),
    };
    Frame::Answer { id, answered }
}

/// The request that a notification says nobody waits for any more; nothing where it says something else.
pub(crate) fn cancelled(method: &str, params: &Map<String, Value>) -> Option<Id> {
    (method == "notifications/cancelled").then(|| params.get("requestId").and_then(Id::of)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a message is read as, in a word and with what is answered to it.
    fn shown(text: &str) -> String {
        match read(text.as_bytes()) {
            Frame::Request(request) => format!("request {} {}", request.id, request.method),
            Frame::Notification { method, .. } => format!("notification {method}"),
            Frame::Answer { .. } => "answer".to_owned(),
            Frame::Batch(frames) => format!("batch of {}", frames.len()),
            Frame::Broken { id, fault } => {
                let reply = reply(id.as_ref(), Err(fault), Era::Modern);
                let id = reply.get("id").map_or_else(|| "nobody".to_owned(), ToString::to_string);
                format!("{} to {id}: {}", reply["error"]["code"], reply["error"]["message"])
            }
        }
    }

    #[test]
    fn a_message_is_what_it_says_or_is_answered() {
        let check = |text: &str, expected: &str| assert_eq!(shown(text), expected, "{text}");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping");
        check(r#"{"jsonrpc":"2.0","id":"a","method":"ping","params":null}"#, "request \"a\" ping");
        check(r#"{"jsonrpc":"2.0","method":"notifications/x","params":{}}"#, "notification notifications/x");
        check(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "answer");
        check(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}"#, "answer");
        check(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},7]"#, "batch of 2");
        let id = "-32600 to nobody: \"an id is a text or a whole number\"";
        for wrong in ["null", "true", "1.5", "{}", "[1]"] {
            check(&format!(r#"{{"jsonrpc":"2.0","id":{wrong},"method":"ping"}}"#), id);
        }
        check(r#"{"id":1,"method":"ping"}"#, "-32600 to 1: \"`jsonrpc` is \\\"2.0\\\" in every message\"");
        check(r#"{"jsonrpc":"2.0","id":1}"#, "-32600 to 1: \"a message names its `method`, a text\"");
        check(
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            "-32600 to 1: \"a message names its `method`, a text\"",
        );
        check(
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
            "-32602 to 1: \"`params` is a JSON object\"",
        );
        check("[]", "-32600 to nobody: \"a batch is empty\"");
        check("7", "-32600 to nobody: \"a message is a JSON object\"");
        for broken in ["{", "hello", "\u{0}", &"[".repeat(10_000)] {
            assert!(shown(broken).starts_with("-32700 to nobody"), "{}", shown(broken));
        }
    }
}
