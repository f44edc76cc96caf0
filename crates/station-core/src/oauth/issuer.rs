//! What an issuer of tokens says of itself (RFC 8414, OpenID Connect Discovery 1.0).

use super::resource::{at, short, texts};
use serde_json::Value;
use url::Url;

/// An issuer's own words about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerDocument {
    /// Its name.
    pub issuer: String,
    /// Where a person agrees.
    pub authorization: Url,
    /// Where tokens are given out.
    pub token: Url,
    /// Where clients register (RFC 7591).
    pub registration: Option<Url>,
    /// Where a code for another device is asked for (RFC 8628).
    pub device: Option<Url>,
    /// Where tokens are given back (RFC 7009).
    pub revocation: Option<Url>,
    /// Scopes there are.
    pub scopes: Vec<String>,
    /// How clients may prove themselves where tokens are given out; empty where that is not told.
    pub client_auth: Vec<String>,
    /// Whether a client may be the address of its description.
    pub takes_documents: bool,
    /// Whether it says in each answer that it is the one who answers (RFC 9207).
    pub names_itself: bool,
}

/// Where the document of an issuer may be, in the order of asking.
#[must_use]
pub fn issuer_documents(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut found = vec![
        at(issuer, &format!("/.well-known/oauth-authorization-server{path}")),
        at(issuer, &format!("/.well-known/openid-configuration{path}")),
    ];
    if !path.is_empty() {
        found.push(at(issuer, &format!("{path}/.well-known/openid-configuration")));
    }
    found
}

/// Refuses a document that is not `issuer`'s own: its name is identical, or it is somebody else's (RFC 8414, section 3.3).
///
/// # Errors
/// Why it is not believed, as the rest of a sentence that begins with the issuer's name.
pub(super) fn check_is_of(document: &Value, issuer: &str) -> Result<(), String> {
    let named = document["issuer"].as_str();
    if named == Some(issuer) {
        return Ok(());
    }
    let named = short(named.unwrap_or_default());
    Err(format!("is described by a document of `{named}`, which is not believed"))
}

impl IssuerDocument {
    /// Reads the document that was found for `issuer`.
    ///
    /// # Errors
    /// Why it is not believed, as the rest of a sentence that begins with the issuer's name.
    pub fn read(document: &Value, issuer: &str) -> Result<Self, String> {
        check_is_of(document, issuer)?;
        // Without it a stolen code could be used; a server that offers it says so.
        if !texts(&document["code_challenge_methods_supported"]).iter().any(|method| method == "S256") {
            return Err("does not offer PKCE with S256, without which Station logs in nowhere".to_owned());
        }
        let optional = |key: &str| document[key].as_str().and_then(|text| Url::parse(text).ok());
        let required =
            |key: &str| optional(key).ok_or_else(|| format!("does not say where it is reached: `{key}`"));
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization: required("authorization_endpoint")?,
            token: required("token_endpoint")?,
            registration: optional("registration_endpoint"),
            device: optional("device_authorization_endpoint"),
            revocation: optional("revocation_endpoint"),
            scopes: texts(&document["scopes_supported"]),
            client_auth: texts(&document["token_endpoint_auth_methods_supported"]),
            takes_documents: document["client_id_metadata_document_supported"] == Value::Bool(true),
            names_itself: document["authorization_response_iss_parameter_supported"] == Value::Bool(true),
        })
    }
}
