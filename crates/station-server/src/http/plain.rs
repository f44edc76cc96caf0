//! The port without TLS beside those with it: it says whether we live, and where to ask.
//!
//! What was sent here was sent in the clear, so nothing is done for it; that `/health` and `/ready` are answered is for
//! those who ask without a certificate, such as a probe. Both name nothing.

use super::listen;
use super::lobby::{Stage, dressed, probes};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The port of `https` where an address names none.
const HTTPS: u16 = 443;

/// A port without TLS that is open, for as long as this is there.
pub struct PlainDoor {
    _accepting: AbortOnDropHandle<()>,
}

impl PlainDoor {
    /// Answers at `listener` from now on, and sends whoever asks to `port`.
    #[must_use]
    pub fn open(listener: TcpListener, stage: &Stage, port: u16) -> Self {
        let all = dressed(probes(stage).merge(Router::new().fallback(redirect).with_state(port)));
        // The way to the other port costs as little as saying that there is no room.
        let routes = listen::Routes { spare: all.clone(), all };
        Self { _accepting: listen::open(listener, routes, None, CancellationToken::new()) }
    }
}

/// The same address by `https`; the method and the body stay as they are (RFC 9110, section 15.4.9).
async fn redirect(State(port): State<u16>, request: Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let to = host.and_then(|host| HeaderValue::try_from(secured(host, port)? + path).ok());
    match to {
        Some(to) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]).into_response(),
        None => (StatusCode::BAD_REQUEST, "Host is no name: ask by https:// instead\n").into_response(),
    }
}

/// `https://` and the name that was asked, at another port; `None` where it is no name.
fn secured(host: &str, port: u16) -> Option<String> {
    let (name, _) = match host.rfind(':') {
        Some(at) if !host[at..].contains(']') => host.split_at(at),
        _ => (host, ""),
    };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    is_name.then(|| match port {
        HTTPS => format!("https://{name}"),
        port => format!("https://{name}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_asked_is_kept_and_nothing_else_becomes_an_address() {
        for (host, port, expected) in [
            ("station.example.com", 443, Some("https://station.example.com")),
            ("station.example.com:80", 8585, Some("https://station.example.com:8585")),
            ("[::1]:80", 443, Some("https://[::1]")),
            ("[::1]", 1, Some("https://[::1]:1")),
            ("", 443, None),
            (":80", 443, None),
            ("a/b", 443, None),
            ("user@a", 443, None),
        ] {
            assert_eq!(secured(host, port).as_deref(), expected, "{host}");
        }
    }
}
