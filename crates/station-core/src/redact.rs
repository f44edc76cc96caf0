//! Takes secrets out of texts by what they look like and by what they are called, where nobody knows their values.
//!
//! It is the last net, under everything that is told to a log: whoever knows a value takes it out by [`Redaction`](crate::Redaction)
//! before. What is taken out by mistake costs a word in a line; so the rules are wide. **Invariant:** what is left of a text is in it.

use crate::secret::REDACTED;
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Values that providers mark as theirs, tokens, private keys, and passwords in addresses; what groups named `keep` and `end` have stays.
const SHAPES: &[&str] = &[
    // Station's own API keys.
    r"\bstn_[A-Za-z0-9_]{16,}",
    // OpenAI, Anthropic; Google; GitHub; GitLab; Slack; AWS; npm; Hugging Face; Stripe.
    r"\bsk-[A-Za-z0-9_-]{16,}",
    r"\bAIza[A-Za-z0-9_-]{30,}",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bgl[a-z]{2,5}-[A-Za-z0-9_-]{16,}",
    r"\bxox[a-z]-[A-Za-z0-9-]{10,}",
    r"\bA(?:KIA|SIA)[A-Z0-9]{16}\b",
    r"\bnpm_[A-Za-z0-9]{20,}",
    r"\bhf_[A-Za-z0-9]{20,}",
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    // A JSON Web Token (RFC 7519), and what a header has behind a scheme (RFC 9110).
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}",
    // PEM (RFC 7468), also where line ends are written as `\n`, and cut off.
    r"(?s)-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}.*?(?:-{5}END [A-Z ]*PRIVATE KEY-{5}|$)",
    // The password of an address (RFC 3986, 3.2.1).
    r#"(?P<keep>://[^/\s:@"']*:)[^@\s/"']+(?P<end>@)"#,
];

/// A name that secrets have, and what is given to it: in JSON, also within a text of JSON, in Rust's debug form, in a header or a query.
const NAMED: &str = concat!(
    r#"(?i)(?P<keep>[a-z0-9_.-]*(?:passwords?|passwd|passphrase|pwd|secrets?|token|(?:api|access|secret|private|encryption)[_-]?keys?|authorization|cookie|credentials?)\\?["']?\s*[:=]\s*)"#,
    r#"(?P<value>(?:Some\()?(?:\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"|'[^']*')\)?|[^\s,;}&"')\\\[{]+)"#,
);

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let compile = |pattern: &&str| Regex::new(pattern).expect("a pattern of ours, which a test compiles");
    SHAPES.iter().map(compile).collect()
});

static BY_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(NAMED).expect("a pattern of ours, which a test compiles"));

/// `text` without what looks like a secret, or is called one.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let text = replace_shapes(text, |_| REDACTED.to_owned());
    let without = BY_NAME.replace_all(&text, |found: &regex::Captures<'_>| {
        let (kept, value) = (&found["keep"], &found["value"]);
        if says_nothing(value) {
            return found[0].to_owned();
        }
        // Quotes stay, so that JSON is JSON.
        let quote = if value.ends_with("\\\"") {
            "\\\""
        } else if value.ends_with('"') {
            "\""
        } else {
            ""
        };
        format!("{kept}{quote}{REDACTED}{quote}")
    });
    match without {
        Cow::Owned(without) => Cow::Owned(without),
        Cow::Borrowed(_) => text,
    }
}

/// `text` with what `instead` says in place of each value that looks like a secret, whatever it is called.
pub(crate) fn replace_shapes(text: &str, mut instead: impl FnMut(&str) -> String) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for pattern in PATTERNS.iter() {
        if let Cow::Owned(without) = pattern.replace_all(&text, |found: &regex::Captures<'_>| {
            let kept = |name: &str| found.name(name).map_or("", |kept| kept.as_str());
            let (keep, end) = (kept("keep"), kept("end"));
            let secret = &found[0][keep.len()..found[0].len() - end.len()];
            format!("{keep}{}{end}", instead(secret))
        }) {
            text = Cow::Owned(without);
        }
    }
    text
}

/// Numbers and truth values: how many tokens there were, and whether there is a password.
pub(crate) fn says_nothing(value: &str) -> bool {
    let bare = value.trim_matches(|c| c == '"' || c == '\\');
    bare.is_empty()
        || bare.chars().all(|c| c.is_ascii_digit() || c == '.')
        || matches!(bare, "true" | "false" | "null" | "None")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_taken_out() {
        let long = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0";
        let check = |text: &str, expected: &str| assert_eq!(redact(text), expected, "{text}");
        for secret in [
            format!("stn_first_{long}"),
            format!("sk-proj-{long}"),
            format!("AIza{long}"),
            format!("ghp_{long}"),
            format!("github_pat_{long}"),
            format!("glpat-{long}"),
            "xoxb-1234567890-abcdef".to_owned(),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w".to_owned(),
        ] {
            check(&format!("it said {secret}, and left"), "it said [secret], and left");
        }
        check("Bearer abcdefgh12345678", "Bearer [secret]");
        check("postgres://ann:hunter2@db/x", "postgres://ann:[secret]@db/x");
        // Put together, so that nobody takes this file for one that holds a key.
        let line = |word: &str, of: &str| format!("-----{word} {of}PRIVATE KEY-----");
        let (begin, end) = (line("BEGIN", "RSA "), line("END", "RSA "));
        check(&format!("{begin}\nMIIE\nowIB\n{end} after"), "[secret] after");
        check(&format!(r"key: {}\nMIIEvQ", line("BEGIN", "")), "key: [secret]");
    }

    #[test]
    fn what_is_called_a_secret_is_taken_out_and_json_stays_json() {
        let check = |text: &str, expected: &str| assert_eq!(redact(text), expected, "{text}");
        check(r#"{"password":"hunter2","n":1}"#, r#"{"password":"[secret]","n":1}"#);
        check(r#"{"m":"{\"api_key\":\"hunter2\"}"}"#, r#"{"m":"{\"api_key\":\"[secret]\"}"}"#);
        check(r#"token=Some("hunter2") n=1"#, r"token=[secret] n=1");
        check("GITHUB_TOKEN=hunter2 next", "GITHUB_TOKEN=[secret] next");
        check("?access_token=hunter2&n=1", "?access_token=[secret]&n=1");
        check("Cookie: hunter2; more", "Cookie: [secret]; more");
        check(r#"{"password":"a\"tail"}"#, r#"{"password":"[secret]"}"#);
        check("password='hunter 2' n=1", "password=[secret] n=1");
        check("AWS_SECRET_ACCESS_KEY=hunter2", "AWS_SECRET_ACCESS_KEY=[secret]");
        check("pwd=hunter2 encryption_key: hunter2", "pwd=[secret] encryption_key: [secret]");
    }

    #[test]
    fn what_says_nothing_secret_stays_as_it_is() {
        for text in [
            "a run has ended run=7 status=completed seconds=2.5",
            "input_tokens=1200 max_tokens=4096 token=7",
            r#"{"has_password":true,"token":null}"#,
            "server `github` did not answer within 30s",
            "https://api.example.com/v1/models",
            "Listening on http://127.0.0.1:8585: MCP at /mcp.",
            "the secret of the variable is not shown",
            "sk-short, stn_short and Bearer me",
            "",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
