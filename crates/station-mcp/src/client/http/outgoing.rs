//! One message as it is posted: its bytes, and what headers and the bookkeeping need to know of it.

use crate::serve::version::{MODERN, VERSION_KEY};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, RequestId};
use serde::Serialize;
use serde_json::{Map, Value, json};
use station_core::mirror::{self, Mirror};
use std::collections::HashMap;
use std::io;

pub(super) const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD_HEADER: HeaderName = HeaderName::from_static("mcp-method");
const NAME_HEADER: HeaderName = HeaderName::from_static("mcp-name");

/// A message on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) body: Vec<u8>,
    pub(super) kind: Kind,
    /// The version that it says it is of: modern requests do.
    version: Option<String>,
    method: Option<String>,
    name: Option<String>,
    /// Those of a tool call.
    arguments: Map<String, Value>,
}

/// What a message is, as far as it matters to how it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A tool call: posted once, whatever happens.
    Call { id: RequestId, effect: String },
    /// `server/discover`.
    Discover { id: RequestId },
    /// `initialize`.
    Initialize { id: RequestId },
    /// Another request.
    Request { id: RequestId },
    /// Nobody waits for that request any more.
    Cancelled { id: Option<RequestId> },
    /// The handshake is done.
    Initialized,
    /// Another notification, or an answer to what the server asked.
    Note,
}

impl Kind {
    /// The request that waits for an answer.
    pub(super) fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Call { id, .. }
            | Self::Discover { id }
            | Self::Initialize { id }
            | Self::Request { id } => Some(id),
            Self::Cancelled { .. } | Self::Initialized | Self::Note => None,
        }
    }
}

/// A request as it is written.
#[derive(Serialize)]
struct Written<'a> {
    jsonrpc: &'static str,
    id: &'a RequestId,
    method: &'a str,
    params: &'a Map<String, Value>,
}

impl Outgoing {
    /// A request that rmcp does not know, for an effect.
    pub(super) fn request(
        id: RequestId,
        method: &str,
        effect: &str,
        mut params: Map<String, Value>,
    ) -> io::Result<Self> {
        let body = serde_json::to_vec(&Written { jsonrpc: "2.0", id: &id, method, params: &params })?;
        let version = params.get("_meta").and_then(|meta| meta.get(VERSION_KEY)?.as_str().map(str::to_owned));
        let name = name_key(method).and_then(|key| params.get(key)?.as_str().map(str::to_owned));
        let kind = match method {
            "tools/call" => Kind::Call { id, effect: effect.to_owned() },
            _ => Kind::Request { id },
        };
        let arguments = match params.remove("arguments") {
            Some(Value::Object(arguments)) if method == "tools/call" => arguments,
            _ => Map::new(),
        };
        Ok(Self { body, kind, version, method: Some(method.to_owned()), name, arguments })
    }

    /// What says that nobody waits for a request any more.
    pub(super) fn cancelled(id: &RequestId) -> io::Result<Self> {
        let params = json!({ "requestId": id, "reason": "nobody waits for it any more" });
        let method = "notifications/cancelled".to_owned();
        let body = serde_json::to_vec(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))?;
        let kind = Kind::Cancelled { id: Some(id.clone()) };
        Ok(Self { body, kind, version: None, method: Some(method), name: None, arguments: Map::new() })
    }

    /// What rmcp says by itself: greetings, lists, answers. No call is among them.
    pub(super) fn of(message: &ClientJsonRpcMessage) -> io::Result<Self> {
        let value = serde_json::to_value(message)?;
        let word = |value: &Value| value.as_str().map(str::to_owned);
        let params = &value["params"];
        let method = word(&value["method"]);
        let id = match message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let kind = match (method.as_deref(), id) {
            (Some("server/discover"), Some(id)) => Kind::Discover { id },
            (Some("initialize"), Some(id)) => Kind::Initialize { id },
            (_, Some(id)) => Kind::Request { id },
            (Some("notifications/cancelled"), None) => {
                Kind::Cancelled { id: serde_json::from_value(params["requestId"].clone()).ok() }
            }
            (Some("notifications/initialized"), None) => Kind::Initialized,
            _ => Kind::Note,
        };
        let name = method.as_deref().and_then(name_key).and_then(|key| word(&params[key]));
        let version = word(&params["_meta"][VERSION_KEY]);
        let body = serde_json::to_vec(&value)?;
        Ok(Self { kind, version, name, arguments: Map::new(), method, body })
    }

    /// The request that waits for an answer.
    pub(super) fn id(&self) -> Option<&RequestId> {
        self.kind.id()
    }

    /// The effect of a tool call.
    pub(super) fn effect(&self) -> Option<&str> {
        match &self.kind {
            Kind::Call { effect, .. } => Some(effect),
            _ => None,
        }
    }

    /// Whether it is of the era without sessions.
    pub(super) fn is_modern(&self) -> bool {
        self.version.as_deref().is_some_and(|version| version >= MODERN)
    }

    /// The headers that say what the body says. `agreed` is the version of the handshake, `mirrors` what each tool wants
    /// mirrored.
    pub(super) fn headers(
        &self,
        agreed: Option<&HeaderValue>,
        mirrors: &HashMap<String, Vec<Mirror>>,
    ) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let own = self.version.as_deref().and_then(|version| HeaderValue::from_str(version).ok());
        if let Some(version) = own.or_else(|| agreed.cloned()) {
            headers.insert(VERSION_HEADER, version);
        }
        if self.is_modern() {
            for (header, word) in [(METHOD_HEADER, &self.method), (NAME_HEADER, &self.name)] {
                if let Some(value) = word.as_deref().and_then(|word| HeaderValue::try_from(fit(word)).ok()) {
                    headers.insert(header, value);
                }
            }
            let mirrors = self.name.as_ref().and_then(|tool| mirrors.get(tool));
            for (name, value) in mirror::headers(mirrors.map_or(&[], Vec::as_slice), &self.arguments) {
                let name = HeaderName::try_from(name);
                if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(fit(&value))) {
                    headers.insert(name, value);
                }
            }
        }
        headers
    }
}

/// The parameter of a request that names what is wanted.
fn name_key(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        _ => None,
    }
}

/// `word` as the value of a header: as it is where that is possible, else in Base64 between marks.
fn fit(word: &str) -> String {
    let is_plain = word.chars().all(|c| (' '..='~').contains(&c)) && word.trim() == word;
    let is_marked = word.starts_with("=?base64?") && word.ends_with("?=");
    if is_plain && !is_marked {
        return word.to_owned();
    }
    format!("=?base64?{}?=", BASE64_STANDARD.encode(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(message: Value) -> Outgoing {
        Outgoing::of(&serde_json::from_value(message).unwrap()).unwrap()
    }

    #[test]
    fn headers_say_what_the_body_says() {
        let schema = json!({ "properties": { "where": { "type": "string", "x-mcp-header": "Where" } } });
        let mirrors = HashMap::from([("echo".to_owned(), mirror::mirrors(&schema).unwrap())]);
        let check = |version: Option<&str>, tool: &str, expected: &[(&str, &str)]| {
            let mut meta = json!({});
            if let Some(version) = version {
                meta[VERSION_KEY] = json!(version);
            }
            let params = json!({ "name": tool, "arguments": { "where": " hier" }, "_meta": meta });
            let params = params.as_object().unwrap().clone();
            let out = Outgoing::request(RequestId::Number(1), "tools/call", "e", params).unwrap();
            let headers = out.headers(Some(&HeaderValue::from_static("2025-11-25")), &mirrors);
            let mut found: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
            found.sort_unstable();
            assert_eq!(found, expected);
            assert_eq!(out.effect(), Some("e"));
        };
        check(None, "echo", &[("mcp-protocol-version", "2025-11-25")]);
        check(
            Some("2026-07-28"),
            "echo",
            &[
                ("mcp-method", "tools/call"),
                ("mcp-name", "echo"),
                ("mcp-param-where", "=?base64?IGhpZXI=?="),
                ("mcp-protocol-version", "2026-07-28"),
            ],
        );
        check(
            Some("2026-07-28"),
            "größe",
            &[
                ("mcp-method", "tools/call"),
                ("mcp-name", "=?base64?Z3LDtsOfZQ==?="),
                ("mcp-protocol-version", "2026-07-28"),
            ],
        );
    }

    #[test]
    fn a_message_is_known_for_what_it_is() {
        let id = RequestId::Number(7);
        for (message, kind) in [
            (json!({"jsonrpc": "2.0", "id": 7, "method": "ping"}), Kind::Request { id: id.clone() }),
            (
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}),
                Kind::Cancelled { id: Some(id) },
            ),
            (json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), Kind::Initialized),
        ] {
            assert_eq!(outgoing(message.clone()).kind, kind, "{message}");
        }
    }
}
