//! Where a remote server is, what is sent along with every request, and the client that does it.

use crate::client::bearer::Bearer;
use crate::outbound::{self, NO_TLS, innermost};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest time to reach a server; a host that does not answer by then will not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that wait for the next request: as many as a server may be asked at a time. With fewer, whoever comes when all are
/// out opens one more for its request alone.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// How long a connection waits for the next request. Common servers close one after 5 s; a call that is written just then
/// would be unknown.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Headers that are the protocol's own.
const RESERVED: [&str; 11] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "transfer-encoding",
];

/// Where a server is. Made anew for each connection, so that no two environments share a socket.
pub(in super::super) struct Target {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) bearer: Bearer,
    pub(super) client: Client,
}

impl Target {
    /// Reads a definition.
    ///
    /// # Errors
    /// What is wrong with it, as the rest of a sentence that begins with the server's name. No value is told.
    pub(in super::super) fn new(
        url: &str,
        headers: &BTreeMap<String, String>,
        bearer: &Bearer,
    ) -> Result<Self, String> {
        let url = Url::parse(url.trim())
            .map_err(|error| format!("has a `url` that is none ({error}): write `https://host/path`"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("has a `url` that is not of HTTP: write `https://host/path`".to_owned());
        }
        let mut checked = HeaderMap::new();
        for (name, value) in headers {
            if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
                return Err(format!("sets the header `{name}`, which is the protocol's own: take it out"));
            }
            let parsed = HeaderName::try_from(name)
                .map_err(|_| format!("has a header `{name}`, which is no name that a header can have"))?;
            let mut value = HeaderValue::try_from(value.trim()).map_err(|_| {
                format!("has a header `{name}` whose value holds characters that no header can have")
            })?;
            value.set_sensitive(true);
            checked.insert(parsed, value);
        }
        let client = client(&url)?;
        Ok(Self { url, headers: checked, bearer: bearer.clone(), client })
    }
}

fn client(url: &Url) -> Result<Client, String> {
    let builder = outbound::builder(url)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true);
    builder.build().map_err(|error| {
        tracing::warn!(%error, "the HTTP client could not be made");
        format!("cannot be reached, because {NO_TLS}")
    })
}

/// What `error` means, as the rest of a sentence that begins with the server's name, without its URL.
pub(super) fn explain(error: &reqwest::Error) -> String {
    let cause = innermost(error);
    if error.is_connect() {
        return if error.is_timeout() {
            format!("cannot be reached: it did not answer within {CONNECT_TIMEOUT:?}")
        } else {
            format!("cannot be reached: {cause}")
        };
    }
    if error.is_builder() {
        return "cannot be asked: the request could not be made".to_owned();
    }
    format!("broke the connection off: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_cannot_be_asked_says_why_and_tells_no_value() {
        let check = |url: &str, headers: &[(&str, &str)], expected: &str| {
            // What `main` does in `stn`.
            drop(rustls::crypto::ring::default_provider().install_default());
            let headers =
                headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            match Target::new(url, &headers, &Bearer::default()) {
                Ok(_) => assert_eq!(expected, "", "{url}"),
                Err(words) => assert_eq!(words, expected, "{url}"),
            }
        };
        check("http://127.0.0.1:1/mcp", &[("Authorization", "Bearer x\n"), ("X-Team", "é")], "");
        check(
            "mcp.example.com/mcp",
            &[],
            "has a `url` that is none (relative URL without a base): write `https://host/path`",
        );
        check("ftp://example.com/", &[], "has a `url` that is not of HTTP: write `https://host/path`");
        check(
            "http://h/",
            &[("Mcp-Session-Id", "x")],
            "sets the header `Mcp-Session-Id`, which is the protocol's own: take it out",
        );
        check("http://h/", &[("X Y", "x")], "has a header `X Y`, which is no name that a header can have");
        check(
            "http://h/",
            &[("X-Key", "sec\nret")],
            "has a header `X-Key` whose value holds characters that no header can have",
        );
    }
}
