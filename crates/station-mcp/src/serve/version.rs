//! Which revision of the protocol a request is answered in. The cases stand in this crate's README.

use super::Fault;
use serde_json::{Map, Value};
use station_core::Era;

/// The newest revision: every request says it, headers say what a body holds (SEP-2243), and there are no sessions.
pub(crate) const MODERN: &str = "2026-07-28";

/// What we speak, newest first; all but the first begin with `initialize`.
pub(crate) const SPOKEN: [&str; 5] = [MODERN, "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The one revision with batches.
pub(crate) const WITH_BATCHES: &str = "2025-03-26";

/// Where a modern request says its revision.
pub(crate) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// Where a modern request says what its client can do.
pub(crate) const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// The revision that `initialize` is answered with: what was asked for where we speak it, else our newest that begins with
/// `initialize`. What we do not speak is never said back.
pub(crate) fn agree(requested: Option<&str>) -> &'static str {
    let legacy = &SPOKEN[1..];
    legacy.iter().copied().find(|spoken| Some(*spoken) == requested).unwrap_or(legacy[0])
}

/// What a legacy client said when it opened its session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    /// What was agreed upon.
    pub(crate) version: &'static str,
    /// What the client can do.
    pub(crate) capabilities: Value,
}

impl Session {
    /// The session that `initialize` with these parameters opens.
    ///
    /// # Errors
    /// Where the parameters do not say what they must.
    pub(crate) fn open(params: &Map<String, Value>) -> Result<Self, Fault> {
        let Some(requested) = params.get("protocolVersion").and_then(Value::as_str) else {
            return Err(Fault::Params("`initialize` names a `protocolVersion`, a text".to_owned()));
        };
        let capabilities = params.get("capabilities").cloned().unwrap_or_default();
        Ok(Self { version: agree(Some(requested)), capabilities })
    }
}

/// The era in which a request is answered, and what its client can do.
///
/// # Errors
/// It is of no era: it says neither its own version nor belongs to a session; or of a version we do not speak.
pub(crate) fn terms<'a>(
    params: &'a Map<String, Value>,
    session: Option<&'a Session>,
) -> Result<(Era, &'a Value), Fault> {
    let meta = params.get("_meta");
    let said = |key: &str| meta.and_then(|meta| meta.get(key));
    match (said(VERSION_KEY), session) {
        (None, Some(session)) => Ok((Era::Legacy, &session.capabilities)),
        (None, None) => Err(Fault::Params(format!(
            "the request says no protocol version: put `{VERSION_KEY}` and `{CAPABILITIES_KEY}` into its `_meta`, or \
             send `initialize` first"
        ))),
        (Some(Value::String(version)), _) if version == MODERN => match said(CAPABILITIES_KEY) {
            Some(capabilities @ Value::Object(_)) => Ok((Era::Modern, capabilities)),
            _ => Err(Fault::Params(format!("the request's `_meta` lacks `{CAPABILITIES_KEY}`, an object"))),
        },
        (Some(Value::String(version)), _) => Err(Fault::Version(version.clone())),
        (Some(_), _) => Err(Fault::Params(format!("`{VERSION_KEY}` is a text"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_that_nobody_knows_is_never_said_back() {
        let check =
            |requested: Option<&str>, agreed: &str| assert_eq!(agree(requested), agreed, "{requested:?}");
        for spoken in &SPOKEN[1..] {
            check(Some(spoken), spoken);
        }
        check(Some("1999-01-01"), "2025-11-25");
        check(Some("2999-01-01"), "2025-11-25");
        check(Some(MODERN), "2025-11-25");
        check(Some(""), "2025-11-25");
        check(None, "2025-11-25");
    }

    #[test]
    fn a_request_says_its_era_or_its_session_does() {
        let session = Session { version: "2025-06-18", capabilities: json!({ "roots": {} }) };
        let check = |meta: Value, session: Option<&Session>, expected: Result<(Era, Value), i64>| {
            let params = json!({ "_meta": meta }).as_object().cloned().unwrap_or_default();
            let found = terms(&params, session).map(|(era, capabilities)| (era, capabilities.clone()));
            let found = found.map_err(|fault| fault.to_json(Era::Modern)["code"].as_i64().unwrap_or(0));
            assert_eq!(found, expected, "{meta}");
        };
        let modern = json!({ VERSION_KEY: MODERN, CAPABILITIES_KEY: { "elicitation": {} } });
        check(modern.clone(), None, Ok((Era::Modern, json!({ "elicitation": {} }))));
        // Both eras may share a pipe.
        check(modern, Some(&session), Ok((Era::Modern, json!({ "elicitation": {} }))));
        check(json!({}), Some(&session), Ok((Era::Legacy, json!({ "roots": {} }))));
        check(json!({ "progressToken": 1 }), None, Err(-32602));
        check(json!({ VERSION_KEY: MODERN }), None, Err(-32602));
        check(json!({ VERSION_KEY: MODERN, CAPABILITIES_KEY: 7 }), None, Err(-32602));
        check(json!({ VERSION_KEY: 7 }), None, Err(-32602));
        for unknown in ["1900-01-01", "2025-11-25", "2027-01-01"] {
            let meta = json!({ VERSION_KEY: unknown, CAPABILITIES_KEY: {} });
            check(meta.clone(), None, Err(-32022));
            check(meta, Some(&session), Err(-32022));
        }
    }
}
