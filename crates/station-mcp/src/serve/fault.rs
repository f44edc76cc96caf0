//! Errors of the protocol: what is said where a message itself is wrong.

use super::version;
use serde_json::{Value, json};
use station_core::Era;

/// Why a message cannot be answered with a result. Codes are those of JSON-RPC 2.0 and of the revision 2026-07-28
/// ("Error Codes").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not JSON: -32700.
    Parse(String),
    /// It is no message of the protocol: -32600.
    Request(String),
    /// Nobody here knows its method: -32601.
    Method(String),
    /// Its parameters are wrong: -32602.
    Params(String),
    /// There is no such resource: -32602, and -32002 in the legacy era.
    NoResource(String),
    /// The version it names is not spoken here: -32022.
    Version(String),
    /// Its client lacks capabilities that it needs, as an object of them: -32021.
    Incapable(Value),
    /// Headers and body say different things: -32020.
    Headers(String),
    /// What a server behind us answered with, as an error object.
    Upstream(Value),
    /// We failed; the log has the cause: -32603.
    Internal(String),
}

impl Fault {
    /// The error object, as an era says it.
    pub(crate) fn to_json(&self, era: Era) -> Value {
        let error = |code: i32, message: &str| json!({ "code": code, "message": message });
        match self {
            Self::Parse(message) => error(-32700, message),
            Self::Request(message) => error(-32600, message),
            Self::Method(method) => error(-32601, &format!("method `{method}` is not known here")),
            Self::Params(message) => error(-32602, message),
            Self::NoResource(uri) => {
                let code = if era == Era::Modern { -32602 } else { -32002 };
                let message = format!("there is no resource `{uri}`");
                json!({ "code": code, "message": message, "data": { "uri": uri } })
            }
            Self::Version(requested) => json!({
                "code": -32022,
                "message": "Unsupported protocol version",
                "data": { "supported": version::SPOKEN, "requested": requested },
            }),
            Self::Incapable(required) => json!({
                "code": -32021,
                "message": "the client has not declared a capability that this request needs",
                "data": { "requiredCapabilities": required },
            }),
            Self::Headers(message) => error(-32020, message),
            Self::Upstream(error) => error.clone(),
            Self::Internal(message) => error(-32603, message),
        }
    }
}
