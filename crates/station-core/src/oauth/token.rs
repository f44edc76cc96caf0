//! Access tokens that are shown to us: what is believed of one (RFC 9068, as JWT).
//!
//! Whether a signature holds is `station-mcp`'s to compute; everything else is decided here, row by row. **Invariant:** the key that a
//! token is checked with is chosen by what the key itself is for, never by what the token says alone: no token is signed by a
//! published key taken for a shared secret, or by nothing.

use crate::{Micros, Scope};
use serde_json::Value;
use std::collections::BTreeSet;
use std::str::FromStr;

/// How far a clock may be off that is set by the network.
const LEEWAY_S: i64 = 30;

/// Audiences and scopes of one token that are read: more name nobody's business here.
const WORDS_MAX: usize = 100;

/// What an operator says of the tokens that are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// Who gives them out, letter by letter.
    pub issuer: String,
    /// What they are for, where that is not an address of ours.
    pub audience: Option<String>,
    /// The claim that names a user.
    pub user_claim: String,
    /// What stands before a scope's name.
    pub scope_prefix: String,
    /// What they say that they are.
    pub kind: TokenKind,
}

/// What a token says that it is, in its `typ`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token (RFC 9068), so that no other token of the same issuer is taken for one.
    #[default]
    Access,
    /// Whatever it likes: some issuers write `JWT`, or nothing.
    Any,
}

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// What the head of a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHead {
    /// How it is signed.
    pub algorithm: Algorithm,
    /// By which key.
    pub kid: Option<String>,
}

/// A token that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// What its claim calls the user.
    pub user: String,
    /// How much of what the user may.
    pub scopes: BTreeSet<Scope>,
    /// Until when it is believed: its end, and what clocks may differ by.
    pub expires_at: Micros,
}

impl TokenRules {
    /// Reads the head of a token.
    ///
    /// # Errors
    /// Why it is not believed, as the rest of a sentence that begins with the token.
    pub fn head(&self, head: &Value) -> Result<TokenHead, String> {
        let text = |key: &str| head[key].as_str();
        let algorithm = match text("alg") {
            Some("RS256") => Algorithm::Rs256,
            Some("ES256") => Algorithm::Es256,
            // RFC 8037, and by its own name RFC 9864.
            Some("EdDSA" | "Ed25519") => Algorithm::EdDsa,
            _ => return Err("is not signed by RS256, ES256 or EdDSA".to_owned()),
        };
        // RFC 7515, section 4.1.11: what must be understood, and is not.
        if !head["crit"].is_null() {
            return Err("asks for something that must be understood (`crit`), and is not here".to_owned());
        }
        let kind = text("typ").unwrap_or_default().to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        if self.kind == TokenKind::Access && kind != "at+jwt" {
            return Err("does not say that it is an access token: its `typ` must be `at+jwt`".to_owned());
        }
        Ok(TokenHead { algorithm, kid: text("kid").map(str::to_owned) })
    }

    /// Reads what a token claims, which is nothing before its signature holds: for a request to which these `audiences` are right.
    ///
    /// # Errors
    /// As [`TokenRules::head`].
    pub fn claims(&self, claims: &Value, audiences: &[String], now: Micros) -> Result<AccessToken, String> {
        if claims["iss"].as_str() != Some(&self.issuer) {
            return Err("is from another issuer".to_owned());
        }
        let said = words(&claims["aud"], false);
        let is_ours = |said: &&str| audiences.iter().chain(&self.audience).any(|ours| is_same(said, ours));
        if !said.iter().any(is_ours) {
            return Err("is not for this address (`aud`)".to_owned());
        }
        let now_s = now.0.div_euclid(1_000_000);
        let expires_s = seconds(&claims["exp"]).ok_or("does not say when it ends (`exp`)")?;
        let ends_s = expires_s.saturating_add(LEEWAY_S);
        if ends_s <= now_s {
            return Err("has expired".to_owned());
        }
        if !claims["nbf"].is_null() {
            let begins_s = seconds(&claims["nbf"]).ok_or("does not say when it begins (`nbf`)")?;
            if begins_s > now_s.saturating_add(LEEWAY_S) {
                return Err("is not good yet (`nbf`)".to_owned());
            }
        }
        // RFC 9449 and RFC 8705: whoever merely has such a token must not be let in.
        if !claims["cnf"].is_null() {
            return Err("is bound to a key of its client (`cnf`), which is not looked at here".to_owned());
        }
        Ok(AccessToken {
            user: self.user(claims)?,
            scopes: self.scopes(claims),
            expires_at: Micros(ends_s.saturating_mul(1_000_000)),
        })
    }

    /// A scope of ours, as the issuer calls it.
    #[must_use]
    pub fn scope(&self, scope: Scope) -> String {
        format!("{}{scope}", self.scope_prefix)
    }

    fn user(&self, claims: &Value) -> Result<String, String> {
        let claim = self.user_claim.as_str();
        let user = claims[claim].as_str().filter(|user| !user.is_empty());
        let user = user.ok_or_else(|| format!("names no user: it has no `{claim}`"))?;
        // Anybody may say any address of themselves, until the issuer has looked.
        let is_unproved = |said: &Value| said == false || said == "false";
        if claim == "email" && is_unproved(&claims["email_verified"]) {
            return Err("has an `email` that its issuer did not verify".to_owned());
        }
        Ok(user.to_owned())
    }

    /// To see is in all of them, as in every API key.
    fn scopes(&self, claims: &Value) -> BTreeSet<Scope> {
        let said = [&claims["scope"], &claims["scp"]].into_iter().flat_map(|said| words(said, true));
        let ours = said.filter_map(|word| Scope::from_str(word.strip_prefix(&self.scope_prefix)?).ok());
        let mut scopes: BTreeSet<Scope> = ours.collect();
        if !scopes.is_empty() {
            scopes.insert(Scope::Read);
        }
        scopes
    }
}

/// The words of a claim: a list, or one text, which may be several with blanks between them.
fn words(claim: &Value, is_split: bool) -> Vec<&str> {
    let texts: Vec<&str> = match claim {
        Value::String(text) if is_split => text.split(' ').collect(),
        Value::String(text) => vec![text],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().filter(|word| !word.is_empty()).take(WORDS_MAX).collect()
}

/// Whether two names of an address are one: programs write the root of an origin with a slash or without.
fn is_same(said: &str, ours: &str) -> bool {
    said.strip_suffix('/').unwrap_or(said) == ours.strip_suffix('/').unwrap_or(ours)
}

/// A time of RFC 7519, which may have a fraction.
#[expect(clippy::cast_possible_truncation, reason = "a fraction of a second is less than the leeway")]
fn seconds(claim: &Value) -> Option<i64> {
    claim.as_i64().or_else(|| claim.as_f64().map(|seconds| seconds as i64))
}

#[cfg(test)]
mod tests;
