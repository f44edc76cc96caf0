//! The key `http`: what others may ask of a worker over HTTP, and what it may cost.

use super::read::{limit, not_empty};
use super::tls::is_origin;
use crate::file::sheet::Sheet;
use crate::file::tree::Node;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Headers that are read of a request at all: beyond them it is answered before anybody looks at it.
pub const HEADERS_READ_MAX: usize = 256;

/// Bytes that are read of a request's head at all.
pub const HEAD_BYTES_READ_MAX: usize = 128 * 1024;

/// Longest body that anybody may allow: four of them are in memory at a time, and once more as what they say.
const BODY_BYTES: RangeInclusive<usize> = 1024..=64 * 1024 * 1024;

/// What it says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Requests at a time.
    pub requests_max: Option<u32>,
    /// Streams of events that one user follows at a time.
    pub streams_max: Option<u32>,
    /// Requests of one user; 0: as many as it likes.
    pub user_per_minute: Option<u32>,
    /// Requests of one address, whoever asks; 0: as many as it likes.
    pub address_per_minute: Option<u32>,
    /// Requests of the local administrator; 0: as many as it likes.
    pub administrator_per_minute: Option<u32>,
    /// Headers of a request.
    pub headers_max: Option<usize>,
    /// Bytes of all of them, with the address.
    pub head_bytes_max: Option<usize>,
    /// Bytes of a body.
    pub body_bytes_max: Option<usize>,
    /// How long a body may take to come.
    pub body_within_ms: Option<u64>,
    /// Where others reach it: an origin.
    pub public_url: Option<String>,
}

impl Http {
    /// Takes the value of `what`, where that is one of these keys.
    pub(super) fn take(&mut self, sheet: &mut Sheet<'_>, what: &str, node: &Node) -> bool {
        match what {
            "http.requests_max" => self.requests_max = sheet.number(node, what, 1),
            "http.streams_max" => self.streams_max = sheet.number(node, what, 1),
            "http.user_per_minute" => self.user_per_minute = sheet.number(node, what, 0),
            "http.address_per_minute" => self.address_per_minute = sheet.number(node, what, 0),
            "http.administrator_per_minute" => self.administrator_per_minute = sheet.number(node, what, 0),
            // A client sends four at least.
            "http.headers_max" => self.headers_max = within(sheet, node, what, 4..=HEADERS_READ_MAX),
            "http.head_bytes_max" => {
                self.head_bytes_max = within(sheet, node, what, 1024..=HEAD_BYTES_READ_MAX);
            }
            "http.body_bytes_max" => self.body_bytes_max = within(sheet, node, what, BODY_BYTES),
            "http.body_within" => self.body_within_ms = limit(sheet, node, what),
            "http.public_url" => self.public_url = origin(sheet, node, what),
            _ => return false,
        }
        true
    }
}

/// An origin, with the slash behind it that people write.
fn origin(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Option<String> {
    let text = not_empty(sheet.text(node, what))?;
    let text = text.strip_suffix('/').unwrap_or(&text);
    sheet.value(node, what, "an address without a path, such as `https://station.example.com`", |_| {
        is_origin(text).then(|| text.to_owned())
    })
}

/// A number of a range.
fn within<T: Copy + FromStr + PartialOrd + Display>(
    sheet: &mut Sheet<'_>,
    node: &Node,
    what: &str,
    range: RangeInclusive<T>,
) -> Option<T> {
    let must_be = format!("a whole number from {} to {}", range.start(), range.end());
    sheet.value(node, what, &must_be, |text| text.parse().ok().filter(|number| range.contains(number)))
}

#[cfg(test)]
mod tests {
    use super::Http;
    use crate::file::config;

    #[track_caller]
    fn check(http: &str, expected: Result<Http, &str>) {
        let (config, problems) = config::read(&format!("http: {{{http}}}"), "c");
        let told = problems.first().map(ToString::to_string);
        let expected = expected.map_err(|sentence| Some(sentence.to_owned()));
        assert_eq!(config.map(|config| config.http).ok_or(told), expected, "{http}");
    }

    #[test]
    fn limits_are_read() {
        check("", Ok(Http::default()));
        let all = Http {
            requests_max: Some(64),
            streams_max: Some(3),
            user_per_minute: Some(600),
            address_per_minute: Some(0),
            administrator_per_minute: Some(9),
            headers_max: Some(40),
            head_bytes_max: Some(8192),
            body_bytes_max: Some(1024),
            body_within_ms: Some(5_000),
            public_url: Some("https://a.example:8443".to_owned()),
        };
        check(
            "requests_max: 64, streams_max: 3, user_per_minute: 600, address_per_minute: 0, administrator_per_minute: 9, \
            headers_max: 40, head_bytes_max: 8192, body_bytes_max: 1024, body_within: 5s, \
            public_url: 'https://a.example:8443/'",
            Ok(all),
        );
    }

    #[test]
    fn a_limit_under_which_nothing_is_possible_is_refused() {
        check("requests_max: 0", Err("c:1:22: `http.requests_max` must be a whole number of 1 or more"));
        check("streams_max: 0", Err("c:1:21: `http.streams_max` must be a whole number of 1 or more"));
        check(
            "user_per_minute: many",
            Err("c:1:25: `http.user_per_minute` must be a whole number of 0 or more"),
        );
        check("headers_max: 3", Err("c:1:21: `http.headers_max` must be a whole number from 4 to 256"));
        check(
            "head_bytes_max: 1M",
            Err("c:1:24: `http.head_bytes_max` must be a whole number from 1024 to 131072"),
        );
        check(
            "body_bytes_max: 10",
            Err("c:1:24: `http.body_bytes_max` must be a whole number from 1024 to 67108864"),
        );
        check(
            "public_url: 'https://a.example/station'",
            Err(
                "c:1:20: `http.public_url` must be an address without a path, such as `https://station.example.com`",
            ),
        );
        check("body_within: 0", Err("c:1:21: `http.body_within` must be longer than nothing"));
        check(
            "body_within: soon",
            Err(
                "c:1:21: `http.body_within` must be a duration like `30s`, `10m` or `1h30m`, or a number of seconds",
            ),
        );
    }
}
