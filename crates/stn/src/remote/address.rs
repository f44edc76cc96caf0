//! The address of a server: as it was typed, and as it is asked.

use reqwest::Url;
use station_core::{Error, Result};
use station_server::api::Request;
use std::fmt;
use url::Host;

/// Where a Station is: scheme, host, port, and what stands before `/api/v1` where a proxy puts something there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(Url);

impl Address {
    /// Reads what was typed.
    ///
    /// # Errors
    /// `Invalid`; a name or a password in it is not told.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let wrong = |sentence: String| {
            Err(Error::invalid(sentence)
                .with_hint("write it like `https://station.example.com` or `http://localhost:8585`"))
        };
        let told = if text.contains('@') { "what was given".to_owned() } else { format!("`{text}`") };
        let mut url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => return wrong(format!("{told} is no address of a server")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong(
                "the address of a server has a name or a password in it: `stn login` keeps keys".to_owned(),
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong(format!("{told} has more behind its path than the address of a server has"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// Whether it is on this machine.
    pub(crate) fn is_here(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
    }

    /// Whether what is sent there can be read on the way.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// What a page of that server says of where it is from.
    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Where `request` goes.
    pub(crate) fn of(&self, request: &Request) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_is_read_and_asked() {
        let check = |text: &str, expected: &str| {
            let read = Address::parse(text).map(|it| it.to_string());
            assert_eq!(read.unwrap_or_else(|error| error.to_string()), expected, "{text}");
        };
        check("https://station.example.com", "https://station.example.com");
        check(" HTTPS://Station.example.com:443// ", "https://station.example.com");
        check("http://[::1]:8585/team/", "http://[::1]:8585/team");
        check("station.example.com", "`station.example.com` is no address of a server");
        check("localhost:8585", "`localhost:8585` is no address of a server");
        check("ftp://example.com", "`ftp://example.com` is no address of a server");
        check("", "`` is no address of a server");
        check(
            "https://ann:word@h",
            "the address of a server has a name or a password in it: `stn login` keeps keys",
        );
        check("ann:word@h", "what was given is no address of a server");
        check(
            "https://h/?key=x",
            "`https://h/?key=x` has more behind its path than the address of a server has",
        );
        let given = json!({ "agent": "a b/c", "environment": "é" });
        let request = station_server::api::request("show_agent", given.as_object().unwrap().clone()).unwrap();
        let asked = Address::parse("http://h/team").unwrap().of(&request);
        assert_eq!(asked.as_str(), "http://h/team/api/v1/agents/a%20b%2Fc?environment=%C3%A9");
        for (text, here) in [
            ("http://127.0.0.9:1", true),
            ("http://localhost", true),
            ("http://10.0.0.1", false),
            ("http://[::1]", true),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_here(), here, "{text}");
        }
    }
}
