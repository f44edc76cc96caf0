//! Station as a protected resource of OAuth 2: what it tells strangers of whose tokens it takes (RFC 9728), and how it asks for one
//! (RFC 6750, section 3).
//!
//! A token is for an address, and good for what is below it: one for `/mcp` is good for the environments there, one for
//! `/mcp/env/staging` for nothing else. **Invariant:** what is told nobody in particular is made of the address that was asked alone,
//! so it is the same whether or not there is such an environment.

use super::{Site, failure};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use station_core::oauth::AccessToken;
use station_core::{EnvironmentName, Micros, Result, Scope, Secret};
use station_mcp::oauth::Tokens;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where it is told (RFC 9728, section 3.1).
pub(super) const PATH: &str = "/.well-known/oauth-protected-resource";

/// What is asked for at first: what nearly every client needs. Whoever needs more is told so, and asks the person again.
const FIRST: [Scope; 2] = [Scope::Read, Scope::Run];

/// Whose access tokens are taken.
#[derive(Clone, Debug)]
pub struct Oauth {
    /// The tokens.
    pub tokens: Arc<Tokens>,
    /// Where others reach us: an origin. `None` for the address that is listened on.
    pub public_url: Option<String>,
}

/// What is behind one listener, as a resource.
pub(super) struct Resource {
    tokens: Arc<Tokens>,
    /// An origin.
    url: String,
}

/// Why a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why<'a> {
    /// None was shown.
    Missing,
    /// The one that was shown is not believed.
    Wrong(&'a str),
    /// It is good for too little: whose it is, where it is good for anything here, and what it lacks.
    Lacks(&'a BTreeSet<Scope>, Scope),
}

impl Resource {
    /// At `own`, the address that is listened on, where nobody says another.
    pub(super) fn new(oauth: Oauth, own: String) -> Self {
        Self { tokens: oauth.tokens, url: oauth.public_url.unwrap_or(own) }
    }

    /// What a token is good for that is shown to `path`.
    ///
    /// # Errors
    /// Those of [`Tokens::check`].
    pub(super) async fn check(&self, token: &Secret, path: &str, now: Micros) -> Result<AccessToken> {
        self.tokens.check(token, &self.audiences(path), now).await
    }

    /// What asks for a token, at `path`.
    pub(super) fn challenge(&self, path: &str, why: Why<'_>) -> HeaderValue {
        let place = resource_of(path);
        let metadata = format!("resource_metadata=\"{}{PATH}{place}\"", self.url);
        let first = self.listed(FIRST);
        let text = match why {
            Why::Missing => format!("Bearer {metadata}, scope=\"{first}\""),
            Why::Wrong(words) => {
                let words = quotable(words);
                format!(
                    "Bearer error=\"invalid_token\", error_description=\"{words}\", {metadata}, scope=\"{first}\""
                )
            }
            Why::Lacks(has, scope) => {
                // Whoever logs in for more must not lose what there was.
                let scopes = self.listed(has.iter().copied().chain([scope]));
                format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\", {metadata}")
            }
        };
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    /// What is told of what stands at `place`.
    fn document(&self, place: &str) -> Value {
        let rules = self.tokens.rules();
        json!({
            "resource": format!("{}{place}", self.url),
            "resource_name": "Station",
            "authorization_servers": [rules.issuer],
            "scopes_supported": Scope::ALL.map(|scope| rules.scope(scope)),
            "bearer_methods_supported": ["header"],
        })
    }

    /// Addresses that a token may be for, that is shown to `path`: its own, and those above it.
    fn audiences(&self, path: &str) -> Vec<String> {
        let places = match resource_of(path) {
            "" => vec![""],
            "/mcp" => vec!["", "/mcp"],
            own => vec!["", "/mcp", own],
        };
        places.into_iter().map(|place| format!("{}{place}", self.url)).collect()
    }

    fn listed(&self, scopes: impl IntoIterator<Item = Scope>) -> String {
        let rules = self.tokens.rules();
        scopes.into_iter().map(|scope| rules.scope(scope)).collect::<Vec<_>>().join(" ")
    }
}

/// The resource that `path` belongs to: one of MCP's, or all of Station.
fn resource_of(path: &str) -> &str {
    let is_gateway = path.strip_prefix("/mcp/env/").is_some_and(|name| EnvironmentName::parse(name).is_ok());
    if path == "/mcp" || is_gateway { path } else { "" }
}

/// `words` as they may stand between quotation marks (RFC 6750, section 3).
fn quotable(words: &str) -> String {
    words.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect()
}

/// Whether this is what anybody may ask, so that they know how to become known.
pub(super) fn is_open(site: &Site, method: &Method, path: &str) -> bool {
    site.resource.is_some() && *method == Method::GET && path.starts_with(PATH)
}

/// Whose tokens are good for what stands behind this address.
pub(super) async fn get(State(site): State<Arc<Site>>, request: Request) -> Response {
    let place = request.uri().path().strip_prefix(PATH).unwrap_or_default();
    match &site.resource {
        Some(resource) if resource_of(place) == place => Json(resource.document(place)).into_response(),
        _ => failure::nothing(request.headers(), "/mcp and /mcp/env/{name} have a description here"),
    }
}
