//! Asking for a token: the address that a person opens, and what is given out for the code that comes back.

use super::Web;
use super::web::{Answer, Body};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use station_core::oauth::{
    Client, ClientAuth, Fault, IssuerDocument, Login, ResourceDocument, TokenAnswer, registered, registration,
};
use station_core::{Redaction, Secret};
use std::io;
use url::Url;

/// Bytes of a verifier and of a state: no one guesses 256 bits.
const RANDOM_BYTES: usize = 32;

/// A login that a person has to agree to.
#[derive(Debug)]
pub struct Asked {
    /// The address to open.
    pub address: Url,
    /// What the answer must carry.
    pub state: String,
    verifier: Secret,
    redirect: String,
}

/// Why a login was not renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRenewed {
    /// It is over: the sentence says why.
    Over(String),
    /// Nobody answered, or not so: it may be tried again.
    Away(String),
}

/// Registers a client (RFC 7591).
///
/// # Errors
/// Why there is none, as a sentence.
pub async fn register(
    web: &Web,
    issuer: &IssuerDocument,
    redirect: &str,
    scope: Option<&str>,
) -> Result<Client, String> {
    let Some(place) = &issuer.registration else { return Err("it takes no new clients".to_owned()) };
    let answer = web.post(place, Body::Json(&registration(issuer, redirect, scope)), None).await?;
    if !answer.status.is_success() {
        return Err(refused(issuer, "did not register Station", &answer, &[]));
    }
    registered(&answer.body, issuer, redirect, scope)
        .map_err(|words| format!("issuer `{}` {words}", issuer.issuer))
}

/// The address at which a person agrees, with PKCE and a state that nobody can guess.
///
/// # Errors
/// Where the system has no random bytes.
pub fn ask(
    issuer: &IssuerDocument,
    client: &Client,
    redirect: &str,
    resource: &ResourceDocument,
    scope: Option<&str>,
) -> io::Result<Asked> {
    let (state, verifier) = (random()?, Secret::new(random()?));
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()));
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", client.id.as_str()),
        ("redirect_uri", redirect),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("state", &state),
        ("resource", &resource.resource),
    ];
    if let Some(scope) = scope {
        fields.push(("scope", scope));
        if scope.split_whitespace().any(|word| word == "offline_access") {
            // OpenID Connect Core, section 11: without it the scope is passed over.
            fields.push(("prompt", "consent"));
        }
    }
    let address = issuer.authorization_address(&fields);
    Ok(Asked { address, state, verifier, redirect: redirect.to_owned() })
}

/// The tokens for a code.
///
/// # Errors
/// Why there are none, as a sentence.
pub async fn exchange(
    web: &Web,
    issuer: &IssuerDocument,
    client: &Client,
    asked: &Asked,
    code: &Secret,
    resource: &ResourceDocument,
) -> Result<TokenAnswer, String> {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", &asked.redirect),
        ("code_verifier", asked.verifier.expose()),
        ("resource", &resource.resource),
    ];
    let answer = post(web, &issuer.token, client, &fields).await?;
    let hidden = [code.expose(), asked.verifier.expose()];
    tokens(issuer, &answer, &hidden)
}

/// A new token for a login, before or after the old one ended.
///
/// # Errors
/// Whether it is over, or may be tried again.
pub async fn renew(web: &Web, login: &Login) -> Result<TokenAnswer, NotRenewed> {
    let Some(refresh) = &login.refresh else {
        return Err(NotRenewed::Over("it cannot be renewed".to_owned()));
    };
    let at = Url::parse(&login.token_endpoint)
        .map_err(|_| NotRenewed::Over("it was made at a place that is no address".to_owned()))?;
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", refresh.expose()), ("resource", &login.resource)];
    let answer = post(web, &at, &login.client, &fields).await.map_err(NotRenewed::Away)?;
    let hidden = Redaction::of([refresh.expose(), login.access.expose()]);
    if let Some(fault) = fault(&answer) {
        let words = hidden.apply(&format!("issuer `{}` refused with {}", login.issuer, fault.words()));
        return Err(if fault.is_over() { NotRenewed::Over(words) } else { NotRenewed::Away(words) });
    }
    if !answer.status.is_success() {
        let status = answer.status.as_u16();
        return Err(NotRenewed::Away(format!("issuer `{}` answered HTTP {status}", login.issuer)));
    }
    TokenAnswer::read(&answer.body)
        .map_err(|words| NotRenewed::Away(format!("issuer `{}` {words}", login.issuer)))
}

/// Gives the tokens of a login back (RFC 7009), where the issuer takes them.
///
/// # Errors
/// Why they may still be good, as a sentence.
pub async fn give_back(web: &Web, login: &Login) -> Result<(), String> {
    let Some(place) = login.revocation_endpoint.as_deref().and_then(|text| Url::parse(text).ok()) else {
        return Err(format!("issuer `{}` takes no tokens back", login.issuer));
    };
    let tokens = [("refresh_token", login.refresh.as_ref()), ("access_token", Some(&login.access))];
    for (hint, token) in tokens.into_iter().filter_map(|(hint, token)| Some((hint, token?))) {
        let fields = [("token", token.expose()), ("token_type_hint", hint)];
        let answer = post(web, &place, &login.client, &fields).await?;
        if !answer.status.is_success() {
            return Err(format!("issuer `{}` answered HTTP {}", login.issuer, answer.status.as_u16()));
        }
    }
    Ok(())
}

/// Posts a form as `client`.
pub(super) async fn post(
    web: &Web,
    at: &Url,
    client: &Client,
    fields: &[(&str, &str)],
) -> Result<Answer, String> {
    let secret = client.secret.as_ref().map(Secret::expose);
    let mut fields = fields.to_vec();
    let basic = match (client.auth, secret) {
        (ClientAuth::Basic, Some(secret)) => Some((client.id.as_str(), secret)),
        (ClientAuth::Post, Some(secret)) => {
            fields.extend([("client_id", client.id.as_str()), ("client_secret", secret)]);
            None
        }
        _ => {
            fields.push(("client_id", &client.id));
            None
        }
    };
    web.post(at, Body::Form(&fields), basic).await
}

pub(super) fn tokens(
    issuer: &IssuerDocument,
    answer: &Answer,
    hidden: &[&str],
) -> Result<TokenAnswer, String> {
    if !answer.status.is_success() {
        return Err(refused(issuer, "gave out no token", answer, hidden));
    }
    TokenAnswer::read(&answer.body).map_err(|words| format!("issuer `{}` {words}", issuer.issuer))
}

/// What an issuer refused, with its own words but without what was shown to it.
pub(super) fn refused(issuer: &IssuerDocument, what: &str, answer: &Answer, hidden: &[&str]) -> String {
    let why = match Fault::read(&answer.body) {
        Some(fault) => fault.words(),
        None => format!("HTTP {}", answer.status.as_u16()),
    };
    Redaction::of(hidden.iter().copied()).apply(&format!("issuer `{}` {what}: {why}", issuer.issuer))
}

/// What an issuer refused with, where it did so in words of the protocol.
pub(super) fn fault(answer: &Answer) -> Option<Fault> {
    Fault::read(&answer.body).filter(|_| !answer.status.is_success())
}

fn random() -> io::Result<String> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
