//! What the real providers would refuse in a request: by their documentation, which each file names.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use serde_json::Value;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is answered.
    Good,
    /// It is refused, in these words.
    Refused(String),
    /// There is nothing at its address.
    NoSuchAddress,
}

/// Judges a request by the dialect that its address tells.
pub(super) fn judge(method: &str, path: &str, body: &Value) -> Verdict {
    let refusal = match path {
        "/api/tags" if method == "GET" => None,
        _ if method != "POST" => return Verdict::NoSuchAddress,
        _ if path.ends_with("/chat/completions") => chat::refusal(body),
        _ if path.ends_with("/v1/responses") => responses::refusal(body),
        _ if path.ends_with("/v1/messages") => anthropic::refusal(body),
        _ if path.ends_with(":streamGenerateContent?alt=sse") => gemini::refusal(path, body),
        "/api/chat" => None,
        "/api/show" => (!body["model"].is_string()).then(|| "model is required".to_owned()),
        _ => return Verdict::NoSuchAddress,
    };
    refusal.map_or(Verdict::Good, Verdict::Refused)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
