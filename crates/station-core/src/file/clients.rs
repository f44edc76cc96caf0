//! Files of MCP clients (Claude, editors, command lines): the servers that they define, as entries of ours.
//!
//! They all write the same few keys, under names that differ. What a client's placeholder means (`${TOKEN}`) is a variable
//! here, and a value that looks like a secret becomes one: it does not stand in our files. To add a client: its word for the
//! map, its key for a URL, its form of a placeholder.

use crate::plain::is_of_a_secret;
use crate::server::starts_station;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Where clients keep their servers, from the root on.
const MAPS: [&[&str]; 4] = [&["mcpServers"], &["servers"], &["mcp_servers"], &["mcp", "servers"]];

/// Other words for `url`.
const URLS: [&str; 3] = ["url", "serverUrl", "httpUrl"];

/// A server of a client's file.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientServer {
    /// Its name there.
    pub name: String,
    /// Its entry for our file: secrets stand in it as `{{ .NAME }}`.
    pub entry: Map<String, Value>,
    /// Values that are to be variables, by name.
    pub secrets: BTreeMap<String, String>,
    /// Whether it is switched off there.
    pub is_disabled: bool,
    /// Whether it is Station itself.
    pub is_station: bool,
}

/// The servers of a client's file, in its order; `None` where it has no map of servers.
#[must_use]
pub fn servers(root: &Value) -> Option<Vec<ClientServer>> {
    let at = |path: &[&str]| path.iter().try_fold(root, |value, key| value.get(key))?.as_object();
    let map = MAPS.iter().find_map(|path| at(path))?;
    Some(map.iter().filter_map(|(name, entry)| Some(server(name, entry.as_object()?))).collect())
}

fn server(name: &str, entry: &Map<String, Value>) -> ClientServer {
    let mut found = ClientServer {
        name: name.to_owned(),
        entry: Map::new(),
        secrets: BTreeMap::new(),
        is_disabled: entry.get("disabled") == Some(&Value::Bool(true))
            || entry.get("enabled") == Some(&Value::Bool(false)),
        is_station: is_station(entry),
    };
    for key in ["command", "args", "cwd"] {
        if let Some(value) = entry.get(key) {
            found.entry.insert(key.to_owned(), templated(value));
        }
    }
    if let Some(url) = URLS.iter().find_map(|key| entry.get(*key)) {
        found.entry.insert("url".to_owned(), templated(url));
    }
    for (theirs, ours) in [("env", "env"), ("headers", "headers"), ("http_headers", "headers")] {
        let Some(values) = entry.get(theirs).and_then(Value::as_object) else { continue };
        let prefix = if ours == "headers" { format!("{name}_") } else { String::new() };
        let values =
            values.iter().map(|(key, value)| (key.clone(), found.taken(&prefix, key, value))).collect();
        found.entry.insert(ours.to_owned(), Value::Object(values));
    }
    found
}

impl ClientServer {
    /// A value as it stands in our file; what looks like a secret becomes a variable of that name.
    fn taken(&mut self, prefix: &str, key: &str, value: &Value) -> Value {
        let Value::String(text) = templated(value) else { return Value::from(value.to_string()) };
        let is_secret = is_of_a_secret(key) || !prefix.is_empty();
        if text.is_empty() || text.contains("{{") || !is_secret {
            return text.into();
        }
        let name = variable(&format!("{prefix}{key}"));
        let template = format!("{{{{ .{name} }}}}");
        self.secrets.insert(name, text);
        template.into()
    }
}

fn is_station(entry: &Map<String, Value>) -> bool {
    let command = entry.get("command").and_then(Value::as_str).unwrap_or_default();
    let args = entry.get("args").and_then(Value::as_array);
    starts_station(command) && args.is_some_and(|args| args.iter().any(|arg| arg == "stdio"))
}

/// `value` with a client's placeholders (`${NAME}`, `${env:NAME}`, `${input:name}`) as ours.
fn templated(value: &Value) -> Value {
    match value {
        Value::String(text) => text_templated(text).into(),
        Value::Array(items) => items.iter().map(templated).collect(),
        other => other.clone(),
    }
}

fn text_templated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inner, behind)) = after.split_once('}') else { break };
        let name = inner.rsplit(':').next().unwrap_or_default();
        out += before;
        if name.is_empty() || name.contains(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
        {
            out += &format!("${{{inner}}}");
        } else {
            out += &format!("{{{{ .{} }}}}", variable(name));
        }
        rest = behind;
    }
    out + rest
}

/// `name` as a variable is called, which begins with no digit.
fn variable(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let before = name.starts_with(|c: char| c.is_ascii_digit()).then_some('_');
    before.into_iter().chain(name.chars().map(upper)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(root: &Value, entry: &Value, secrets: &[(&str, &str)]) {
        let found = servers(root).unwrap().remove(0);
        assert_eq!(Value::Object(found.entry), *entry);
        let expected: BTreeMap<String, String> =
            secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(found.secrets, expected);
    }

    #[test]
    fn a_clients_server_becomes_one_of_ours_without_its_secrets() {
        check(
            &json!({ "mcpServers": { "gh": {
                "type": "stdio", "command": "npx", "args": ["-y", "x", "${HOME_DIR}"],
                "env": { "GITHUB_TOKEN": "ghp_1", "LOG_LEVEL": "debug", "OTHER_KEY": "${env:OTHER}" },
            } } }),
            &json!({
                "command": "npx", "args": ["-y", "x", "{{ .HOME_DIR }}"],
                "env": { "GITHUB_TOKEN": "{{ .GITHUB_TOKEN }}", "LOG_LEVEL": "debug", "OTHER_KEY": "{{ .OTHER }}" },
            }),
            &[("GITHUB_TOKEN", "ghp_1")],
        );
        check(
            &json!({ "servers": { "re-mote": {
                "type": "http", "url": "https://x/mcp", "headers": { "Authorization": "Bearer abc", "X": "${input:the-key}" },
            } } }),
            &json!({
                "url": "https://x/mcp",
                "headers": { "Authorization": "{{ .RE_MOTE_AUTHORIZATION }}", "X": "{{ .THE_KEY }}" },
            }),
            &[("RE_MOTE_AUTHORIZATION", "Bearer abc")],
        );
        check(
            &json!({ "servers": { "7z": { "url": "https://x", "headers": { "X": "abc" } } } }),
            &json!({ "url": "https://x", "headers": { "X": "{{ ._7Z_X }}" } }),
            &[("_7Z_X", "abc")],
        );
        check(
            &json!({ "mcp_servers": { "c": { "httpUrl": "http://y" } } }),
            &json!({ "url": "http://y" }),
            &[],
        );
        check(
            &json!({ "mcp": { "servers": { "c": { "command": "c", "args": ["$x", "${", "${a b}"] } } } }),
            &json!({ "command": "c", "args": ["$x", "${", "${a b}"] }),
            &[],
        );
        assert_eq!(servers(&json!({ "other": {} })), None);
        let own = json!({ "mcpServers": { "station": { "command": "/usr/bin/stn", "args": ["stdio"], "disabled": true } } });
        let own = servers(&own).unwrap().remove(0);
        assert!(own.is_station && own.is_disabled);
    }
}
