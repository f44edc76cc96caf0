//! What the headers of a request say, and whether the body says the same.

use super::super::Fault;
use super::super::version::VERSION_KEY;
use base64::Engine as _;
use serde_json::{Map, Value};

/// The headers that matter, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `MCP-Protocol-Version`.
    pub version: Option<String>,
    /// `Mcp-Method`.
    pub method: Option<String>,
    /// `Mcp-Name`.
    pub name: Option<String>,
    /// `Mcp-Session-Id`.
    pub session: Option<String>,
    /// Whether `Accept` lets us answer with events.
    pub accepts_events: bool,
}

impl Headers {
    /// Checks that headers and body of a modern request do not name two versions: before that of the body is looked at, so
    /// that whoever stands between and believed the header is not deceived.
    ///
    /// # Errors
    /// They do.
    pub(super) fn check_version(&self, params: &Map<String, Value>) -> Result<(), Fault> {
        let version = params.get("_meta").and_then(|meta| meta.get(VERSION_KEY)).and_then(Value::as_str);
        match (&self.version, version) {
            (Some(said), Some(version)) => same("MCP-Protocol-Version", Some(said), version),
            _ => Ok(()),
        }
    }

    /// Checks a modern request against its body (revision 2026-07-28, "Server Validation").
    ///
    /// # Errors
    /// A header that must be there is missing, or says something else than the body.
    pub(super) fn check(&self, method: &str, params: &Map<String, Value>) -> Result<(), Fault> {
        let version = params.get("_meta").and_then(|meta| meta.get(VERSION_KEY)).and_then(Value::as_str);
        same("MCP-Protocol-Version", self.version.as_deref(), version.unwrap_or_default())?;
        same("Mcp-Method", self.method.as_deref(), method)?;
        let (key, is_needed) = match method {
            "tools/call" | "prompts/get" => ("name", true),
            "resources/read" => ("uri", true),
            "tasks/get" | "tasks/update" | "tasks/cancel" => ("taskId", false),
            _ => return Ok(()),
        };
        // A body that does not name it is broken by itself, and says so.
        match params.get(key).and_then(Value::as_str) {
            Some(name) if is_needed || self.name.is_some() => {
                same("Mcp-Name", self.name.as_deref().map(decoded).as_deref(), name)
            }
            _ => Ok(()),
        }
    }
}

fn same(header: &str, said: Option<&str>, body: &str) -> Result<(), Fault> {
    match said {
        Some(said) if said == body => Ok(()),
        Some(said) => Err(Fault::Headers(format!("header {header} says `{said}`, the body `{body}`"))),
        None => Err(Fault::Headers(format!("header {header} is missing; the body says `{body}`"))),
    }
}

/// A value as it was meant: what cannot stand in a header comes as `=?base64?…?=`.
fn decoded(value: &str) -> String {
    let inner = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let bytes = inner.and_then(|inner| base64::engine::general_purpose::STANDARD.decode(inner).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_and_body_say_the_same() {
        let check = |headers: [Option<&str>; 3], method: &str, params: Value, expected: Result<(), &str>| {
            let [version, of_method, name] = headers.map(|it| it.map(str::to_owned));
            let headers = Headers { version, method: of_method, name, ..Headers::default() };
            let mut params = params.as_object().cloned().unwrap_or_default();
            params.insert("_meta".to_owned(), json!({ VERSION_KEY: "2026-07-28" }));
            let found = headers.check(method, &params).map_err(|fault| match fault {
                Fault::Headers(sentence) => sentence,
                other => format!("{other:?}"),
            });
            assert_eq!(found, expected.map_err(str::to_owned), "{headers:?}");
        };
        let (v, call) = (Some("2026-07-28"), Some("tools/call"));
        check([v, Some("tools/list"), None], "tools/list", json!({}), Ok(()));
        check([v, call, Some("read")], "tools/call", json!({ "name": "read" }), Ok(()));
        check(
            [v, call, Some("=?base64?SGVsbG8sIOS4lueVjA==?=")],
            "tools/call",
            json!({ "name": "Hello, 世界" }),
            Ok(()),
        );
        check(
            [v, Some("resources/read"), Some("x://y")],
            "resources/read",
            json!({ "uri": "x://y" }),
            Ok(()),
        );
        check([v, call, None], "tools/call", json!({}), Ok(()));
        let get = Some("tasks/get");
        check([v, get, None], "tasks/get", json!({ "taskId": "run-1" }), Ok(()));
        check(
            [v, get, Some("run-2")],
            "tasks/get",
            json!({ "taskId": "run-1" }),
            Err("header Mcp-Name says `run-2`, the body `run-1`"),
        );
        check(
            [v, call, Some("foo")],
            "tools/call",
            json!({ "name": "bar" }),
            Err("header Mcp-Name says `foo`, the body `bar`"),
        );
        check(
            [v, call, None],
            "tools/call",
            json!({ "name": "bar" }),
            Err("header Mcp-Name is missing; the body says `bar`"),
        );
        check(
            [v, None, None],
            "tools/list",
            json!({}),
            Err("header Mcp-Method is missing; the body says `tools/list`"),
        );
        check(
            [v, Some("Tools/list"), None],
            "tools/list",
            json!({}),
            Err("header Mcp-Method says `Tools/list`, the body `tools/list`"),
        );
        check(
            [Some("2025-11-25"), call, None],
            "tools/call",
            json!({}),
            Err("header MCP-Protocol-Version says `2025-11-25`, the body `2026-07-28`"),
        );
    }
}
