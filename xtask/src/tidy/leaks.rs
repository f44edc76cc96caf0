//! Nothing of the machine that built it, and no key, is in the repository.
//!
//! This is a net for slips, not a secret scanner: it knows folders of build machines, lock files that name a mirror, and
//! what looks like a key.

use super::tree::{File, Finding, Tree};

/// Folders that exist on a build machine only. In two pieces, so that this file passes its own check.
const PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Lock files, what their lines say before an address, and the one address that is right.
const HOSTS: &[(&str, &str, &str)] = &[
    ("package-lock.json", "\"resolved\": \"", "https://registry.npmjs.org/"),
    ("Cargo.lock", "source = \"", "registry+https://github.com/rust-lang/crates.io-index\""),
    (".npmrc", "registry=", "https://registry.npmjs.org/"),
    (".cargo/config.toml", "replace-with", "nothing"),
];

/// Beginnings of well-known keys; one of them followed by a long word is one.
const PREFIXES: &[&str] = &["sk-", "ghp_", "github_pat_", "AKIA", "AIza", "npm_", "xoxb-"];
/// A prefix with fewer characters behind it is an example in a text.
const TOKEN_CHARS_MIN: usize = 20;
/// SHA-1 and up: a key has no business here, and a checksum stands in a lock file.
const HEX_CHARS_MIN: usize = 40;
/// Fewer different digits than this make a placeholder such as `0000…`.
const HEX_DIGITS_MIN: usize = 5;

/// No folder of a build machine.
pub(crate) fn paths(tree: &Tree) -> Vec<Finding> {
    each_line(tree, |_, line| {
        let path = PATHS.iter().find(|path| {
            line.match_indices(*path).any(|(at, _)| {
                !line[..at].ends_with(|c: char| {
                    c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | '}' | '$' | '/')
                })
            })
        })?;
        Some(format!("`{path}` is a folder of somebody's machine"))
    })
}

/// No registry but the public ones.
pub(crate) fn hosts(tree: &Tree) -> Vec<Finding> {
    each_line(tree, |file, line| {
        let (_, before, right) = HOSTS
            .iter()
            .find(|(name, before, _)| file.path.ends_with(name) && line.trim_start().starts_with(before))?;
        let address = line.trim_start().strip_prefix(before)?;
        (!address.starts_with(right))
            .then(|| format!("a registry of somebody's machine: only `{right}` may stand here"))
    })
}

/// No key.
pub(crate) fn keys(tree: &Tree) -> Vec<Finding> {
    let begin = concat!("-----BE", "GIN ");
    each_line(tree, |file, line| {
        let is_lock = file.path.ends_with("package-lock.json") || file.path.ends_with(".lock");
        if is_lock || file.is_test() || file.path.contains("/fixtures/") {
            return None;
        }
        if line.contains(begin) && line.contains("PRIVATE KEY") {
            return Some("a private key".to_owned());
        }
        words(line).find(|word| is_token(word) || is_hex_key(word)).map(|word| {
            format!("`{}…` looks like a key: tests make their own, texts use a placeholder", &word[..6])
        })
    })
}

/// Runs the check over every line but those of unit tests.
fn each_line(tree: &Tree, check: impl Fn(&File, &str) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (n, line) in file.text.lines().enumerate() {
            let is_test = file.source.as_ref().is_some_and(|source| source.is_test_line(n + 1));
            if let Some(why) = (!is_test).then(|| check(file, line)).flatten() {
                findings.push(file.finding(n + 1, why));
            }
        }
    }
    findings
}

/// Words of a line; a digest (`sha256:…`) or a pinned commit (`@…`) is not taken apart.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@' | ':')))
}

fn is_token(word: &str) -> bool {
    let is_plain = |rest: &str| rest.len() >= TOKEN_CHARS_MIN && rest.chars().any(|c| c.is_ascii_digit());
    PREFIXES.iter().any(|prefix| word.strip_prefix(prefix).is_some_and(is_plain))
}

fn is_hex_key(word: &str) -> bool {
    let mut digits: Vec<char> = word.chars().collect();
    let is_hex = digits.len() >= HEX_CHARS_MIN && digits.iter().all(char::is_ascii_hexdigit);
    digits.sort_unstable();
    digits.dedup();
    is_hex && digits.len() >= HEX_DIGITS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_a_machine_are_refused() {
        let rows = [
            ("see /work/main", 1),
            ("HOME=/root/.cache", 1),
            ("/home/user/work/x", 0),
            ("$dir/root/x", 0),
            ("a framework/x", 0),
        ];
        for (text, n) in rows {
            assert_eq!(paths(&Tree::of(&[("docs/a.md", text)])).len(), n, "{text}");
        }
    }

    #[test]
    fn mirrors_are_refused() {
        let rows = [
            ("tests/node/package-lock.json", "  \"resolved\": \"http://mirror:8080/x.tgz\",", 1),
            ("tests/node/package-lock.json", "  \"resolved\": \"https://registry.npmjs.org/x.tgz\",", 0),
            ("Cargo.lock", "source = \"registry+https://mirror/index\"", 1),
            ("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"", 0),
            ("tests/node/.npmrc", "registry=http://localhost:4873", 1),
            (".cargo/config.toml", "replace-with = \"mirror\"", 1),
        ];
        for (path, text, n) in rows {
            assert_eq!(hosts(&Tree::of(&[(path, text)])).len(), n, "{text}");
        }
    }

    #[test]
    fn keys_are_refused() {
        let hex = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let rows = [
            ("docs/a.md", format!("key: {hex}"), 1),
            ("crates/x/src/a.rs", format!("const KEY: &str = \"{hex}\";"), 1),
            ("config.yaml", "ai_api_key: sk-proj-4f9a8b7c6d5e4f3a2b1c".to_owned(), 1),
            ("a.pem", "-----BEGIN EC PRIVATE KEY-----".to_owned(), 1),
            ("crates/x/tests/it/a.rs", format!("\"{hex}\""), 0),
            ("docs/a.md", "0".repeat(64), 0),
            ("ci.yml", format!("image@sha256:{hex}"), 0),
            ("docs/a.md", "export OPENAI_API_KEY=sk-your-own-key-goes-here".to_owned(), 0),
        ];
        for (path, text, n) in rows {
            assert_eq!(keys(&Tree::of(&[(path, &text)])).len(), n, "{path} {text}");
        }
    }
}
