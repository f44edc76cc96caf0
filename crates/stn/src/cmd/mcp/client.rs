//! MCP clients that Station can be added to: where each keeps its servers, and in which form.

use crate::error::Result;
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use station_core::Error;
use station_core::file::edit::{put_server, remove_server};
use station_core::file::{Position, Problem, Severity};
use std::path::{Path, PathBuf};

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// Claude Code
    ClaudeCode,
    /// Claude for the desktop
    ClaudeDesktop,
    /// Cursor
    Cursor,
    /// Visual Studio Code
    Vscode,
    /// Gemini CLI
    Gemini,
    /// Codex
    Codex,
}

/// Places that a client's file lies below.
pub(super) struct Places {
    pub(super) home: PathBuf,
    /// Where programs of this system keep their settings.
    pub(super) settings: PathBuf,
    /// `CODEX_HOME`.
    pub(super) codex: Option<PathBuf>,
}

impl Client {
    /// Its file of the user.
    pub(super) fn file(self, places: &Places) -> PathBuf {
        match self {
            Self::ClaudeCode => places.home.join(".claude.json"),
            Self::ClaudeDesktop => places.settings.join("Claude/claude_desktop_config.json"),
            Self::Cursor => places.home.join(".cursor/mcp.json"),
            Self::Vscode => places.settings.join("Code/User/mcp.json"),
            Self::Gemini => places.home.join(".gemini/settings.json"),
            Self::Codex => {
                places.codex.clone().unwrap_or_else(|| places.home.join(".codex")).join("config.toml")
            }
        }
    }

    /// What it has to have in its file for a server `name`.
    pub(super) fn snippet(self, name: &str, command: &str, args: &[String]) -> String {
        match self {
            Self::Codex => section(name, command, args),
            _ => {
                let servers = Map::from_iter([(name.to_owned(), self.entry(command, args))]);
                let file = Map::from_iter([(self.map().to_owned(), Value::Object(servers))]);
                serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
            }
        }
    }

    /// `text`, its file, with the server `name`, and every other line as it was; `None` where nothing is to change.
    ///
    /// # Errors
    /// Where the file cannot be understood well enough to leave the rest alone.
    pub(super) fn merged(
        self,
        text: &str,
        name: &str,
        command: &str,
        args: &[String],
    ) -> Result<Option<String>> {
        if text.trim().is_empty() {
            return Ok(Some(self.snippet(name, command, args)));
        }
        if self == Self::Codex {
            return with_section(text, name, &section(name, command, args));
        }
        let root: Value =
            serde_json::from_str(text).map_err(|error| by_hand(format!("it is not plain JSON: {error}")))?;
        let Some(root) = root.as_object() else {
            return Err(by_hand("it is no JSON object".to_owned()).into());
        };
        let entry = self.entry(command, args);
        match root.get(self.map()).map(|map| map.get(name)) {
            Some(Some(there)) if *there == entry => Ok(None),
            Some(there) => {
                let freed = match there {
                    Some(_) => remove_server(text, name).map_err(|problem| by_hand(problem.sentence))?,
                    None => text.to_owned(),
                };
                put_server(&freed, name, &entry).map(Some).map_err(|problem| by_hand(problem.sentence).into())
            }
            None => {
                let servers = json!({ name: entry });
                let pretty = serde_json::to_string_pretty(&servers).unwrap_or_default().replace('\n', "\n  ");
                let comma = if root.is_empty() { "\n" } else { "," };
                let first = format!("{{\n  \"{}\": {pretty}{comma}", self.map());
                Ok(Some(text.replacen('{', &first, 1)))
            }
        }
    }

    fn map(self) -> &'static str {
        if self == Self::Vscode { "servers" } else { "mcpServers" }
    }

    fn entry(self, command: &str, args: &[String]) -> Value {
        match self {
            Self::ClaudeCode | Self::Vscode => json!({ "type": "stdio", "command": command, "args": args }),
            _ => json!({ "command": command, "args": args }),
        }
    }
}

/// Why a file is not changed.
fn by_hand(sentence: String) -> Error {
    Error::invalid(sentence).with_hint("leave `--write` out, and merge what is printed by hand")
}

/// The table of a server in Codex's file. A basic string of TOML is written as one of JSON.
fn section(name: &str, command: &str, args: &[String]) -> String {
    let args = serde_json::to_string(args).unwrap_or_default();
    format!("[mcp_servers.{name}]\ncommand = {}\nargs = {args}\n", Value::from(command))
}

/// `text` with the table of server `name`: in place of the one it has, or at its end.
fn with_section(text: &str, name: &str, section: &str) -> Result<Option<String>> {
    let parsed = |text: &str| toml::from_str::<toml::Table>(text);
    parsed(text).map_err(|error| by_hand(format!("it is not TOML: {}", error.message())))?;
    let head = format!("[mcp_servers.{name}]");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = lines.iter().position(|line| line.trim() == head);
    let edited = match at {
        None => format!("{text}{}{section}", if text.ends_with('\n') { "\n" } else { "\n\n" }),
        Some(at) => {
            let behind = lines[at + 1..].iter().position(|line| line.trim_start().starts_with('['));
            let behind = behind.map_or(lines.len(), |n| at + 1 + n);
            let gap = if behind < lines.len() { "\n" } else { "" };
            format!("{}{section}{gap}{}", lines[..at].concat(), lines[behind..].concat())
        }
    };
    // Written in another way (quoted, inline, behind a comment), the server would now be there twice.
    parsed(&edited)
        .map_err(|_| by_hand(format!("it has a server `{name}` that is not in a table of its own")))?;
    Ok((edited != text).then_some(edited))
}

/// Reads a client's file, whichever form it has.
///
/// # Errors
/// Where it has neither, with the place.
pub(super) fn read(path: &Path, text: &str) -> Result<Value> {
    let file = path.display().to_string();
    if path.extension().is_some_and(|ending| ending == "toml") {
        return match toml::from_str::<toml::Table>(text) {
            Ok(table) => Ok(serde_json::to_value(table).unwrap_or_default()),
            Err(error) => {
                let at = error.span().map(|span| Position::of(text, span.start));
                let sentence = format!("this is not TOML: {}", error.message());
                let problem = Problem { severity: Severity::Error, path: file, at, sentence, hint: None };
                Err(problem.refusal_in(path.to_owned()).into())
            }
        };
    }
    serde_json::from_str(text).map_err(|error| {
        Problem::of_json(&file, text, &error)
            .refusal_in(path.to_owned())
            .with_hint("comments are no JSON: take them out of a copy, and import that")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(client: Client, text: &str, expected: Option<&str>) {
        let args = ["stdio".to_owned()];
        let merged = client.merged(text, "station", "/bin/stn", &args).unwrap();
        assert_eq!(merged.as_deref(), expected, "{text}");
        // What was merged once stays.
        let is = expected.unwrap_or(text);
        assert_eq!(client.merged(is, "station", "/bin/stn", &args).unwrap(), None, "{is}");
    }

    #[test]
    fn a_clients_file_keeps_all_but_our_entry() {
        let entry =
            "{\n      \"command\": \"/bin/stn\",\n      \"args\": [\n        \"stdio\"\n      ]\n    }";
        let fresh = format!("{{\n  \"mcpServers\": {{\n    \"station\": {entry}\n  }}\n}}\n");
        check(Client::Cursor, "", Some(&fresh));
        check(
            Client::Cursor,
            "{\"a\":  1}\n",
            Some(&format!("{{\n  \"mcpServers\": {{\n    \"station\": {entry}\n  }},\"a\":  1}}\n")),
        );
        check(
            Client::Cursor,
            "{\n  \"mcpServers\": {\n    \"x\": {\"command\":  \"y\"}\n  }\n}\n",
            Some(&format!(
                "{{\n  \"mcpServers\": {{\n    \"x\": {{\"command\":  \"y\"}},\n    \"station\": {entry}\n  }}\n}}\n"
            )),
        );
        let table = "[mcp_servers.station]\ncommand = \"/bin/stn\"\nargs = [\"stdio\"]\n";
        check(Client::Codex, "", Some(table));
        check(Client::Codex, "model = \"o\" # mine\n", Some(&format!("model = \"o\" # mine\n\n{table}")));
        check(
            Client::Codex,
            "[mcp_servers.station]\ncommand = \"old\"\n\n[other]\na = 1\n",
            Some(&format!("{table}\n[other]\na = 1\n")),
        );
        for broken in ["{\"a\": 1 // mine\n}", "[]"] {
            assert!(Client::Cursor.merged(broken, "station", "/bin/stn", &[]).is_err());
        }
        assert!(Client::Codex.merged("a = ", "station", "/bin/stn", &[]).is_err());
    }
}
