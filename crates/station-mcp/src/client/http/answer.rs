//! What a response means: its kind, its body within limits, and what a refusal says about the request.

use super::outgoing::Kind;
use super::target::explain;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use rmcp::model::{ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use station_core::json;

/// The code of the protocol's own SDKs for what is wrong with a request before anybody reads it.
const TRANSPORT_FAULT: i32 = -32000;

/// The code of the protocol's own SDKs for a session that they do not know.
const SESSION_FAULT: i64 = -32001;

/// What is said of a session that a server does not know any more.
const FORGOTTEN: &str = "its session had ended, and the request was not carried out";

/// What a status that is no success says about a request.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// The server itself answered, with an error of the protocol.
    Answered(ErrorData),
    /// The server does not know the session any more, or who asks, and looked at nothing else: the same may be asked in a
    /// new one.
    Forgotten(String),
    /// It was not taken, so it was not carried out.
    Declined {
        /// As the rest of a sentence that begins with the server's name.
        words: String,
        /// Whether a server that speaks only the old transport answers so.
        may_be_old: bool,
    },
    /// Nobody can say what became of it.
    Lost(String),
}

/// Sorts a refusal. A status of the 4xx says that the request was not carried out, except those that say that time
/// ran out; one of the 5xx may be a gateway's, behind which the server goes on working.
pub(super) fn refusal(status: StatusCode, had_session: bool, kind: &Kind, body: &[u8]) -> Refusal {
    if had_session && ends_session(status, body) && !is_answer_to(kind.id(), body) {
        return Refusal::Forgotten(format!("{}: {FORGOTTEN}", words(status)));
    }
    if let Some(error) = error_in(body) {
        return Refusal::Answered(error);
    }
    // 499 is what some proxies say where somebody hung up.
    let time_ran_out = matches!(status.as_u16(), 408 | 499);
    if !status.is_client_error() || time_ran_out {
        return Refusal::Lost(format!("{} and no result", words(status)));
    }
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": check the `headers` of its entry",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ": check the `url` of its entry",
        StatusCode::TOO_MANY_REQUESTS => ": it takes no more requests for now",
        _ => "",
    };
    let greets = matches!(kind, Kind::Initialize { .. } | Kind::Discover { .. });
    let may_be_old = greets
        && matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    Refusal::Declined { words: format!("{}{hint}", words(status)), may_be_old }
}

/// The refusal of a server that asks for a login, or for one that is good for more.
pub(super) fn unlogged(status: StatusCode) -> Refusal {
    Refusal::Forgotten(format!("{}: it asks for a login", words(status)))
}

/// Whether what a server says to a request with a session means that it does not know the session any more: 404 by the
/// specification, and by widespread servers a 400 with the code that they use for faults of the transport.
pub(super) fn ends_session(status: StatusCode, body: &[u8]) -> bool {
    let is_transports = || error_in(body).is_some_and(|error| error.code.0 == TRANSPORT_FAULT);
    status == StatusCode::NOT_FOUND || (status == StatusCode::BAD_REQUEST && is_transports())
}

/// Whether `body` says which request it answers, and that is this one: then it was read, and may have been more than
/// that. What refuses a request for its session alone cannot know its id, and names none, or one of its own making. The
/// one exception is the code by which widespread servers say that they do not know the session.
fn is_answer_to(id: Option<&RequestId>, body: &[u8]) -> bool {
    let Ok(value) = json::read(body) else { return false };
    let named = serde_json::from_value::<RequestId>(value["id"].clone()).ok();
    named.is_some() && named.as_ref() == id && value["error"]["code"].as_i64() != Some(SESSION_FAULT)
}

/// A status, as the rest of a sentence that begins with the server's name.
pub(super) fn words(status: StatusCode) -> String {
    format!("answered HTTP {status}").trim_end().to_owned()
}

/// The error of the protocol in a body, whatever request it says it is for: what refuses a request before it is read
/// cannot name it.
fn error_in(body: &[u8]) -> Option<ErrorData> {
    serde_json::from_value(json::read(body).ok()?.get("error")?.clone()).ok()
}

/// The type of a body, without parameters; empty where it is not told.
pub(super) fn kind(response: &Response) -> String {
    let told = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The whole body, refused where it is longer than `bytes_max`.
pub(super) async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= bytes_max => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                return Err(format!("sent an answer longer than {} MiB", bytes_max / (1024 * 1024)));
            }
            Ok(None) => return Ok(body),
            Err(error) => return Err(explain(&error)),
        }
    }
}

/// Whether `message` is the answer to `id`.
pub(super) fn answers(message: &ServerJsonRpcMessage, id: &RequestId) -> bool {
    answered(message) == Some(id)
}

/// The request that `message` answers.
pub(super) fn answered(message: &ServerJsonRpcMessage) -> Option<&RequestId> {
    match message {
        JsonRpcMessage::Response(response) => Some(&response.id),
        JsonRpcMessage::Error(error) => error.id.as_ref(),
        JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_not_known_any_more_has_ended() {
        let unknown =
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No valid session ID"}}"#;
        let invalid = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool"}}"#;
        for (status, body, ended) in [
            (404, "", true),
            (404, unknown, true),
            (400, unknown, true),
            (400, invalid, false),
            (500, unknown, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(ends_session(status, body.as_bytes()), ended, "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_says_whether_the_request_was_carried_out() {
        let call = || Kind::Call { id: RequestId::Number(1), effect: "e".to_owned() };
        let hello = || Kind::Initialize { id: RequestId::Number(1) };
        let check = |status: u16, had_session: bool, kind: Kind, body: &str, expected: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            let said = match refusal(status, had_session, &kind, body.as_bytes()) {
                Refusal::Answered(error) => format!("answered: {}", error.message),
                Refusal::Declined { words, may_be_old } => {
                    format!("declined{}: {words}", if may_be_old { " (old?)" } else { "" })
                }
                Refusal::Forgotten(words) => format!("forgotten: {words}"),
                Refusal::Lost(words) => format!("lost: {words}"),
            };
            assert_eq!(said, expected, "{status}");
        };
        let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"not initialized"}}"#;
        check(400, false, call(), error, "answered: not initialized");
        check(500, false, call(), error, "answered: not initialized");
        check(
            404,
            true,
            call(),
            "Session not found",
            "forgotten: answered HTTP 404 Not Found: its session had ended, and the request was not carried out",
        );
        let forgotten = |status: u16, body: &str| {
            let words = "its session had ended, and the request was not carried out";
            let reason = StatusCode::from_u16(status).unwrap();
            check(status, true, call(), body, &format!("forgotten: answered HTTP {reason}: {words}"));
        };
        forgotten(400, error);
        forgotten(404, r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"gone"}}"#);
        forgotten(404, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Session not found"}}"#);
        // It names the request, so it has read it, and whatever came of that is its answer.
        let named = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"half done"}}"#;
        check(400, true, call(), named, "answered: half done");
        check(404, true, call(), named, "answered: half done");
        check(
            401,
            false,
            hello(),
            "",
            "declined: answered HTTP 401 Unauthorized: check the `headers` of its entry",
        );
        check(
            405,
            false,
            hello(),
            "",
            "declined (old?): answered HTTP 405 Method Not Allowed: check the `url` of its entry",
        );
        check(
            404,
            false,
            call(),
            "{}",
            "declined: answered HTTP 404 Not Found: check the `url` of its entry",
        );
        check(413, false, call(), "", "declined: answered HTTP 413 Payload Too Large");
        check(408, false, call(), "", "lost: answered HTTP 408 Request Timeout and no result");
        check(502, false, call(), "<html>", "lost: answered HTTP 502 Bad Gateway and no result");
        check(503, false, hello(), "", "lost: answered HTTP 503 Service Unavailable and no result");
    }
}
