//! Keys that an issuer publishes (RFC 7517), as far as a token of ours can be signed by one.

use super::issuer::check_is_of;
use super::token::{Algorithm, TokenHead};
use serde_json::Value;
use url::Url;

/// Keys of one issuer that are read: it has two or three.
const KEYS_MAX: usize = 100;

/// The keys of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<SigningKey>);

/// A public key. Its numbers are as the document has them, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    kid: Option<String>,
    /// What it is made of.
    pub numbers: Numbers,
}

/// What a public key is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// For RS256.
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
    /// For ES256.
    P256 {
        /// The first coordinate.
        x: String,
        /// The second.
        y: String,
    },
    /// For EdDSA.
    Ed25519 {
        /// The point.
        x: String,
    },
}

/// Where an issuer says that its keys are.
///
/// # Errors
/// Why its document is not believed, as the rest of a sentence that begins with the issuer's name.
pub fn jwks_url(document: &Value, issuer: &str) -> Result<Url, String> {
    check_is_of(document, issuer)?;
    let place = document["jwks_uri"].as_str().and_then(|text| Url::parse(text).ok());
    place.ok_or_else(|| "does not say where its keys are: `jwks_uri`".to_owned())
}

impl KeySet {
    /// Reads a set; a key that is for something else, or that nobody here can use, is passed over.
    #[must_use]
    pub fn read(document: &Value) -> Self {
        let keys = document["keys"].as_array().into_iter().flatten();
        Self(keys.filter_map(SigningKey::read).take(KEYS_MAX).collect())
    }

    /// The key that a token with this head is signed by. One that names none may be signed by the only one there is.
    #[must_use]
    pub fn find(&self, head: &TokenHead) -> Option<&SigningKey> {
        let mut fitting = self.0.iter().filter(|key| {
            key.numbers.algorithm() == head.algorithm && (head.kid.is_none() || key.kid == head.kid)
        });
        let first = fitting.next()?;
        (head.kid.is_some() || fitting.next().is_none()).then_some(first)
    }
}

impl SigningKey {
    fn read(key: &Value) -> Option<Self> {
        let text = |name: &str| key[name].as_str().map(str::to_owned);
        let numbers = match (key["kty"].as_str()?, key["crv"].as_str()) {
            ("RSA", _) => Numbers::Rsa { n: text("n")?, e: text("e")? },
            ("EC", Some("P-256")) => Numbers::P256 { x: text("x")?, y: text("y")? },
            ("OKP", Some("Ed25519")) => Numbers::Ed25519 { x: text("x")? },
            _ => return None,
        };
        let names = match numbers {
            Numbers::Rsa { .. } => ["RS256", "RS256"],
            Numbers::P256 { .. } => ["ES256", "ES256"],
            Numbers::Ed25519 { .. } => ["EdDSA", "Ed25519"],
        };
        let is_for = |name: &str, values: &[&str]| {
            key[name].is_null() || key[name].as_str().is_some_and(|said| values.contains(&said))
        };
        (is_for("use", &["sig"]) && is_for("alg", &names)).then(|| Self { kid: text("kid"), numbers })
    }
}

impl Numbers {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
            Self::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }
}
