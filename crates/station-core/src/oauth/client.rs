//! As which client we come to an issuer.

use super::IssuerDocument;
use crate::Secret;
use serde_json::{Value, json};

/// The key `station.oauth` of a server entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OauthSettings {
    /// The address of a document that describes the client, and is its id where the issuer takes such.
    pub client_metadata_url: Option<String>,
    /// A client that was registered by hand.
    pub client_id: Option<String>,
    /// Its secret, where it has one.
    pub client_secret: Option<Secret>,
    /// Scopes to ask for, in place of those that the server names.
    pub scopes: Vec<String>,
    /// The port of this machine to which the browser comes back; any free one where it is not written.
    pub redirect_port: Option<u16>,
    /// Whether the addresses that server and issuer name may be in a private network.
    pub allow_private: bool,
}

/// A client of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret, where it has one.
    pub secret: Option<Secret>,
    /// How it proves itself.
    pub auth: ClientAuth,
    /// The address to which it was registered to come back; `None` for a client that was not registered by us.
    pub redirect: Option<String>,
    /// The scopes that it was registered for, and may not ask beyond; `None` where nobody said which.
    pub scope: Option<String>,
}

impl Client {
    /// Whether it may ask for `scope`.
    fn may(&self, scope: Option<&str>) -> bool {
        let Some(registered) = &self.scope else { return true };
        let is_registered = |word: &str| registered.split_whitespace().any(|it| it == word);
        scope.unwrap_or_default().split_whitespace().all(is_registered)
    }
}

/// How a client proves itself where tokens are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// It only says its id.
    None,
    /// HTTP Basic.
    Basic,
    /// In the body.
    Post,
}

impl ClientAuth {
    /// The word of RFC 7591.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::None, Self::Basic, Self::Post].into_iter().find(|auth| auth.as_str() == word)
    }

    /// How a client with or without a secret proves itself to `issuer`. What is not told means Basic (RFC 8414).
    fn at(issuer: &IssuerDocument, has_secret: bool) -> Self {
        let takes = |auth: Self| issuer.client_auth.iter().any(|word| word == auth.as_str());
        match has_secret {
            false => Self::None,
            true if issuer.client_auth.is_empty() || takes(Self::Basic) => Self::Basic,
            true if takes(Self::Post) => Self::Post,
            true => Self::None,
        }
    }
}

/// How a client is come by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientWay {
    /// There is one.
    Known(Client),
    /// It is registered, now (RFC 7591).
    Register,
}

/// As which client `issuer` is asked: one that is described by a document, one of the server's file, one that was
/// registered here before, or one that is registered now. `redirect` is where the browser comes back; a client that was
/// registered for another place, or for less than `scope`, is of no use.
///
/// # Errors
/// Where there is none, and none can be made: as the rest of a sentence that begins with the issuer's name.
pub fn client_way(
    settings: &OauthSettings,
    kept: Option<Client>,
    issuer: &IssuerDocument,
    redirect: &str,
    scope: Option<&str>,
) -> Result<ClientWay, String> {
    if let Some(id) = settings.client_metadata_url.clone().filter(|_| issuer.takes_documents) {
        return Ok(ClientWay::Known(Client {
            id,
            secret: None,
            auth: ClientAuth::None,
            redirect: None,
            scope: None,
        }));
    }
    if let Some(id) = settings.client_id.clone() {
        let secret = settings.client_secret.clone();
        let auth = ClientAuth::at(issuer, secret.is_some());
        return Ok(ClientWay::Known(Client { id, secret, auth, redirect: None, scope: None }));
    }
    if let Some(client) =
        kept.filter(|client| client.redirect.as_deref() == Some(redirect) && client.may(scope))
    {
        return Ok(ClientWay::Known(client));
    }
    if issuer.registration.is_some() {
        return Ok(ClientWay::Register);
    }
    Err("takes no new clients by itself: register one there, and write its id into the server's entry: `\"station\": {\"oauth\": {\"client_id\": \"…\"}}`".to_owned())
}

/// What a client says of itself when it registers.
#[must_use]
pub fn registration(issuer: &IssuerDocument, redirect: &str, scope: Option<&str>) -> Value {
    let takes = |auth: &ClientAuth| issuer.client_auth.iter().any(|word| word == auth.as_str());
    // A secret that is on people's machines is none: no secret where that may be.
    let auth = [ClientAuth::None, ClientAuth::Basic, ClientAuth::Post].into_iter().find(takes);
    let mut grants = vec!["authorization_code", "refresh_token"];
    if issuer.device.is_some() {
        grants.push("urn:ietf:params:oauth:grant-type:device_code");
    }
    let mut body = json!({
        "client_name": "Station",
        "application_type": "native",
        "redirect_uris": [redirect],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": auth.unwrap_or(ClientAuth::None).as_str(),
    });
    if let Some(scope) = scope {
        body["scope"] = json!(scope);
    }
    body
}

/// The client that an issuer registered for `redirect`, and for `scope` where it says nothing else.
///
/// # Errors
/// Where the answer is none: as the rest of a sentence that begins with the issuer's name.
pub fn registered(
    answer: &Value,
    issuer: &IssuerDocument,
    redirect: &str,
    scope: Option<&str>,
) -> Result<Client, String> {
    let Some(id) = answer["client_id"].as_str() else {
        return Err("registered a client without an id".to_owned());
    };
    let secret = answer["client_secret"].as_str().map(Secret::new);
    let told = answer["token_endpoint_auth_method"].as_str().and_then(ClientAuth::from_word);
    let auth = told.unwrap_or_else(|| ClientAuth::at(issuer, secret.is_some()));
    let scope = answer["scope"].as_str().or(scope).map(str::to_owned);
    Ok(Client { id: id.to_owned(), secret, auth, redirect: Some(redirect.to_owned()), scope })
}
