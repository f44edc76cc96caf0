//! What is of the protocol in what a server sends: a line of its stdout, an event, or the body of an HTTP answer.
//!
//! Read leniently, because one thing that cannot be understood must not take its neighbours with it: text is passed
//! over, a batch is taken apart, and an answer that makes no sense becomes an error for whoever waits for it.

use super::skim;
use super::traffic::Traffic;
use crate::convert;
use rmcp::model::{ErrorCode, ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage, ServerResult};
use serde_json::Value;
use station_core::json;

/// Progress and log messages: a server may send millions. They go to whoever hears them where they are read, so that they come
/// before the answer that they are about, and where nobody does they cost nothing but the reading.
const CHATTER: [&str; 2] = ["notifications/progress", "notifications/message"];

/// A server's request for a model.
pub(super) const SAMPLING: &str = "sampling/createMessage";

/// What a server asks the client, while it is at work for it.
const QUESTIONS: [&str; 3] = ["elicitation/create", SAMPLING, "roots/list"];

/// Before the method of a question that goes to whoever hears it: under this name rmcp hands it on unread.
pub(super) const ASKED: &str = "station/asked:";

/// What some programs write before all else; a reader may pass over it (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes of one message. A tool that returns more than this returns a file, not an answer.
pub(super) const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The messages in a line: mostly one, several in a batch, none where the line is not of the protocol.
pub(super) fn messages(line: &[u8], traffic: &Traffic) -> Vec<ServerJsonRpcMessage> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    if !matches!(line.first(), Some(b'{' | b'[')) {
        if !line.is_empty() {
            tracing::debug!(bytes = line.len(), "a server printed text among its messages");
        }
        return Vec::new();
    }
    match json::read(line) {
        Ok(Value::Array(batch)) => batch.into_iter().filter_map(|it| message(it, traffic)).collect(),
        Ok(value) => message(value, traffic).into_iter().collect(),
        // What cannot be read of one must not take the others of its batch with it.
        Err(_) if line.starts_with(b"[") => {
            skim::pieces(line).into_iter().filter_map(|it| one(it, traffic)).collect()
        }
        Err(error) => unreadable(line, &error).into_iter().collect(),
    }
}

/// Reads any bytes as what a server sends, for whoever tries them.
pub(crate) fn read_any(bytes: &[u8]) {
    drop(messages(bytes, &Traffic::default()));
}

/// A message of a batch.
fn one(piece: &[u8], traffic: &Traffic) -> Option<ServerJsonRpcMessage> {
    match json::read(piece) {
        Ok(value) => message(value, traffic),
        Err(error) => unreadable(piece, &error),
    }
}

/// What is said in place of an answer that cannot be read, to whoever waits for it.
fn unreadable(text: &[u8], error: &serde_json::Error) -> Option<ServerJsonRpcMessage> {
    tracing::debug!(%error, bytes = text.len(), "a server's message could not be read");
    let id = skim::answered(text)?;
    Some(in_place_of_answer(id, &format!("the answer could not be read: {error}")))
}

/// One message; an answer that cannot be understood becomes an error answer, so that nobody waits for it in vain.
fn message(mut value: Value, traffic: &Traffic) -> Option<ServerJsonRpcMessage> {
    let method = value.get("method").and_then(Value::as_str);
    if let Some(method) = CHATTER.into_iter().find(|it| method == Some(it)) {
        traffic.hear(method, value["params"].take());
        return None;
    }
    if let Some(method) = QUESTIONS.into_iter().find(|it| method == Some(it))
        && traffic.can_ask(method)
    {
        value["method"] = format!("{ASKED}{method}").into();
    }
    let id = value.get("id").cloned();
    let is_answer =
        value.get("method").is_none() && (value.get("result").is_some() || value.get("error").is_some());
    if is_answer && value.get("result").is_some_and(convert::is_whole) {
        let id = serde_json::from_value::<RequestId>(id?).ok()?;
        let result = convert::enclosed(value["result"].take());
        return Some(JsonRpcMessage::response(ServerResult::CallToolResult(result), id));
    }
    match serde_json::from_value(value) {
        Ok(message) => Some(message),
        Err(error) if is_answer => {
            let id = serde_json::from_value::<RequestId>(id?).ok()?;
            tracing::debug!(%error, "a server's answer could not be read");
            Some(in_place_of_answer(id, "the answer could not be read"))
        }
        Err(error) => {
            tracing::debug!(%error, "a server's message could not be read");
            None
        }
    }
}

/// An answer of ours in place of one that will not come, so that nobody waits for it.
pub(super) fn in_place_of_answer(id: RequestId, words: &str) -> ServerJsonRpcMessage {
    JsonRpcMessage::error(ErrorData::new(ErrorCode::INTERNAL_ERROR, words.to_owned(), None), Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(line: &[u8]) -> Vec<ServerJsonRpcMessage> {
        super::messages(line, &Traffic::default())
    }

    #[test]
    fn a_line_holds_messages_or_is_passed_over() {
        let check = |line: &str, expected: &[&str]| {
            let found: Vec<String> = messages(line.as_bytes())
                .iter()
                .map(|message| serde_json::to_string(message).unwrap())
                .collect();
            assert_eq!(found, expected, "{line}");
        };
        check("Server running on stdio\n", &[]);
        check("\r\n", &[]);
        check("{not json\n", &[]);
        check(
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\r\n",
            &[r#"{"jsonrpc":"2.0","id":1,"result":{}}"#],
        );
        check(
            r#"[{"jsonrpc":"2.0","id":1,"result":{}},7,{"jsonrpc":"2.0","id":2,"result":{}}]"#,
            &[r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#],
        );
        check(
            r#"{"jsonrpc":"2.0","id":3,"error":"odd"}"#,
            &[r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32603,"message":"the answer could not be read"}}"#],
        );
    }

    #[test]
    fn an_answer_with_a_broken_letter_is_an_answer() {
        let line = [&br#"{"jsonrpc":"2.0","id":1,"result":{"x":"a"#[..], b"\xff", br#"b"}}"#].concat();
        let found = messages(&line);
        assert_eq!(serde_json::to_value(&found[0]).unwrap()["result"]["x"], "a\u{fffd}b");
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_told_at_once() {
        let check = |line: &str, id: u32, why: &str| {
            let found = messages(line.as_bytes());
            let [JsonRpcMessage::Error(error)] = &found[..] else { panic!("{line}: {found:?}") };
            assert_eq!(error.id, Some(RequestId::Number(id.into())), "{line}");
            assert_eq!(error.error.message, format!("the answer could not be read: {why}"), "{line}");
        };
        check(
            r#"{"id":1,"jsonrpc":"2.0","result":{"x":1e999}}"#,
            1,
            "number out of range at line 1 column 43",
        );
        let deep = format!(r#"{{"id":2,"result":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, 2, "recursion limit exceeded at line 1 column 144");
        // Nothing else of its batch is lost.
        let batch =
            r#"[{"jsonrpc":"2.0","id":1,"result":1e999},{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}]"#;
        assert_eq!(messages(batch.as_bytes()).len(), 2);
        let doubled = r#"{"jsonrpc":"2.0","id":1,"id":2,"result":{}}"#;
        assert_eq!(messages(doubled.as_bytes()).len(), 1);
        assert_eq!(messages("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}".as_bytes()).len(), 1);
    }

    #[test]
    fn chatter_is_passed_over() {
        let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
        let log =
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
        assert_eq!(messages(progress.as_bytes()).len(), 0);
        assert_eq!(messages(format!("[{log},{progress}]").as_bytes()).len(), 0);
        let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        assert_eq!(messages(changed.as_bytes()).len(), 1);
    }
}
