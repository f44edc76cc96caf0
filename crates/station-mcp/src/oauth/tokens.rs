//! Access tokens that are shown to us: whether one was signed by its issuer, and is good for what it is shown for.
//!
//! What is believed is `station_core::oauth`'s to decide, and what was signed is ring's; here a token is taken apart. It is never
//! logged, kept, or part of an error.

use super::keys::{IssuerKeys, NoKey};
use super::signature;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use station_core::oauth::{AccessToken, TokenRules};
use station_core::{Error, Kind, Micros, Result, Secret};

/// Longest token that is looked at: those with the groups of a large house in them have some 8 KiB.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The tokens of one issuer.
#[derive(Debug)]
pub struct Tokens {
    rules: TokenRules,
    keys: IssuerKeys,
}

impl Tokens {
    /// Those that `rules` allow, signed by one of `keys`.
    #[must_use]
    pub fn new(rules: TokenRules, keys: IssuerKeys) -> Self {
        Self { rules, keys }
    }

    /// What an operator says of them.
    #[must_use]
    pub fn rules(&self) -> &TokenRules {
        &self.rules
    }

    /// What a token is good for, that is shown for something that these `audiences` are right for.
    ///
    /// # Errors
    /// `Unauthenticated`, with why it is not believed; `Busy` where its issuer cannot be asked for keys.
    pub async fn check(&self, token: &Secret, audiences: &[String], now: Micros) -> Result<AccessToken> {
        let refused = |words: String| Error::new(Kind::Unauthenticated, format!("the access token {words}"));
        let token = token.expose();
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refused(format!("has more than {} KiB", TOKEN_BYTES_MAX / 1024)));
        }
        let parts = Parts::read(token).ok_or_else(|| refused("is no signed JWT".to_owned()))?;
        let head = self.rules.head(&parts.head).map_err(refused)?;
        // First what costs nobody a look at the issuer, which anybody can cause.
        let good = self.rules.claims(&parts.claims, audiences, now).map_err(refused)?;
        let key = self.keys.find(&head).await.map_err(|error| match error {
            NoKey::Unknown => refused("is signed by a key that its issuer does not publish".to_owned()),
            NoKey::Away(_) => Error::new(
                Kind::Busy,
                "access tokens cannot be looked at: their issuer's keys cannot be read",
            )
            .with_hint("try again later; the log of this Station says more, and API keys go on being good")
            .with_retry_after_s(30),
        })?;
        if !signature::holds(&key.numbers, parts.signed.as_bytes(), &parts.signature) {
            return Err(refused("has a signature that does not hold".to_owned()));
        }
        Ok(good)
    }
}

/// A token, taken apart (RFC 7515, section 7.1).
struct Parts<'a> {
    head: Value,
    claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn read(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let object =
            |text: &str| serde_json::from_slice::<Value>(&bytes(text)?).ok().filter(Value::is_object);
        Some(Self { head: object(head)?, claims: object(claims)?, signed, signature: bytes(signature)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(json: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(json)
    }

    #[test]
    fn a_token_is_three_parts_of_which_two_are_objects() {
        let (head, claims) = (part(r#"{"alg":"RS256"}"#), part("{}"));
        let whole = format!("{head}.{claims}.AA");
        assert_eq!(Parts::read(&whole).unwrap().signed, format!("{head}.{claims}"));
        for broken in [
            String::new(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            head.clone(),
            format!("{head}.{claims}"),
            format!("{whole}.AA"),
            format!("{whole}="),
            format!(" {whole}"),
            format!("{head}.{}.AA", part("[]")),
            format!("{}.{claims}.AA", part("\"x\"")),
            format!("{head}.{claims}.A+"),
            // An encrypted one (RFC 7516) has five.
            format!("{whole}.AA.AA"),
        ] {
            assert!(Parts::read(&broken).is_none(), "{broken}");
        }
    }
}
