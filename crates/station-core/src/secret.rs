//! A value that must not be shown, and what takes such values out of texts that were written by others.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// A secret text: `Debug` does not show it, there is no `Display`, and its memory is wiped on drop.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Shorter values are words like `true` or `8080`: taking them out would hide nothing and garble the rest.
const REDACTED_CHARS_MIN: usize = 8;

/// What stands in place of a value.
pub(crate) const REDACTED: &str = "[secret]";

/// Takes values out of texts. A value of several lines is taken out line by line, too, because logs are read by lines.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    parts: Vec<Secret>,
}

impl Redaction {
    /// Of these values, as far as they are long enough to be told apart from words.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        // Not only at line ends: whoever makes a text fit for a terminal drops other control characters as well.
        let pieces = |value: &'a str| {
            std::iter::once(value).chain(value.split(|c: char| c.is_control() && c != '\t')).map(str::trim)
        };
        let parts: BTreeSet<&str> = values
            .into_iter()
            .flat_map(pieces)
            .filter(|part| part.chars().count() >= REDACTED_CHARS_MIN)
            .collect();
        // Also as JSON has them, and a text of JSON within JSON.
        let escaped = |text: &str| {
            let json = serde_json::Value::from(text).to_string();
            json[1..json.len() - 1].to_owned()
        };
        let forms = parts.into_iter().flat_map(|part| {
            let once = escaped(part);
            let twice = escaped(&once);
            BTreeSet::from([part.to_owned(), once, twice])
        });
        Self { parts: forms.map(Secret::new).collect() }
    }

    /// These values, and `value` as well.
    #[must_use]
    pub fn and(&self, value: &Secret) -> Self {
        let parts = self.parts.iter().cloned().chain(Self::of([value.expose()]).parts);
        Self { parts: parts.collect() }
    }

    /// `text` without the values.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let mut found: Vec<Range<usize>> = self
            .parts
            .iter()
            .flat_map(|part| text.match_indices(part.expose()))
            .map(|(start, part)| start..start + part.len())
            .collect();
        found.sort_by_key(|range| range.start);
        let (mut out, mut done) = (String::with_capacity(text.len()), 0);
        for range in found {
            // One that begins inside another is a part of it, or its continuation: both are shown as one.
            if range.start >= done {
                out.push_str(&text[done..range.start]);
                out.push_str(REDACTED);
            }
            done = done.max(range.end);
        }
        out.push_str(&text[done..]);
        out
    }

    /// Bytes of the longest text that is taken out: whoever cuts a text first must keep so much more of it.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.parts.iter().map(|part| part.expose().len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_out_whole() {
        let check = |values: &[&str], text: &str, expected: &str| {
            assert_eq!(Redaction::of(values.iter().copied()).apply(text), expected, "{values:?}");
        };
        let token = "sk-very-secret";
        check(&[token], "401 for --sk-very-secret!", "401 for --[secret]!");
        check(&[token], "sk-very-secret sk-very-secret", "[secret] [secret]");
        check(&["8080", "true"], "true on 8080", "true on 8080");
        check(&["äöüäöüä"], "äöüäöüä", "äöüäöüä");
        check(&["äöüäöüäö"], "x äöüäöüäö", "x [secret]");
        check(&[token, "sk-very-secret-too"], "sk-very-secret-too", "[secret]");
        check(
            &[token, "Bearer sk-very-secret"],
            "Bearer sk-very-secret, sk-very-secret",
            "[secret], [secret]",
        );
        // Where one runs into the next, nothing of either is left.
        check(&["abcdefgh12", "12zzzzzz"], "<abcdefgh12zzzzzz>", "<[secret]>");
        let key = "-- BEGIN --\r\nMIIEvQIBADANBg\nshort\n";
        check(&[key], "it read MIIEvQIBADANBg and short", "it read [secret] and short");
        check(&[key], &format!("<{key}>"), "<[secret]\n>");
        check(&[" sk-very-secret\n"], "sk-very-secret", "[secret]");
        check(&["", "        "], "a        b", "a        b");
        // In JSON, and in JSON within JSON.
        check(&["a\tb \"cdefgh\""], r#"{"x": "a\tb \"cdefgh\""}"#, r#"{"x": "[secret]"}"#);
        check(&["a\tbcdefgh"], r#"{"x": "{\"y\": \"a\\tbcdefgh\"}"}"#, r#"{"x": "{\"y\": \"[secret]\"}"}"#);
    }

    #[test]
    fn a_redaction_does_not_show_its_values() {
        let redaction = Redaction::of(["sk-very-secret", "sk-secret"]);
        assert!(!format!("{redaction:?}").contains("sk-"));
        assert_eq!(redaction.bytes_max(), 14);
    }
}
