//! Logins: at a remote server, what is asked of whom and taken as an answer; at ours, which access tokens are believed.
//!
//! OAuth 2.1 as MCP profiles it: where a server says who gives out its tokens (RFC 9728), what that one says of itself
//! (RFC 8414, OpenID Connect Discovery), as which client we come (client ID metadata documents, a client of the
//! server's file, RFC 7591), which scopes are asked for, and whether an answer is meant for us (RFC 9207). Here are only
//! the decisions; requests are `station-mcp`'s, keeping is the store's, and when is `station-engine`'s.
//! **Invariant:** what a document names is believed only as far as it is the issuer's own; names of issuers are
//! compared letter by letter, never as addresses.

mod answer;
mod challenge;
mod client;
mod issuer;
mod keys;
mod login;
mod resource;
mod scope;
#[cfg(test)]
mod tests;
mod token;
mod way;

pub use answer::{Fault, TokenAnswer, code_of};
pub use challenge::Challenge;
pub use client::{Client, ClientAuth, ClientWay, OauthSettings, client_way, registered, registration};
pub use issuer::{IssuerDocument, issuer_documents};
pub use keys::{KeySet, Numbers, SigningKey, jwks_url};
pub use login::{Login, Standing};
pub use resource::{ResourceDocument, resource_documents};
pub use scope::scope;
pub use token::{AccessToken, Algorithm, TokenHead, TokenKind, TokenRules};
pub use way::{LoginWay, login_way};
