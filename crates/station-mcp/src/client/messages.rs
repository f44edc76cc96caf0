//! What is of the protocol in what a server sends: a line of its stdout, an event, or the body of an HTTP answer.
//!
//! Read leniently, because one thing that cannot be understood must not take its neighbours with it: text is passed
//! over, a batch is taken apart, and an answer that makes no sense becomes an error for whoever waits for it.

use rmcp::model::{
    ErrorCode, ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage, ServerNotification,
};
use serde_json::Value;

/// Bytes of one message. A tool that returns more than this returns a file, not an answer.
pub(super) const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The messages in a line: mostly one, several in a batch, none where the line is not of the protocol.
pub(super) fn messages(line: &[u8]) -> Vec<ServerJsonRpcMessage> {
    let line = line.trim_ascii();
    if !matches!(line.first(), Some(b'{' | b'[')) {
        if !line.is_empty() {
            tracing::debug!(bytes = line.len(), "a server printed text among its messages");
        }
        return Vec::new();
    }
    if let Ok(message) = serde_json::from_slice(line) {
        return Vec::from_iter((!is_chatter(&message)).then_some(message));
    }
    // What is not UTF-8 is shown with replacement characters: an answer with a broken letter is an answer.
    match serde_json::from_str(&String::from_utf8_lossy(line)) {
        Ok(Value::Array(batch)) => batch.into_iter().filter_map(message).collect(),
        Ok(value) => message(value).into_iter().collect(),
        Err(_) => Vec::new(),
    }
}

/// One message; an answer that cannot be understood becomes an error answer, so that nobody waits for it in vain.
fn message(value: Value) -> Option<ServerJsonRpcMessage> {
    let id = value.get("id").cloned();
    let is_answer =
        value.get("method").is_none() && (value.get("result").is_some() || value.get("error").is_some());
    match serde_json::from_value(value) {
        Ok(message) => (!is_chatter(&message)).then_some(message),
        Err(error) if is_answer => {
            let id = serde_json::from_value::<RequestId>(id?).ok()?;
            tracing::debug!(%error, "a server's answer could not be read");
            let data = ErrorData::new(ErrorCode::INTERNAL_ERROR, "the answer could not be read", None);
            Some(JsonRpcMessage::error(data, Some(id)))
        }
        Err(error) => {
            tracing::debug!(%error, "a server's message could not be read");
            None
        }
    }
}

/// Progress and log messages: nobody here listens to them, and a server may send millions. Passed over where they are
/// read, they cost nothing but the reading.
fn is_chatter(message: &ServerJsonRpcMessage) -> bool {
    let JsonRpcMessage::Notification(it) = message else { return false };
    matches!(
        it.notification,
        ServerNotification::ProgressNotification(_) | ServerNotification::LoggingMessageNotification(_)
    )
}

/// An answer of ours in place of one that will not come, so that nobody waits for it.
pub(super) fn in_place_of_answer(id: RequestId, words: &str) -> ServerJsonRpcMessage {
    JsonRpcMessage::error(ErrorData::new(ErrorCode::INTERNAL_ERROR, words.to_owned(), None), Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

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
