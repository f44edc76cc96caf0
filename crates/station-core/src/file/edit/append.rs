//! A key behind everything else of a YAML file.

use super::quote::{line_end, quoted};

/// `text` with a last line `key: "value"`. Meant for top-level keys of files whose root is a block mapping.
#[must_use]
pub fn append_key(text: &str, key: &str, value: &str) -> String {
    let end = line_end(text);
    let before = if text.is_empty() || text.ends_with('\n') || text == "\u{feff}" { "" } else { end };
    format!("{text}{before}{key}: {}{end}", quoted(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_stays() {
        for (text, expected) in [
            ("", "workspace_id: \"w\"\n"),
            ("a: 1\n", "a: 1\nworkspace_id: \"w\"\n"),
            ("a: 1 # x", "a: 1 # x\nworkspace_id: \"w\"\n"),
            ("\u{feff}a: 1\r\nb: 2", "\u{feff}a: 1\r\nb: 2\r\nworkspace_id: \"w\"\r\n"),
        ] {
            assert_eq!(append_key(text, "workspace_id", "w"), expected);
        }
    }
}
