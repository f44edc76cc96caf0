//! What a server says about its tokens: protected resource metadata (RFC 9728).

use super::Challenge;
use serde_json::Value;
use url::Url;

/// Scopes that are read of a document: more is no list that a person could agree to.
pub(super) const SCOPES_MAX: usize = 100;

/// A server's own words about who gives out its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceDocument {
    /// Its name, exactly as published: the value of `resource` (RFC 8707).
    pub resource: String,
    /// The issuer of its tokens, exactly as published; the first where there are several.
    pub issuer: String,
    /// The scopes there are.
    pub scopes: Vec<String>,
}

/// Where the document may be, in the order of asking: where the server says; else below its own address, then at its
/// root (RFC 9728, section 3.1).
#[must_use]
pub fn resource_documents(server: &Url, challenge: &Challenge) -> Vec<Url> {
    if let Some(named) = challenge.resource_metadata.as_deref().and_then(|named| Url::parse(named).ok()) {
        return vec![named];
    }
    let path = server.path().trim_end_matches('/');
    let mut found = vec![at(server, &format!("/.well-known/oauth-protected-resource{path}"))];
    if !path.is_empty() {
        found.push(at(server, "/.well-known/oauth-protected-resource"));
    }
    found
}

impl ResourceDocument {
    /// Reads a document of `server`.
    ///
    /// # Errors
    /// Why it is not believed, as the rest of a sentence that begins with the server's name.
    pub fn read(document: &Value, server: &Url) -> Result<Self, String> {
        let Some(resource) = document["resource"].as_str() else {
            return Err(
                "does not say in its metadata (RFC 9728) what it is: `resource` is missing".to_owned()
            );
        };
        if !Url::parse(resource).is_ok_and(|named| covers(&named, server)) {
            return Err(format!(
                "says in its metadata that it is `{}`, which is not where it is: a token for that is not asked for",
                short(resource)
            ));
        }
        let issuers = document["authorization_servers"].as_array();
        let Some(issuer) = issuers.into_iter().flatten().find_map(Value::as_str) else {
            return Err(
                "names nobody in its metadata who gives out tokens (`authorization_servers`)".to_owned()
            );
        };
        Ok(Self {
            resource: resource.to_owned(),
            issuer: issuer.to_owned(),
            scopes: texts(&document["scopes_supported"]),
        })
    }

    /// What is taken for granted of a server without a document, as in the revision of 2025-03-26: it gives out its
    /// tokens itself.
    #[must_use]
    pub fn of_itself(server: &Url) -> Self {
        let mut resource = server.clone();
        resource.set_fragment(None);
        Self {
            resource: resource.to_string(),
            issuer: server.origin().ascii_serialization(),
            scopes: Vec::new(),
        }
    }
}

/// Whether a token for `resource` is one for `server`: of one origin, and the server's path is below the resource's.
fn covers(resource: &Url, server: &Url) -> bool {
    let (above, below) = (resource.path().trim_end_matches('/'), server.path().trim_end_matches('/'));
    let rest = below.strip_prefix(above);
    resource.origin() == server.origin() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The address of `path` at the origin of `url`.
pub(super) fn at(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// The texts of an array, as many as make sense.
pub(super) fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.take(SCOPES_MAX).map(str::to_owned).collect()
}

/// `text` as it is told: what others wrote has no end of its own.
pub(super) fn short(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    text.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect()
}
