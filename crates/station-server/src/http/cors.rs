//! Pages of other sites: none may ask but those of origins that config.yaml names, and those with a key alone.
//!
//! A browser asks first (a preflight, Fetch Standard, section 4.8) and needs to be told. Without an origin that is named
//! nothing is told, here and in every answer, and the page hears nothing. Cookies are never allowed: a session is for
//! pages of ours.

use super::Site;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// What a page may do.
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";

/// What a page may send: its key, and the names of the API's and of MCP's.
const SENT: &str = "authorization, content-type, accept, idempotency-key, last-event-id, mcp-protocol-version, \
    mcp-session-id, mcp-method, mcp-name, x-request-id";

/// What a page may read beside the body.
const READ: &str = "x-request-id, idempotent-replayed, retry-after, location, mcp-session-id, mcp-protocol-version, www-authenticate";

/// Seconds that a browser may remember it.
const REMEMBERED_S: &str = "600";

/// Whether a page of this origin is one that config.yaml names.
pub(super) fn is_named(site: &Site, origin: &str) -> bool {
    site.origins.iter().any(|named| named == origin)
}

/// Answers preflights of pages that are named, and tells them of every answer that they may read it.
pub(super) async fn tell(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let origin = named_origin(&site, request.headers());
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&origin, is_preflight) {
        (Some(_), true) => allowed(),
        _ => next.run(request).await,
    };
    if site.origins.is_empty() {
        return response;
    }
    // Whatever keeps answers must not tell one site what was told to another.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    }
    response
}

fn named_origin(site: &Site, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    is_named(site, origin.to_str().ok()?).then(|| origin.clone())
}

fn allowed() -> Response {
    let head = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, SENT),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED_S),
    ];
    (StatusCode::NO_CONTENT, head).into_response()
}
