//! Who asks: the one decision for MCP, API and pages.
//!
//! Until there are users, a request is the local administrator's where its socket belongs to a process of our own user that is not
//! below us (an agent's tools are, and must not manage what they serve), and nothing about it says that a web page of
//! somebody else made it; otherwise the token of a file that only we can read is needed.

use super::peer::{Owner, Peer};
use super::{Site, failure};
use crate::api::BASE;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use station_core::{BlobHash, Error};
use std::sync::Arc;

/// What is known of a request before anything is done for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Knock<'a> {
    host: Option<&'a str>,
    origin: Option<&'a str>,
    /// The type of a body that changes something; `None` where nothing is written.
    writes: Option<&'a str>,
    token: Token,
    owner: Owner,
}

/// The credentials of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    None,
    Right,
    Wrong,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Administrator,
    Refused(StatusCode, &'static str),
}

/// Decides about a request to `port`.
fn judge(knock: Knock<'_>, port: u16) -> Verdict {
    use Verdict::Refused;
    if !knock.host.is_some_and(is_loopback) {
        return Refused(
            StatusCode::FORBIDDEN,
            "Host is not a name of this machine: use localhost or 127.0.0.1",
        );
    }
    if !knock.origin.is_none_or(|origin| is_ours(origin, port)) {
        return Refused(StatusCode::FORBIDDEN, "Origin is another site");
    }
    if knock.writes.is_some_and(|kind| !is_json(kind)) {
        return Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json");
    }
    match (knock.token, knock.owner) {
        (Token::Right, _) | (Token::None, Owner::Us) => Verdict::Administrator,
        (Token::Wrong, _) => Refused(StatusCode::UNAUTHORIZED, "the token is wrong"),
        (Token::None, Owner::Below) => {
            Refused(StatusCode::UNAUTHORIZED, "a program that Station started needs the token")
        }
        (Token::None, Owner::Other) => Refused(
            StatusCode::UNAUTHORIZED,
            "send the token of the file api-token: `Authorization: Bearer …`",
        ),
    }
}

/// `host` or `host:port` of this machine, whatever the port: a proxy of the user's may have another.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || matches!(name, "127.0.0.1" | "::1")
}

fn is_ours(origin: &str, port: u16) -> bool {
    let Some(host) = origin.strip_prefix("http://") else { return false };
    is_loopback(host) && host.ends_with(&format!(":{port}"))
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Lets a request through with its caller, or answers it.
pub(super) async fn admit(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let is_write =
        !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE);
    let token = token(headers, &site);
    let knock = Knock {
        host: text(header::HOST),
        origin: headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("?")),
        writes: is_write.then(|| text(header::CONTENT_TYPE).unwrap_or_default()),
        token,
        // Looked up only where it matters.
        owner: if token == Token::None { peer.owner(site.port).await } else { Owner::Other },
    };
    match judge(knock, site.port) {
        Verdict::Administrator => {
            request.extensions_mut().insert(site.by.clone());
            next.run(request).await
        }
        Verdict::Refused(status, sentence) => {
            let mut refused = if request.uri().path().starts_with(BASE) {
                let id = failure::request_id(request.headers().get(failure::REQUEST_ID));
                failure::of(status, &Error::new(failure::kind(status), sentence), &id)
            } else {
                (status, format!("{sentence}\n")).into_response()
            };
            if status == StatusCode::UNAUTHORIZED {
                refused
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            }
            refused
        }
    }
}

fn token(headers: &HeaderMap, site: &Site) -> Token {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Token::None };
    let given = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
    // Hashes are compared, so that how long it takes says nothing of the token.
    let hash = |text: &str| BlobHash::of(text.as_bytes());
    match given {
        Some(given) if hash(given.trim()) == hash(site.token.expose()) => Token::Right,
        _ => Token::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_known_by_its_socket_or_brings_the_token() {
        const OWN: Knock<'static> = Knock {
            host: Some("127.0.0.1:8585"),
            origin: None,
            writes: Some("application/json"),
            token: Token::None,
            owner: Owner::Us,
        };
        let check = |knock: Knock<'_>, status: u16| {
            let found = match judge(knock, 8585) {
                Verdict::Administrator => 200,
                Verdict::Refused(status, _) => status.as_u16(),
            };
            assert_eq!(found, status, "{knock:?}");
        };
        check(OWN, 200);
        for host in ["localhost", "LOCALHOST:1", "[::1]:8585", "127.0.0.1"] {
            check(Knock { host: Some(host), ..OWN }, 200);
        }
        for host in ["example.com", "127.0.0.1.example.com", "[::2]", "", "localhost.example.com:8585"] {
            check(Knock { host: Some(host), ..OWN }, 403);
        }
        check(Knock { host: None, ..OWN }, 403);
        check(Knock { origin: Some("http://localhost:8585"), ..OWN }, 200);
        for origin in
            ["http://localhost:3000", "https://localhost:8585", "http://example.com:8585", "null", "?"]
        {
            check(Knock { origin: Some(origin), ..OWN }, 403);
            check(Knock { origin: Some(origin), token: Token::Right, ..OWN }, 403);
        }
        check(Knock { writes: Some("application/json; charset=utf-8"), ..OWN }, 200);
        check(Knock { writes: Some("text/plain"), ..OWN }, 415);
        check(Knock { writes: Some(""), ..OWN }, 415);
        check(Knock { writes: None, ..OWN }, 200);
        for owner in [Owner::Other, Owner::Below] {
            check(Knock { owner, ..OWN }, 401);
            check(Knock { owner, token: Token::Right, ..OWN }, 200);
        }
        // Whoever brings a token is judged by it.
        check(Knock { token: Token::Wrong, ..OWN }, 401);
    }
}
