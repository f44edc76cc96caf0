//! JSON as programs of others write it: read where it can be.
//!
//! The grammar allows what the reader here does not take: an escape that names half of a surrogate pair (RFC 8259,
//! section 8.2). Programs that cut texts at UTF-16 units write such, and one broken letter is no reason to lose what
//! stands around it. What is not JSON stays an error, with its reason.

use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// Length of an escape such as `\ud83d`.
const ESCAPE: usize = 6;

/// Reads one value. What is not UTF-8, and halves of surrogate pairs, are read as U+FFFD; of two members with one name
/// the last counts.
///
/// # Errors
/// Where it is not JSON, nested too deep, or holds a number that no number here can hold. The reason names no content.
pub fn read(text: &[u8]) -> serde_json::Result<Value> {
    match serde_json::from_slice(text) {
        Ok(value) => Ok(value),
        // Read once more from the front: the reason must be that of the text with its letters mended.
        Err(_) => serde_json::from_str(&whole(&String::from_utf8_lossy(text))),
    }
}

/// How long a value is as text, which is not made for it.
#[must_use]
pub fn bytes(value: &Value) -> u64 {
    struct Count(u64);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 += text.len() as u64;
            Ok(())
        }
    }
    let mut count = Count(0);
    // A value of JSON can always be shown, and counting never fails.
    write!(count, "{value}").map_or(u64::MAX, |()| count.0)
}

/// `text` with `\ufffd` in place of every half of a surrogate pair. Backslashes stand in JSON's strings alone.
fn whole(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let (mut out, mut done, mut at) = (String::new(), 0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        let halves = (unit(bytes, at), unit(bytes, at + ESCAPE));
        at = match halves {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => at + 2 * ESCAPE,
            (Some(0xd800..0xe000), _) => {
                out.push_str(&text[done..at]);
                out.push_str("\\ufffd");
                done = at + ESCAPE;
                done
            }
            (Some(_), _) => at + ESCAPE,
            // What is escaped may be a letter of several bytes, where it is no JSON.
            (None, _) => at + 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// The UTF-16 unit that the escape at `at` names; `None` where there is none such.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_letter_cut_in_half_is_one_broken_letter() {
        let check = |text: &str, expected: Value| {
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text}");
        };
        check(r#"{"a":"x\ud83d"}"#, json!({ "a": "x\u{fffd}" }));
        check(r#"["\ude00x", "\ud83d\ud83d\ude00"]"#, json!(["\u{fffd}x", "\u{fffd}😀"]));
        check(r#"["\uD83D\u0041\n", "\\ud83d", "\ud83d\ude00"]"#, json!(["\u{fffd}A\n", "\\ud83d", "😀"]));
        check(r#"{"id":1,"id":2}"#, json!({ "id": 2 }));
        assert_eq!(read(b"\"a\xff\\ud83d\"").unwrap(), json!("a\u{fffd}\u{fffd}"));
    }

    #[test]
    fn what_is_not_json_says_why_and_shows_nothing_of_it() {
        let check = |text: &str, why: &str| {
            assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), why, "{text}");
        };
        check("[1e999]", "number out of range at line 1 column 6");
        check(r#"["\ud83d", secret]"#, "expected value at line 1 column 12");
        check(r#"["\u12"#, "EOF while parsing a string at line 1 column 6");
        check("[\"\\ä\"]", "invalid escape at line 1 column 4");
        check("\\", "expected value at line 1 column 1");
        check(&"[".repeat(100_000), "recursion limit exceeded at line 1 column 128");
    }

    #[test]
    fn a_value_is_as_long_as_its_text() {
        for value in [json!(null), json!("ä\n"), json!({ "a": [1, 2.5, true], "b": {} })] {
            assert_eq!(bytes(&value), value.to_string().len() as u64, "{value}");
        }
    }
}
