//! Which scopes are asked for.

use super::{Challenge, IssuerDocument, ResourceDocument};

/// Asks for a token that can be renewed (OpenID Connect Core, section 11).
const OFFLINE: &str = "offline_access";

/// The scopes to ask for; `None` where nobody says which, and the issuer decides. What the server's file names comes
/// before what the server asked for, and that before all that there are. What was asked for once stays: a login that is
/// made for more must not lose what there was.
#[must_use]
pub fn scope(
    written: &[String],
    challenge: &Challenge,
    resource: &ResourceDocument,
    issuer: &IssuerDocument,
    before: Option<&str>,
) -> Option<String> {
    let challenged: Vec<&str> = challenge.scope.iter().flat_map(|scope| scope.split_whitespace()).collect();
    let base: Vec<&str> = if !written.is_empty() {
        written.iter().map(String::as_str).collect()
    } else if !challenged.is_empty() {
        Vec::new()
    } else {
        resource.scopes.iter().map(String::as_str).collect()
    };
    let before = before.unwrap_or_default().split_whitespace();
    let mut scopes: Vec<&str> = Vec::new();
    for scope in before.chain(base).chain(challenged) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        return None;
    }
    if issuer.scopes.iter().any(|scope| scope == OFFLINE) && !scopes.contains(&OFFLINE) {
        scopes.push(OFFLINE);
    }
    Some(scopes.join(" "))
}
