//! Texts as YAML scalars on one line.

use serde_json::Value;

/// As a quoted scalar that reads back as exactly this text, wherever a value may stand.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => push(&mut out, c),
        }
    }
    out.push('"');
    out
}

/// JSON as YAML on one line, which it is but for some characters of its texts.
#[must_use]
pub fn json_as_yaml(value: &Value) -> String {
    let mut out = String::new();
    value.to_string().chars().for_each(|c| push(&mut out, c));
    out
}

/// A character of a text in quotation marks: escaped where a YAML stream may not hold it as it is, or where a reader would take it
/// for a line break or a mark.
fn push(out: &mut String, c: char) {
    let is_fit = !matches!(
        c,
        '\0'..'\u{20}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}'
    );
    if is_fit { out.push(c) } else { out.push_str(&format!("\\u{:04x}", u32::from(c))) }
}

/// As [`quoted`], but without quotes where nobody could mistake the text: names of models and the like.
pub(super) fn plain_or_quoted(text: &str) -> String {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    let lower = text.to_ascii_lowercase();
    let is_taken =
        matches!(lower.as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if is_word && !is_taken { text.to_owned() } else { quoted(text) }
}

/// A list on one line.
pub(super) fn flow_list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// The line end that `text` uses: that of its first line.
pub(super) fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::yaml;
    use serde_json::json;

    #[test]
    fn a_schema_with_characters_that_yaml_has_not_reads_back_as_it_was() {
        for value in [json!({ "\u{84}": "a\u{2028}b\u{7f}", "é": [1, null, "\n\"\\"] }), json!("\u{feff}")] {
            let root = yaml::parse(&json_as_yaml(&value)).expect("it is YAML").expect("there is something");
            assert_eq!(root.to_json(), value);
        }
    }
}
