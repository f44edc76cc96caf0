//! Values that fit their key by form, and are of no use all the same: refused where somebody sets them.
//!
//! Where the file is read they pass: whoever mends it needs commands that work while they stand there, and what they are for says what
//! is wrong with them.

use super::keys::{KEYS, Written};
use crate::file::Problem;
use crate::file::sheet::Sheet;
use crate::file::tree::Node;
use crate::{Error, Result};
use url::Url;

/// What the log's levels may be.
pub const LEVELS_HINT: &str =
    "write error, warn, info, debug or trace, or levels by module: `info,station_mcp=debug`";

/// Refuses a value of the setting `name` that nothing could be done with. An empty one says nothing.
///
/// # Errors
/// `Invalid`.
pub(super) fn check(name: &str, value: &str) -> Result<()> {
    let value = value.trim();
    match name {
        _ if value.is_empty() => Ok(()),
        "log_level" if !says_levels(value) => {
            Err(Error::invalid(format!("`{value}` says no levels of the log")).with_hint(LEVELS_HINT))
        }
        "ai_base_url" => check_base_url(value),
        "otel_endpoint" => check_endpoint("`otel_endpoint`", value),
        _ => Ok(()),
    }
}

/// Such values in `text`, a whole config.yaml that somebody has just edited; `path` is what people know the file by.
#[must_use]
pub fn misfits(text: &str, path: &str) -> Vec<Problem> {
    let (mut sheet, written) = (Sheet::new(text, path), Written::read(text));
    for key in KEYS {
        let Some((node, scalar)) = written.node(key, None).and_then(|node| Some((node, Node::scalar(node)?)))
        else {
            continue;
        };
        if let Err(error) = check(key.name, &scalar.shown()) {
            sheet.error_with_hint(node.at, error.to_string(), error.hints().join("; "));
        }
    }
    sheet.into_problems()
}

/// Refuses what is no address of a model provider.
///
/// # Errors
/// `Invalid`.
pub fn check_base_url(url: &str) -> Result<()> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '[')) {
        return Ok(());
    }
    Err(Error::invalid(format!("`{url}` is no address of a provider"))
        .with_hint("it looks like http://127.0.0.1:8000/v1"))
}

/// Refuses what is no address of a collector; `place` says where it stands.
///
/// # Errors
/// `Invalid`.
pub fn check_endpoint(place: &str, endpoint: &str) -> Result<()> {
    if Url::parse(endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Ok(());
    }
    Err(Error::invalid(format!("{place} is `{endpoint}`, and no address of a collector"))
        .with_hint("write where it takes OTLP over HTTP: `http://localhost:4318`"))
}

/// Whether a text says levels: one, or some by module.
fn says_levels(text: &str) -> bool {
    let is_level = |word: &str| {
        let words = ["off", "error", "warn", "info", "debug", "trace", "0", "1", "2", "3", "4", "5"];
        words.contains(&&*word.to_ascii_lowercase())
    };
    if text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return is_level(text);
    }
    text.split(',').map(str::trim).all(|row| match row.rsplit_once('=') {
        // What stands in brackets names spans, and may have `=` in it.
        Some((_, level)) => row.ends_with(']') || is_level(level),
        None => !row.contains(char::is_whitespace),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_told_from_other_words() {
        for (text, says) in [
            ("info", true),
            ("WARN", true),
            ("off", true),
            ("info,station_mcp=debug", true),
            ("station_engine=trace", true),
            ("station_engine[run{id=3}]=debug", true),
            ("warn, stn=info", true),
            ("nonsense", false),
            ("station_engine=loud", false),
            ("info,stn=", false),
            ("not a level", false),
        ] {
            assert_eq!(says_levels(text), says, "{text}");
        }
    }
}
