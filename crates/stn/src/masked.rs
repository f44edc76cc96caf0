//! One line of a file that may hold secrets, with its values masked character for character.
//!
//! What is shown is what a person needs to find the place: keys, punctuation, `{{ … }}`, and values that cannot be
//! secrets by where they stand: the `station` block, `isolation`, numbers and truth values outside of `env`, `headers`,
//! `args` and `url`; settings of config.yaml that are none of the secret ones. **Invariant:** where the text before a
//! value cannot be followed, because a quote is missing, the value is masked.

use station_core::file::config::keys::{KEYS, Shape};

/// Keys below which every value may be a secret: those of a server's entry, and what a variable is by default.
const HIDDEN: [&str; 5] = ["env", "headers", "args", "url", "default"];

/// Keys below which no value is one, but for those above.
const OPEN: [&str; 2] = ["station", "isolation"];

/// Line `n` (from 0) of a server file.
pub(crate) fn servers(text: &str, n: usize) -> String {
    let line = text.lines().nth(n).unwrap_or_default();
    let mut walk = Walk::default();
    let mut shown = None;
    for (index, line) in text.lines().enumerate().take(n + 1) {
        let told = walk.line(line);
        shown = (index == n && walk.is_sound).then_some(told);
    }
    shown.unwrap_or_else(|| Walk { is_sound: false, ..Walk::default() }.line(line))
}

/// Where in a server file the walk is.
struct Walk {
    /// The key of each bracket that is open.
    path: Vec<String>,
    /// The key whose value comes next.
    key: String,
    /// Whether every string so far was closed on its line, as JSON's are.
    is_sound: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Self { path: Vec::new(), key: String::new(), is_sound: true }
    }
}

impl Walk {
    fn line(&mut self, line: &str) -> String {
        let chars: Vec<char> = line.chars().collect();
        let mut shown: Vec<char> = chars
            .iter()
            .map(|c| if c.is_whitespace() || "{}[],:\"".contains(*c) { *c } else { '*' })
            .collect();
        let mut before = None;
        let mut at = 0;
        while at < chars.len() {
            let (end, is_told) = match chars[at] {
                '"' => self.string(&chars, at),
                c if c.is_whitespace() || "{}[],:".contains(c) => {
                    self.bracket(c);
                    (at + 1, false)
                }
                _ => {
                    let end = (at..chars.len()).find(|end| is_border(chars[*end])).unwrap_or(chars.len());
                    let word: String = chars[at..end].iter().collect();
                    // Behind a quote stands no value: one of the quotes is missing.
                    let is_value = before.is_none_or(|c| ":,[".contains(c)) && is_literal(&word);
                    (end, self.is_sound && is_value && !self.is_hidden())
                }
            };
            if is_told {
                shown[at..end].copy_from_slice(&chars[at..end]);
            } else if chars[at] == '"' {
                let is_closed = end > at + 1 && chars[end - 1] == '"';
                shown[at + 1..end - usize::from(is_closed)].fill('*');
            }
            before = chars[at..end].iter().rev().find(|c| !c.is_whitespace()).copied().or(before);
            at = end;
        }
        unmask_templates(&mut shown, &chars);
        shown.into_iter().map(|c| if c == '\t' { ' ' } else { c }).collect()
    }

    /// The end of the string that begins at `at`, and whether it may be shown.
    fn string(&mut self, chars: &[char], at: usize) -> (usize, bool) {
        let mut end = at + 1;
        while end < chars.len() && chars[end] != '"' {
            end += if chars[end] == '\\' { 2 } else { 1 };
        }
        if end >= chars.len() {
            self.is_sound = false;
            return (chars.len(), false);
        }
        let is_key = chars[end + 1..].iter().find(|c| !c.is_whitespace()) == Some(&':');
        if is_key {
            self.key = chars[at + 1..end].iter().collect();
            return (end + 1, true);
        }
        let is_open = self.keys().any(|key| OPEN.contains(&key));
        (end + 1, self.is_sound && is_open && !self.is_hidden())
    }

    fn bracket(&mut self, c: char) {
        match c {
            '{' | '[' => self.path.push(std::mem::take(&mut self.key)),
            '}' | ']' => {
                self.path.pop();
                self.key.clear();
            }
            ',' => self.key.clear(),
            _ => {}
        }
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.path.iter().chain([&self.key]).map(String::as_str)
    }

    fn is_hidden(&self) -> bool {
        self.keys().any(|key| HIDDEN.contains(&key))
    }
}

fn is_border(c: char) -> bool {
    c.is_whitespace() || "{}[],:\"".contains(c)
}

/// A number, a truth value or null.
fn is_literal(word: &str) -> bool {
    matches!(word, "true" | "false" | "null") || word.parse::<f64>().is_ok()
}

/// `{{ .NAME }}` holds a name, never a value.
fn unmask_templates(shown: &mut [char], chars: &[char]) {
    let mut start = None;
    for at in 0..chars.len().saturating_sub(1) {
        match (chars[at], chars[at + 1], start) {
            ('{', '{', None) => start = Some(at),
            ('}', '}', Some(from)) => {
                let is_name = !chars[from..at].contains(&'"');
                if is_name {
                    shown[from..at + 2].copy_from_slice(&chars[from..at + 2]);
                }
                start = None;
            }
            _ => {}
        }
    }
}

/// A line of variables.yml: its key.
pub(crate) fn variable(line: &str) -> String {
    // Behind a blank stands a part of a value of several lines.
    let key = key_of(line).filter(|_| !line.starts_with(char::is_whitespace));
    hide_from(line, key.map_or(0, str::len))
}

/// A line of config.yaml: its key, and the value of a setting that is no secret.
pub(crate) fn setting(line: &str) -> String {
    let Some(key) = key_of(line) else { return hide_from(line, 0) };
    let name = key.trim().trim_matches(['"', '\'']);
    let row = KEYS.iter().find(|row| row.name.split('.').any(|part| part == name));
    let is_told = row.is_some_and(|row| !matches!(row.shape, Shape::Secret | Shape::Made(_)));
    // An address may hold a name and a password.
    if is_told && !line.contains('@') { line.replace('\t', " ") } else { hide_from(line, key.len()) }
}

/// A line of TOML: the name of a table, or a key.
pub(crate) fn assignment(line: &str) -> String {
    let is_name = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "_.-\"' ".contains(c));
    let table = line.trim().trim_start_matches('[').trim_end_matches(']');
    if line.trim_start().starts_with('[') && is_name(table) {
        return line.replace('\t', " ");
    }
    let key = line.split_once('=').map(|(key, _)| key).filter(|key| !key.trim().is_empty() && is_name(key));
    let (head, value) = line.split_at(key.map_or(0, |key| key.len() + 1));
    let hidden = value.chars().map(|c| if c.is_whitespace() { ' ' } else { '*' });
    head.chars().chain(hidden).collect()
}

/// What stands before the colon of `key: value`, with its indentation.
fn key_of(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let is_name = |c: char| c.is_alphanumeric() || "_.-\"' ".contains(c);
    let fits = !key.trim().is_empty() && key.chars().all(is_name);
    (fits && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(key)
}

/// `line` with everything behind its first `kept` bytes and a colon masked.
fn hide_from(line: &str, kept: usize) -> String {
    let (head, rest) = line.split_at(kept);
    let mut is_colon = kept > 0;
    let hidden = rest.chars().map(|c| match c {
        ':' if std::mem::take(&mut is_colon) => ':',
        c if c.is_whitespace() => ' ',
        _ => '*',
    });
    head.chars().chain(hidden).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_server_file_shows_what_cannot_be_a_secret() {
        for (text, n, shown) in [
            (r#"  "TOKEN": "s3cret","#, 0, r#"  "TOKEN": "******","#),
            (r#"  "TOKEN": s3cret"#, 0, r#"  "TOKEN": ******"#),
            (r#"  "TOKEN": "s3cret"#, 0, r#"  "TOKEN": "******"#),
            (r#"  "A": "x{{ .A }}y", "B": x5"#, 0, r#"  "A": "*{{ .A }}*", "B": **"#),
            (r#"  "a\"b": "c\"d" }"#, 0, r#"  "a\"b": "****" }"#),
            ("s3cret", 0, "******"),
            (r#"["-y", "s3cret"]"#, 0, r#"["**", "******"]"#),
            (
                r#"{"x": {"command": "c", "station": {"isolation": "none", "timeout_s": "soon"}}}"#,
                0,
                r#"{"x": {"command": "*", "station": {"isolation": "none", "timeout_s": "soon"}}}"#,
            ),
            ("{\"x\": {\"station\": {\n\"timeout_s\": 0}}}", 1, "\"timeout_s\": 0}}}"),
            ("{\"x\": {\"command\": 5, \"args\": [5]}}", 0, "{\"x\": {\"command\": 5, \"args\": [*]}}"),
            ("{\"x\": {\"env\": {\n\"PIN\": 1234}}}", 1, "\"PIN\": ****}}}"),
            (
                "{\"x\": {\"url\": 5, \"headers\": {\"A\": true}}}",
                0,
                "{\"x\": {\"url\": *, \"headers\": {\"A\": ****}}}",
            ),
            (
                r#"{"variables": {"PIN": {"required": true, "default": 1234}}}"#,
                0,
                r#"{"variables": {"PIN": {"required": true, "default": ****}}}"#,
            ),
            // A quote is missing before: nothing of what follows is believed.
            ("{\"station\": \"run,\n\"TOKEN\": \"12345\"", 1, "\"TOKEN\": \"*****\""),
            (
                "\"station\": {\"a\": \"run, \"env\": {\"PIN\": 1234}}",
                0,
                "\"station\": {\"a\": \"*****\"***\"***\"***\"********",
            ),
            (r#"{{ if eq .A "s3cret" }}"#, 0, r#"{{ ** ** ** "******" }}"#),
        ] {
            assert_eq!(servers(text, n), shown, "{text}");
        }
    }

    #[test]
    fn a_line_of_toml_shows_its_key() {
        for (line, shown) in [
            ("[mcp_servers.git]", "[mcp_servers.git]"),
            ("[mcp_servers.git", "[mcp_servers.git"),
            ("env = { TOKEN = \"s3cret\" }", "env = * ***** * ******** *"),
            ("TOKEN=\"s3cret", "TOKEN=*******"),
            ("s3cret", "******"),
            ("s3cret!x = 1", "******** * *"),
            ("[\"s3cret!\", 5]", "*********** **"),
        ] {
            assert_eq!(assignment(line), shown, "{line}");
        }
    }

    #[test]
    fn a_line_of_yaml_shows_its_key() {
        for (line, shown) in [
            ("TOKEN: [s3cret, x]", "TOKEN: ******** **"),
            ("\"TOKEN\": s3cret", "\"TOKEN\": ******"),
            ("TOKEN s3cret", "***** ******"),
            ("  part: of a value", "  ***** ** * *****"),
            ("https://ann:s3cret@x", "********************"),
            ("# OLD: s3cret", "* **** ******"),
        ] {
            assert_eq!(variable(line), shown, "{line}");
        }
        for (line, shown) in [
            ("files: maybe", "files: maybe"),
            ("  timeout: 0", "  timeout: 0"),
            ("ai_api_key: [s3cret]", "ai_api_key: ********"),
            ("encryption_key: abc", "encryption_key: ***"),
            ("database_url: postgres://a:b@c/d", "database_url: ******************"),
            ("ai_base_url: https://ann:s3cret@x", "ai_base_url: ********************"),
            ("other: s3cret", "other: ******"),
            ("s3cret", "******"),
        ] {
            assert_eq!(setting(line), shown, "{line}");
        }
    }
}
