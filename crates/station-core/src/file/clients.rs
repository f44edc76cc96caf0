//! Files of MCP clients (Claude, editors, command lines): the servers that they define, as entries of ours.
//!
//! They all write the same few keys, under names that differ. What a client's placeholder means (`${TOKEN}`) is a variable
//! here, and a value that looks like a secret becomes one: it does not stand in our files, whether it is a variable of the process, a
//! header, an argument, or a part of the address. To add a client: its word for the map, its key for a URL, its form of a placeholder.

use crate::names_a_secret;
use crate::plain::is_of_a_secret;
use crate::redact::{replace_shapes, says_nothing};
use crate::server::starts_station;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Where clients keep their servers, from the root on.
const MAPS: [&[&str]; 4] = [&["mcpServers"], &["servers"], &["mcp_servers"], &["mcp", "servers"]];

/// Other words for `url`.
const URLS: [&str; 3] = ["url", "serverUrl", "httpUrl"];

/// Which tools may be used, in words of clients, and in ours.
const TOOLS: [(&str, &str); 5] = [
    ("enabled_tools", "allow"),
    ("includeTools", "allow"),
    ("disabled_tools", "deny"),
    ("disabledTools", "deny"),
    ("excludeTools", "deny"),
];

/// What is read besides, and what says nothing that an entry does not say already.
const READ: [&str; 15] = [
    "command",
    "args",
    "cwd",
    "env",
    "env_vars",
    "headers",
    "http_headers",
    "env_http_headers",
    "bearer_token_env_var",
    "disabled",
    "enabled",
    "type",
    "transport",
    "name",
    "description",
];

/// A server of a client's file.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientServer {
    /// Its name there.
    pub name: String,
    /// Its entry for our file: secrets stand in it as `{{ .NAME }}`.
    pub entry: Map<String, Value>,
    /// Values that are to be variables, by name.
    pub secrets: BTreeMap<String, String>,
    /// Keys of its entry there that have no meaning here.
    pub left: Vec<String>,
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
        left: Vec::new(),
        is_disabled: entry.get("disabled") == Some(&Value::Bool(true))
            || entry.get("enabled") == Some(&Value::Bool(false)),
        is_station: is_station(entry),
    };
    for key in ["command", "args", "cwd"] {
        if let Some(value) = entry.get(key) {
            found.entry.insert(key.to_owned(), templated(value));
        }
    }
    if let Some(Value::Array(args)) = found.entry.get("args").cloned() {
        let args = found.args(args);
        found.entry.insert("args".to_owned(), args);
    }
    if let Some(url) = URLS.iter().find_map(|key| entry.get(*key)) {
        let url = match templated(url) {
            Value::String(text) => found.address(&text).into(),
            other => other,
        };
        found.entry.insert("url".to_owned(), url);
    }
    for (theirs, ours) in [("env", "env"), ("headers", "headers"), ("http_headers", "headers")] {
        let Some(values) = entry.get(theirs).and_then(Value::as_object) else { continue };
        let prefix = if ours == "headers" { format!("{name}_") } else { String::new() };
        let values =
            values.iter().map(|(key, value)| (key.clone(), found.taken(&prefix, key, value))).collect();
        found.entry.insert(ours.to_owned(), Value::Object(values));
    }
    found.take_named(entry);
    found.take_tools(entry);
    let is_read =
        |key: &str| READ.contains(&key) || URLS.contains(&key) || TOOLS.iter().any(|it| it.0 == key);
    found.left = entry.keys().filter(|key| !is_read(key)).cloned().collect();
    found
}

impl ClientServer {
    /// Codex writes no placeholders: it names variables of the process.
    fn take_named(&mut self, entry: &Map<String, Value>) {
        let named = |value: &Value| Some(template(&variable(value.as_str()?)));
        let mut given: Vec<(&str, String, Value)> = Vec::new();
        if let Some(token) = entry.get("bearer_token_env_var").and_then(named) {
            given.push(("headers", "Authorization".to_owned(), format!("Bearer {token}").into()));
        }
        let headers = entry.get("env_http_headers").and_then(Value::as_object);
        for (header, name) in headers.into_iter().flatten() {
            given.extend(named(name).map(|value| ("headers", header.clone(), value.into())));
        }
        for name in entry.get("env_vars").and_then(Value::as_array).into_iter().flatten() {
            // A name, or one with where it comes from.
            let name = name.get("name").unwrap_or(name);
            let value = named(name).zip(name.as_str());
            given.extend(value.map(|(value, name)| ("env", name.to_owned(), value.into())));
        }
        for (map, key, value) in given {
            let map = self.entry.entry(map).or_insert_with(|| Value::Object(Map::new()));
            if let Some(map) = map.as_object_mut() {
                map.insert(key, value);
            }
        }
    }

    /// Limits of what may be called stay limits: a list that is dropped would grant more than was granted there.
    fn take_tools(&mut self, entry: &Map<String, Value>) {
        let mut own = Map::new();
        for (theirs, ours) in TOOLS {
            if let Some(names) = entry.get(theirs).filter(|names| names.is_array()) {
                own.insert(ours.to_owned(), names.clone());
            }
        }
        if !own.is_empty() {
            self.entry.insert("station".to_owned(), Value::Object(own));
        }
    }

    /// A value as it stands in our file; what looks like a secret becomes a variable of that name.
    fn taken(&mut self, prefix: &str, key: &str, value: &Value) -> Value {
        let Value::String(text) = templated(value) else { return Value::from(value.to_string()) };
        let is_secret = is_of_a_secret(key) || !prefix.is_empty();
        if text.is_empty() || text.contains("{{") || !is_secret {
            return text.into();
        }
        self.kept(&variable(&format!("{prefix}{key}")), text).into()
    }

    /// Arguments as they stand in our file: what follows a flag that asks for a secret, what such a flag or name is given
    /// (`--token=…`, `TOKEN=…`, `Authorization: …`), what addresses have in their query, and what looks like a secret are variables.
    fn args(&mut self, args: Vec<Value>) -> Value {
        let mut flag: Option<String> = None;
        let taken = args.into_iter().map(|arg| match arg {
            Value::String(text) => {
                let asked = flag.take().filter(|_| !text.starts_with('-'));
                let is_flag = text.starts_with('-') && !text.contains('=');
                flag = is_flag.then(|| text.clone()).filter(|text| names_a_secret(text));
                Value::from(self.argument(asked.as_deref(), &text))
            }
            other => {
                flag = None;
                other
            }
        });
        taken.collect::<Vec<_>>().into()
    }

    /// One of them; `asked` is the flag before it, where that asks for a secret.
    fn argument(&mut self, asked: Option<&str>, text: &str) -> String {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let given = text.find(['=', ':']).map(|at| text.split_at(at + 1)).filter(|(head, _)| {
            let name = head.trim_end_matches(['=', ':']);
            let names = if head.ends_with('=') { names_a_secret } else { is_of_a_secret };
            is_name(name) && names(name)
        });
        let (head, value, name) = match (asked, given) {
            (Some(flag), _) => ("", text, flag),
            (None, Some((head, value))) => (head, value, head.trim_end_matches(['=', ':'])),
            (None, None) => return self.address(text),
        };
        let secret = value.trim_start();
        if says_nothing(secret) || secret.contains("{{") {
            return text.to_owned();
        }
        let before = &value[..value.len() - secret.len()];
        let name = self.own(name);
        format!("{head}{before}{}", self.kept(&name, secret.to_owned()))
    }

    /// An address, or any text, without the secrets of its query and without what looks like one.
    fn address(&mut self, text: &str) -> String {
        let (before, query) =
            text.split_once('?').filter(|(before, _)| before.contains("://")).unwrap_or((text, ""));
        let mut out = before.to_owned();
        for (index, pair) in query.split('&').enumerate().filter(|_| !query.is_empty()) {
            out.push(if index == 0 { '?' } else { '&' });
            let (value, fragment) = pair.split_at(pair.find('#').unwrap_or(pair.len()));
            let secret = value.split_once('=').filter(|(name, value)| {
                is_of_a_secret(name) && !says_nothing(value) && !value.contains("{{")
            });
            match secret {
                None => out += value,
                Some((name, secret)) => {
                    let variable = self.own(name);
                    out += &format!("{name}={}", self.kept(&variable, secret.to_owned()));
                }
            }
            out += fragment;
        }
        let name = self.own("secret");
        replace_shapes(&out, |secret| self.kept(&name, secret.to_owned())).into_owned()
    }

    /// `name` as a variable of this server alone.
    fn own(&self, name: &str) -> String {
        variable(&format!("{}_{}", self.name, name.trim_matches('-')))
    }

    /// Makes `secret` a variable called `name`, or that with a number behind it where it has another of that name; what stands for it.
    fn kept(&mut self, name: &str, secret: String) -> String {
        let numbered = |n: usize| if n == 1 { name.to_owned() } else { format!("{name}_{n}") };
        let is_free = |name: &String| self.secrets.get(name).is_none_or(|other| *other == secret);
        let name = (1..).map(numbered).find(is_free).unwrap_or_default();
        let template = template(&name);
        self.secrets.insert(name, secret);
        template
    }

    /// Calls its variable `name`, which somebody else's is called too, by the server's name before that; what it is called now.
    /// `None` where that is no name of its own either.
    pub fn set_apart(&mut self, name: &str) -> Option<String> {
        let apart = self.own(name);
        if self.secrets.contains_key(&apart) {
            return None;
        }
        let secret = self.secrets.remove(name)?;
        let (from, to) = (template(name), template(&apart));
        self.entry.values_mut().for_each(|value| replace(value, &from, &to));
        self.secrets.insert(apart.clone(), secret);
        Some(apart)
    }
}

/// What asks for a variable.
fn template(name: &str) -> String {
    format!("{{{{ .{name} }}}}")
}

/// Puts `to` in place of `from` in every text of `value`.
fn replace(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) => *text = text.replace(from, to),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, from, to)),
        Value::Object(members) => members.values_mut().for_each(|value| replace(value, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_station(entry: &Map<String, Value>) -> bool {
    let command = entry.get("command").and_then(Value::as_str).unwrap_or_default();
    let args = entry.get("args").and_then(Value::as_array);
    starts_station(command) && args.is_some_and(|args| args.iter().any(|arg| arg == "stdio"))
}

/// `value` with a client's placeholders (`${NAME}`, `${NAME:-otherwise}`, `${env:NAME}`, `${input:name}`) as ours.
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
        let (inner_name, otherwise) = inner.split_once(":-").map_or((inner, None), |it| (it.0, Some(it.1)));
        let name = inner_name.rsplit(':').next().unwrap_or_default();
        out += before;
        if name.is_empty() || name.contains(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
        {
            out += &format!("${{{inner}}}");
        } else {
            let name = variable(name);
            let value = template(&name);
            match otherwise.filter(|text| !text.is_empty()) {
                Some(otherwise) => {
                    out += &format!("{{{{ if .{name} }}}}{value}{{{{ else }}}}{otherwise}{{{{ end }}}}");
                }
                None => out += &value,
            }
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
                "type": "stdio", "command": "npx", "args": ["-y", "x", "${HOME_DIR}", "${REGION:-eu}"],
                "env": { "GITHUB_TOKEN": "ghp_1", "LOG_LEVEL": "debug", "OTHER_KEY": "${env:OTHER}" },
            } } }),
            &json!({
                "command": "npx", "args": ["-y", "x", "{{ .HOME_DIR }}", "{{ if .REGION }}{{ .REGION }}{{ else }}eu{{ end }}"],
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
            &json!({ "mcp_servers": { "far": {
                "url": "https://x/mcp", "bearer_token_env_var": "FAR_TOKEN", "env_http_headers": { "X-Team": "team" },
                "http_headers": { "X": "abc" }, "enabled_tools": ["read"], "disabled_tools": ["drop"],
            } } }),
            &json!({
                "url": "https://x/mcp",
                "headers": { "Authorization": "Bearer {{ .FAR_TOKEN }}", "X-Team": "{{ .TEAM }}", "X": "{{ .FAR_X }}" },
                "station": { "allow": ["read"], "deny": ["drop"] },
            }),
            &[("FAR_X", "abc")],
        );
        check(
            &json!({ "mcp_servers": { "c": { "command": "c", "env_vars": ["A", { "name": "B", "source": "local" }] } } }),
            &json!({ "command": "c", "env": { "A": "{{ .A }}", "B": "{{ .B }}" } }),
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
        let own = json!({ "mcpServers": { "c": { "command": "c", "trust": true, "timeout": 5, "type": "stdio" } } });
        assert_eq!(servers(&own).unwrap().remove(0).left, ["trust", "timeout"]);
    }

    #[test]
    fn secrets_among_arguments_and_in_addresses_become_variables() {
        #[track_caller]
        fn row(args: &[&str], expected: &[&str], secrets: &[(&str, &str)]) {
            let root = json!({ "mcpServers": { "gh": { "command": "x", "args": args } } });
            check(&root, &json!({ "command": "x", "args": expected }), secrets);
        }
        row(&["--token", "abc"], &["--token", "{{ .GH_TOKEN }}"], &[("GH_TOKEN", "abc")]);
        row(&["--api-key=abc", "-v"], &["--api-key={{ .GH_API_KEY }}", "-v"], &[("GH_API_KEY", "abc")]);
        row(&["-e", "API_KEY=abc"], &["-e", "API_KEY={{ .GH_API_KEY }}"], &[("GH_API_KEY", "abc")]);
        row(
            &["--header", "Authorization: Bearer abc"],
            &["--header", "Authorization: {{ .GH_AUTHORIZATION }}"],
            &[("GH_AUTHORIZATION", "Bearer abc")],
        );
        row(
            &["--token", "a", "--token", "b"],
            &["--token", "{{ .GH_TOKEN }}", "--token", "{{ .GH_TOKEN_2 }}"],
            &[("GH_TOKEN", "a"), ("GH_TOKEN_2", "b")],
        );
        let shape = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
        row(&[shape], &["{{ .GH_SECRET }}"], &[("GH_SECRET", shape)]);
        row(
            &["postgres://me:hunter22@db/x"],
            &["postgres://me:{{ .GH_SECRET }}@db/x"],
            &[("GH_SECRET", "hunter22")],
        );
        let plain = [
            "--max-tokens",
            "4096",
            "--token",
            "--verbose",
            "-y",
            "@a/b:1",
            "${TOKEN}",
            "http://h:1/x?y=1",
            "C:\\x",
        ];
        let kept = plain.map(|arg| if arg == "${TOKEN}" { "{{ .TOKEN }}" } else { arg });
        row(&plain, &kept, &[]);
        check(
            &json!({ "mcpServers": { "r": { "url": "https://x/mcp?api_key=abc&page=2&sig=de#f" } } }),
            &json!({ "url": "https://x/mcp?api_key={{ .R_API_KEY }}&page=2&sig={{ .R_SIG }}#f" }),
            &[("R_API_KEY", "abc"), ("R_SIG", "de")],
        );
    }

    #[test]
    fn a_variable_that_somebody_else_has_is_set_apart() {
        let root = json!({ "mcpServers": { "be-ta": { "command": "x", "env": { "API_KEY": "abc" } } } });
        let mut found = servers(&root).unwrap().remove(0);
        assert_eq!(found.set_apart("API_KEY").as_deref(), Some("BE_TA_API_KEY"));
        assert_eq!(found.entry["env"], json!({ "API_KEY": "{{ .BE_TA_API_KEY }}" }));
        assert_eq!(found.secrets, [("BE_TA_API_KEY".to_owned(), "abc".to_owned())].into());
        assert_eq!(found.set_apart("API_KEY"), None);
    }
}
