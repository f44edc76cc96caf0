//! Whose access tokens let somebody in over HTTP: the key `oauth`.

use super::Settings;
use super::show::{Setting, row, unset};
use station_core::oauth::{TokenKind, TokenRules};
use station_core::{Error, Result};
use station_mcp::oauth::{IssuerKeys, Tokens};
use station_server::http::Oauth;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use url::{Host, Url};

/// `oauth.user_claim` where nobody says another: no issuer gives it to two, and none lets people choose it.
const USER_CLAIM: &str = "sub";

impl Settings {
    /// Whose access tokens are taken where HTTP is served on `host`; `None` where none are.
    ///
    /// # Errors
    /// `Invalid` where something that is needed is not named, or the issuer would be asked in the clear.
    pub(crate) fn oauth(&self, host: IpAddr) -> Result<Option<Oauth>> {
        let (written, public_url) = (&self.config.oauth, self.config.http.public_url.clone());
        let Some(issuer) = &written.issuer else {
            return match first_beside_issuer(self) {
                Some(name) => {
                    Err(Error::invalid(format!("config.yaml names `{name}`, and no `oauth.issuer`"))
                        .with_hint("`oauth.issuer` says whose access tokens are taken"))
                }
                None => Ok(None),
            };
        };
        if public_url.is_none() && host.is_unspecified() {
            let sentence = format!(
                "access tokens are for an address, and HTTP on {host} does not tell by which one others come"
            );
            return Err(Error::invalid(sentence)
                .with_hint("`http.public_url` of config.yaml names it: `https://station.example.com`"));
        }
        let allow_private = written.allow_private.unwrap_or(false);
        for address in [Some(issuer), written.jwks_url.as_ref()].into_iter().flatten() {
            if !allow_private && is_in_the_clear(address) {
                let sentence =
                    format!("`{address}` is asked for the keys of access tokens, and is not encrypted");
                return Err(Error::invalid(sentence).with_hint(
                    "write `https://…`, or set `oauth.allow_private` where only a network of yours lies between",
                ));
            }
        }
        let keys = IssuerKeys::of(issuer, written.jwks_url.as_deref(), allow_private)
            .map_err(|words| Error::invalid(format!("`oauth` of config.yaml {words}")))?;
        let rules = TokenRules {
            issuer: issuer.clone(),
            audience: written.audience.clone(),
            user_claim: written.user_claim.clone().unwrap_or_else(|| USER_CLAIM.to_owned()),
            scope_prefix: written.scope_prefix.clone().unwrap_or_default(),
            kind: written.token_type.unwrap_or_default(),
        };
        Ok(Some(Oauth { tokens: Arc::new(Tokens::new(rules, keys)), public_url }))
    }
}

/// Whether somebody in between could read what an address is asked.
fn is_in_the_clear(address: &str) -> bool {
    // What is none was refused where config.yaml was read.
    let Ok(url) = Url::parse(address) else { return true };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip == Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(ip)) => ip == Ipv6Addr::LOCALHOST,
        None => false,
    };
    url.scheme() == "http" && !is_here
}

/// A key that means nothing without an issuer.
fn first_beside_issuer(settings: &Settings) -> Option<String> {
    let is_beside =
        |row: &Setting| row.name.starts_with("oauth.") && row.from.as_deref() == Some("config.yaml");
    rows(settings).into_iter().find(is_beside).map(|row| row.name)
}

/// Each as it holds.
pub(super) fn rows(settings: &Settings) -> Vec<Setting> {
    let oauth = &settings.config.oauth;
    let place = |name: &str, written: Option<&String>, default: Option<&str>| match (written, default) {
        (Some(value), _) => row(name, value, "config.yaml"),
        (None, Some(default)) => row(name, default, "default"),
        (None, None) => unset(name),
    };
    let kind = oauth.token_type.map(|kind| match kind {
        TokenKind::Access => "at+jwt".to_owned(),
        TokenKind::Any => "any".to_owned(),
    });
    let private = oauth.allow_private.map(|allowed| allowed.to_string());
    vec![
        place("http.public_url", settings.config.http.public_url.as_ref(), None),
        place("oauth.issuer", oauth.issuer.as_ref(), None),
        place("oauth.audience", oauth.audience.as_ref(), None),
        place("oauth.user_claim", oauth.user_claim.as_ref(), Some(USER_CLAIM)),
        place("oauth.scope_prefix", oauth.scope_prefix.as_ref(), None),
        place("oauth.token_type", kind.as_ref(), Some("at+jwt")),
        place("oauth.jwks_url", oauth.jwks_url.as_ref(), None),
        place("oauth.allow_private", private.as_ref(), Some("false")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[track_caller]
    fn check(text: &str, host: &str, expected: Result<bool, &str>) {
        let mut settings =
            Settings::at(None, Environment::of(&[("HOME", "/home/ann")])).expect("there is a home");
        settings.config = station_core::file::config::read(text, "c").0.expect("it is sound");
        let found = settings.oauth(host.parse().expect("an address"));
        let found = found.map(|oauth| oauth.is_some()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{text} {host}");
    }

    #[test]
    fn an_issuer_is_enough_on_this_machine_and_elsewhere_an_address_is_needed() {
        check("", "0.0.0.0", Ok(false));
        check("http: {public_url: https://s.example}", "127.0.0.1", Ok(false));
        check("oauth: {issuer: https://as.example}", "127.0.0.1", Ok(true));
        check("oauth: {issuer: https://as.example}", "192.0.2.7", Ok(true));
        check(
            "oauth: {issuer: https://as.example}",
            "::",
            Err("access tokens are for an address, and HTTP on :: does not tell by which one others come"),
        );
        check(
            "{http: {public_url: https://s.example}, oauth: {issuer: https://as.example}}",
            "0.0.0.0",
            Ok(true),
        );
        check(
            "oauth: {user_claim: email}",
            "127.0.0.1",
            Err("config.yaml names `oauth.user_claim`, and no `oauth.issuer`"),
        );
    }

    #[test]
    fn keys_are_not_asked_for_in_the_clear() {
        let clear = |address: &str| {
            format!("`{address}` is asked for the keys of access tokens, and is not encrypted")
        };
        for own in ["http://localhost:9/realm", "http://127.0.0.1", "http://[::1]:7"] {
            check(&format!("oauth: {{issuer: '{own}'}}"), "127.0.0.1", Ok(true));
        }
        for far in ["http://as.example", "http://localhost.evil.example", "http://127.0.0.10"] {
            check(&format!("oauth: {{issuer: '{far}'}}"), "127.0.0.1", Err(&clear(far)));
            check(&format!("oauth: {{issuer: '{far}', allow_private: true}}"), "127.0.0.1", Ok(true));
        }
        for far in ["HTTP://as.example", "http:as.example", " http://as.example"] {
            check(&format!("oauth: {{issuer: '{far}'}}"), "127.0.0.1", Err(&clear(far.trim())));
        }
        let jwks = "oauth: {issuer: https://as.example, jwks_url: 'http://as.example/jwks'}";
        check(jwks, "127.0.0.1", Err(&clear("http://as.example/jwks")));
    }
}
