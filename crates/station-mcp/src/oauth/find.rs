//! Who gives out a server's tokens, and what that one says of itself.

use super::Web;
use serde_json::Value;
use station_core::oauth::{
    Challenge, IssuerDocument, ResourceDocument, issuer_documents, resource_documents,
};
use url::Url;

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The server's own words.
    pub resource: ResourceDocument,
    /// The issuer's own words.
    pub issuer: IssuerDocument,
}

/// Looks for whoever gives out the tokens of the server of `web`.
///
/// # Errors
/// Why nobody is found, or is not believed, as a sentence.
pub async fn find(web: &Web, name: &str, challenge: &Challenge) -> Result<Found, String> {
    let resource = resource(web, name, challenge).await?;
    let issuer = &resource.issuer;
    let at = Url::parse(issuer).map_err(|_| {
        format!("server `{name}` names an issuer of its tokens that is no address: `{issuer}`")
    })?;
    let document = issuer_document(web, &at).await?.ok_or_else(|| {
        format!("issuer `{issuer}` of the tokens of server `{name}` publishes no metadata (RFC 8414)")
    })?;
    let read = IssuerDocument::read(&document, issuer);
    let issuer = read.map_err(|words| format!("issuer `{issuer}` {words}"))?;
    Ok(Found { resource, issuer })
}

/// What the issuer at `at` says of itself; `None` where it says nothing.
pub(super) async fn issuer_document(web: &Web, at: &Url) -> Result<Option<Value>, String> {
    for place in issuer_documents(at) {
        if let Some(document) = web.get(&place).await? {
            return Ok(Some(document));
        }
    }
    Ok(None)
}

async fn resource(web: &Web, name: &str, challenge: &Challenge) -> Result<ResourceDocument, String> {
    for place in resource_documents(&web.server, challenge) {
        if let Some(document) = web.get(&place).await? {
            return ResourceDocument::read(&document, &web.server)
                .map_err(|words| format!("server `{name}` {words}"));
        }
    }
    Ok(ResourceDocument::of_itself(&web.server))
}
