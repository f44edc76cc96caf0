//! One server added to a server file, or taken out of it, in its place.

use super::quote::line_end;
use super::set::marked;
use crate::file::Problem;
use crate::file::servers;
use crate::file::sheet::Fault;
use crate::file::{json, template, tree};
use std::ops::Range;

/// `text`, a server file, with one more server behind its others; `entry` is the server's JSON.
///
/// # Errors
/// A problem (without a path) where the file cannot be read or has that server, or the edit would change another one.
pub fn put_server(text: &str, name: &str, entry: &serde_json::Value) -> Result<String, Problem> {
    marked(text, |text| {
        let members = Members::of(text)?;
        if members.named(name).is_some() {
            return Err(Fault::new(None, format!("server `{name}` is in the file already")));
        }
        let end = line_end(text);
        let pretty = serde_json::to_string_pretty(entry).unwrap_or_default();
        let (at, new) = match members.all.last() {
            Some(last) => {
                let blank = members.blank_before(last.start);
                let indent = blank.rsplit('\n').next().unwrap_or_default();
                (
                    last.end,
                    format!(",{blank}{}: {}", quoted(name), pretty.replace('\n', &format!("\n{indent}"))),
                )
            }
            None => {
                let pretty = pretty.replace('\n', "\n    ");
                (members.open, format!("{end}    {}: {pretty}{end}  ", quoted(name)))
            }
        };
        let new = if end == "\n" { new } else { new.replace("\r\n", "\n").replace('\n', end) };
        carried_out(text, format!("{}{new}{}", &text[..at], &text[at..]), name, Expected::Here)
    })
}

/// `text`, a server file, without the server of exactly this name; the comma and the blank beside it go too.
///
/// # Errors
/// As [`put_server`], and where the file has no such server.
pub fn remove_server(text: &str, name: &str) -> Result<String, Problem> {
    marked(text, |text| {
        let members = Members::of(text)?;
        let Some(found) = members.named(name) else {
            return Err(Fault::new(None, format!("server `{name}` is not in the file")));
        };
        let cut = members.cut(found);
        carried_out(text, format!("{}{}", &text[..cut.start], &text[cut.end..]), name, Expected::Gone)
    })
}

/// Whether the edited text has the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Here,
    Gone,
}

/// The edited text, where every other server stands in it as before, whichever way its conditions go.
fn carried_out(before: &str, edited: String, name: &str, expected: Expected) -> Result<String, Fault> {
    let holds = |value: Option<&str>| {
        let value_of = |_: &str| value.map(str::to_owned);
        let outline = |text: &str| {
            servers::read(text, "", &value_of).0?;
            Some(Members::with(text, &value_of).ok()?.outline())
        };
        // A file that conditions break in one way is as broken as before.
        let Some(mut was) = outline(before) else { return value.is_some() };
        let Some(mut is) = outline(&edited) else { return false };
        let is_here = is.iter().any(|(known, _)| known == name);
        was.retain(|(known, _)| known != name);
        is.retain(|(known, _)| known != name);
        was == is && is_here == (expected == Expected::Here)
    };
    if holds(None) && holds(Some("1")) {
        return Ok(edited);
    }
    Err(Fault::new(None, "the file cannot be changed without changing other lines of it")
        .with_hint("edit the file by hand"))
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

/// The entries of the first map of servers, as they stand in the text.
struct Members<'a> {
    text: &'a str,
    /// Just behind the map's `{`.
    open: usize,
    names: Vec<String>,
    all: Vec<Range<usize>>,
}

impl<'a> Members<'a> {
    fn of(text: &'a str) -> Result<Self, Fault> {
        Self::with(text, &|_| None)
    }

    fn with(text: &'a str, value_of: &dyn Fn(&str) -> Option<String>) -> Result<Self, Fault> {
        let rendered = template::render(text, value_of)?;
        let root = json::parse(&rendered, text)?;
        let map = servers::KEYS.iter().find_map(|key| root.get(key)).ok_or_else(|| {
            Fault::new(None, "the file defines no servers: it has neither `mcpServers` nor `servers`")
        })?;
        let members = match &map.value {
            tree::Value::Map(members) => members.as_slice(),
            tree::Value::Scalar(_) | tree::Value::List(_) => &[],
        };
        Ok(Self {
            text,
            open: map.at + 1,
            names: members.iter().map(|member| member.key.clone()).collect(),
            all: members.iter().map(|member| member.at..member.node.end).collect(),
        })
    }

    /// Each entry with its text.
    fn outline(&self) -> Vec<(String, String)> {
        let text = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default().to_owned();
        self.names.iter().cloned().zip(self.all.iter().map(text)).collect()
    }

    fn named(&self, name: &str) -> Option<Range<usize>> {
        let at = self.names.iter().position(|known| known == name)?;
        Some(self.all[at].clone())
    }

    /// The white space before byte `at`.
    fn blank_before(&self, at: usize) -> &'a str {
        let before = &self.text[..at];
        &before[before.trim_end().len()..]
    }

    /// An entry with the comma that it needs: the one behind it, or for the last one that before it.
    fn cut(&self, entry: Range<usize>) -> Range<usize> {
        let behind = self.text[entry.end..].trim_start();
        if let Some(behind) = behind.strip_prefix(',') {
            return entry.start..self.text.len() - behind.trim_start().len();
        }
        let before = self.text[..entry.start].trim_end();
        before.strip_suffix(',').unwrap_or(before).len()..entry.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BOTH: &str = "{\n  \"name\": \"x\",\n  \"mcpServers\": {\n    \"git\": {\"command\": \"a\", \"args\": [{{ .N }}]},\n    \"github\": {\"command\": \"b\"}\n  },\n  \"metadata\": {}\n}\n";

    #[test]
    fn one_server_goes_and_its_neighbour_stays() {
        assert_eq!(
            remove_server(BOTH, "git").as_deref(),
            Ok(
                "{\n  \"name\": \"x\",\n  \"mcpServers\": {\n    \"github\": {\"command\": \"b\"}\n  },\n  \"metadata\": {}\n}\n"
            )
        );
        assert_eq!(
            remove_server(BOTH, "github").as_deref(),
            Ok(
                "{\n  \"name\": \"x\",\n  \"mcpServers\": {\n    \"git\": {\"command\": \"a\", \"args\": [{{ .N }}]}\n  },\n  \"metadata\": {}\n}\n"
            )
        );
        assert!(remove_server(BOTH, "gi").is_err());
        let crlf = BOTH.replace('\n', "\r\n");
        let expected = remove_server(BOTH, "git").map(|text| text.replace('\n', "\r\n"));
        assert_eq!(remove_server(&crlf, "git"), expected);
        let one = r#"{"servers":{"git":{"command":"a"}}}"#;
        assert_eq!(remove_server(one, "git").as_deref(), Ok(r#"{"servers":{}}"#));
    }

    #[test]
    fn one_server_is_added_as_the_others_stand() {
        let entry = json!({"command": "c", "args": ["-y"]});
        assert_eq!(
            put_server(BOTH, "new", &entry).as_deref(),
            Ok(
                "{\n  \"name\": \"x\",\n  \"mcpServers\": {\n    \"git\": {\"command\": \"a\", \"args\": [{{ .N }}]},\n    \"github\": {\"command\": \"b\"},\n    \"new\": {\n      \"command\": \"c\",\n      \"args\": [\n        \"-y\"\n      ]\n    }\n  },\n  \"metadata\": {}\n}\n"
            )
        );
        assert_eq!(
            put_server("{\"mcpServers\": {}}\n", "new", &json!({"url": "https://h"})).as_deref(),
            Ok("{\"mcpServers\": {\n    \"new\": {\n      \"url\": \"https://h\"\n    }\n  }}\n")
        );
        assert!(put_server(BOTH, "git", &entry).is_err());
    }

    #[test]
    fn an_entry_inside_a_condition_is_left_to_its_writer() {
        let text = "{\"mcpServers\": {{{ if .X }}\"a\": {\"command\": \"a\"},{{ end }} \"b\": {\"command\": \"b\"}}}";
        assert!(remove_server(text, "a").is_err());
        assert!(
            remove_server(text, "b").is_err(),
            "without it the comma inside the condition would be the last thing"
        );
    }
}
