//! `/mcp` and `/mcp/env/<name>`: Station's own tools, and those of an environment, over Streamable HTTP.

use super::body::Unread;
use super::limits::{Followed, followed};
use super::{Site, failure};
use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _};
use station_core::{Caller, Error};
use station_mcp::serve::{Endpoint, Headers, Sent};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// What a silent stream says now and then, so that nobody between takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// The environment that an address names; none for Station's own tools.
type Named = Option<Path<String>>;

pub(super) async fn post(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<Arc<Caller>>,
    named: Named,
    headers: HeaderMap,
    request: Request,
) -> Response {
    if !accepts(&headers, "application/json") {
        let error = Error::invalid("accept application/json and text/event-stream");
        return failure::refused(&headers, StatusCode::NOT_ACCEPTABLE, &error);
    }
    let Some(endpoint) = endpoint(&site, &by, named).await else { return none(&headers) };
    let read = read(&headers);
    // What only listens is no work, however long it does.
    let place = match read.method.as_deref() {
        Some("subscriptions/listen") => match site.limits.follow(&by) {
            Ok(place) => Some(place),
            Err(error) => return failure::refused(&headers, StatusCode::TOO_MANY_REQUESTS, &error),
        },
        _ => None,
    };
    match site.bodies.read(request).await {
        Ok(body) => {
            response(&headers, endpoint.post(Arc::unwrap_or_clone(by), &read, &body.bytes).await, place)
        }
        Err(Unread(status, error)) => failure::refused(&headers, status, &error),
    }
}

pub(super) async fn get(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<Arc<Caller>>,
    named: Named,
    method: Method,
    headers: HeaderMap,
) -> Response {
    // The router lets it pass as a GET; a stream has no head of its own.
    if method == Method::HEAD {
        return failure::another_method(&method, &headers, "POST asks, GET listens, DELETE ends a session");
    }
    let place = match site.limits.follow(&by) {
        Ok(place) => place,
        Err(error) => return failure::refused(&headers, StatusCode::TOO_MANY_REQUESTS, &error),
    };
    match endpoint(&site, &by, named).await {
        Some(endpoint) => response(&headers, endpoint.get(&by, &read(&headers)), Some(place)),
        None => none(&headers),
    }
}

pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<Arc<Caller>>,
    named: Named,
    headers: HeaderMap,
) -> Response {
    match endpoint(&site, &by, named).await {
        Some(endpoint) => response(&headers, endpoint.delete(&by, &read(&headers)), None),
        None => none(&headers),
    }
}

async fn endpoint(site: &Site, by: &Caller, named: Named) -> Option<Arc<Endpoint>> {
    match named {
        Some(Path(name)) => site.gateway(by, &name).await,
        None => Some(Arc::clone(&site.first)),
    }
}

fn none(headers: &HeaderMap) -> Response {
    let error = Error::not_found("there is no such environment");
    failure::refused(headers, StatusCode::NOT_FOUND, &error)
}

fn read(headers: &HeaderMap) -> Headers {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Headers {
        version: text("mcp-protocol-version"),
        method: text("mcp-method"),
        name: text("mcp-name"),
        session: text("mcp-session-id"),
        accepts_events: accepts(headers, "text/event-stream"),
    }
}

/// Whether a client takes `kind`; one that says nothing takes anything.
fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut said = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if said.peek().is_none() {
        return true;
    }
    let group = kind.split('/').next().unwrap_or_default();
    said.flat_map(|value| value.split(',')).any(|one| {
        let one = one.split(';').next().unwrap_or_default().trim();
        one == "*/*" || one.eq_ignore_ascii_case(kind) || one == format!("{group}/*")
    })
}

fn response(headers: &HeaderMap, sent: Sent, place: Option<Followed>) -> Response {
    match sent {
        Sent::Refused(error) => failure::refused(headers, StatusCode::FORBIDDEN, &error),
        Sent::Bare(status) => status_of(status).into_response(),
        Sent::Message { status, body, session } => {
            let head = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            let mut response = (status_of(status), head, body.to_string()).into_response();
            if let Some(session) = session.and_then(|id| HeaderValue::try_from(id).ok()) {
                response.headers_mut().insert(SESSION, session);
            }
            response
        }
        Sent::Events(messages) => {
            let events = messages.map(|message| {
                Ok::<_, Infallible>(Event::default().event("message").data(message.to_string()))
            });
            followed(streamed(events), place)
        }
    }
}

/// Events as they come.
pub(super) fn streamed(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    // A proxy that gathers answers would hold them back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
