//! Requests that are sent again and done once: by a key that their sender made up for them.
//!
//! The key comes as `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07). Whoever heard no answer sends the same request
//! with the same key; what that comes to is decided here, of what is kept of the first. What this is not: a cache. A request without
//! a key is done as often as it is sent.

use crate::{Error, Result};
use std::fmt;
use std::time::Duration;

/// How long what is kept of a request holds: a client that tries again does so within minutes, a queue of jobs within a day.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// Longest key: a UUID has 36 characters, and what others take is 255.
const CHARS_MAX: usize = 255;

/// What a sender calls its request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// Reads the header: a string of structured fields (RFC 8941, section 3.3.3), as the draft has it, or the same without its
    /// quotation marks, as most clients send it.
    ///
    /// # Errors
    /// `Invalid` where it is neither, empty or too long.
    pub fn parse(header: &str) -> Result<Self> {
        let text = header.trim();
        let key = match text.strip_prefix('"') {
            Some(rest) => unquoted(rest),
            None => text.bytes().all(is_bare).then(|| text.to_owned()),
        };
        let malformed = |why: &str| {
            Error::invalid(format!("`Idempotency-Key` {why}"))
                .with_hint("send a key of your own for each request, such as a UUID: `Idempotency-Key: \"8e03978e-40d5-43dd-bc93-6894a57f9324\"`")
        };
        match key {
            None => Err(malformed("is no string: printable ASCII in quotation marks, or one word without")),
            Some(key) if key.is_empty() => Err(malformed("is empty")),
            Some(key) if key.len() > CHARS_MAX => {
                Err(malformed(&format!("is longer than {CHARS_MAX} characters")))
            }
            Some(key) => Ok(Self(key)),
        }
    }

    /// As it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What may stand without quotation marks: what cannot be taken for more than one value.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',' | b';')
}

/// What stands before the closing quotation mark, which is the end.
fn unquoted(rest: &str) -> Option<String> {
    let (mut key, mut chars) = (String::new(), rest.chars());
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(key),
            '\\' => key.push(chars.next().filter(|next| matches!(next, '"' | '\\'))?),
            plain @ ' '..='~' => key.push(plain),
            _ => return None,
        }
    }
}

/// How the first request with a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Somebody is at work at it.
    AtWork,
    /// Whoever was at work at it is gone, and nobody wrote down what became of it.
    Left,
    /// It was answered, and the answer is kept.
    Answered,
    /// It was answered, and its answer is not told twice.
    Untold,
}

/// What it takes that a deed is not done twice where nobody knows whether it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Nothing: to do it again makes nothing twice. It finds what was made, because the key was bound to that by the transaction that
    /// made it, or it does the same to the same thing.
    Harmless,
    /// More than is known.
    Unsure,
}

/// What becomes of a request whose key is known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key is another request's.
    Another,
    /// To be tried later.
    Later,
    /// It is taken up.
    TakeUp,
    /// Nobody knows whether it was done.
    Unknown,
    /// The answer of the first is told again.
    Tell,
    /// It was done, and its answer is not told twice.
    Withhold,
}

/// Decides about a request with a known key; whether it `is_same` as the first with it.
#[must_use]
pub fn judge(is_same: bool, stands: Stands, again: Again) -> Verdict {
    match (is_same, stands) {
        (false, _) => Verdict::Another,
        (true, Stands::AtWork) => Verdict::Later,
        (true, Stands::Left) => match again {
            Again::Harmless => Verdict::TakeUp,
            Again::Unsure => Verdict::Unknown,
        },
        (true, Stands::Answered) => Verdict::Tell,
        (true, Stands::Untold) => Verdict::Withhold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_string_with_or_without_its_quotation_marks() {
        let check = |header: &str, expected: &str| {
            let read = Key::parse(header).map_or_else(|error| error.to_string(), |key| key.to_string());
            assert_eq!(read, expected, "{header}");
        };
        let uuid = "8e03978e-40d5-43dd-bc93-6894a57f9324";
        check(uuid, uuid);
        check(&format!("\"{uuid}\""), uuid);
        check(" \"order 7\" ", "order 7");
        check(r#""a \"b\" \\ c""#, r#"a "b" \ c"#);
        for broken in
            ["\"a", "\"a\"b", "a\"b", "a, b", "a b", "\"a\";v=1", r#""a\b""#, "\"ä\"", "ä", "\"a\tb\""]
        {
            check(
                broken,
                "`Idempotency-Key` is no string: printable ASCII in quotation marks, or one word without",
            );
        }
        for empty in ["", "  ", "\"\""] {
            check(empty, "`Idempotency-Key` is empty");
        }
        check(&"k".repeat(CHARS_MAX), &"k".repeat(CHARS_MAX));
        check(&"k".repeat(CHARS_MAX + 1), "`Idempotency-Key` is longer than 255 characters");
    }

    #[test]
    fn what_is_sent_again_is_done_again_only_where_it_finds_what_was_done() {
        use Stands::{Answered, AtWork, Left, Untold};
        let check = |stands, again, expected| {
            assert_eq!(judge(true, stands, again), expected, "{stands:?} {again:?}");
            assert_eq!(judge(false, stands, again), Verdict::Another, "{stands:?} {again:?}");
        };
        for again in [Again::Harmless, Again::Unsure] {
            check(AtWork, again, Verdict::Later);
            check(Answered, again, Verdict::Tell);
            check(Untold, again, Verdict::Withhold);
        }
        check(Left, Again::Harmless, Verdict::TakeUp);
        check(Left, Again::Unsure, Verdict::Unknown);
    }
}
