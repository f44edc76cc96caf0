//! Errors as HTTP tells them: the status that says who must act, and one envelope, whoever refuses and however far a request came.
//!
//! Every answer has the name of its request. What this is not: two things are said otherwise because others agreed on how, errors of
//! JSON-RPC in answers of MCP, and those of the older addresses (`execute`). What the protocol's library refuses by itself, because it
//! cannot be read as HTTP at all, has a status alone.

use crate::api::NOTHING_THERE;
use crate::wire;
use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use station_core::{Error, Kind, Scope, Trace};
use uuid::Uuid;

/// What a request is called, in its answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest name of a request that is taken from whoever sends it.
const REQUEST_ID_CHARS_MAX: usize = 128;

/// The status of an error, by who must act.
pub(super) fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::Upstream => StatusCode::BAD_GATEWAY,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The kind of an error that the door itself tells under a status.
pub(super) fn kind(status: StatusCode) -> Kind {
    match status {
        StatusCode::UNAUTHORIZED => Kind::Unauthenticated,
        StatusCode::FORBIDDEN => Kind::Forbidden,
        _ => Kind::Invalid,
    }
}

/// Where a request stands in a trace (W3C Trace Context): below what its sender says, or at the beginning of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) above: Option<Trace>,
    pub(super) own: Trace,
}

impl Place {
    fn of(headers: &HeaderMap) -> Self {
        let said = headers.get(Trace::NAME).and_then(|value| value.to_str().ok());
        let above: Option<Trace> = said.and_then(|text| text.parse().ok());
        let id = Uuid::now_v7();
        Self { above, own: above.map_or_else(|| Trace::new(id), |above| above.at(id)) }
    }
}

/// Names a request, and its answer: as it says itself, where that is a name, or by its trace. Around everything else, so that
/// whatever is asked below finds its name.
pub(super) async fn named(mut request: Request, next: Next) -> Response {
    let place = Place::of(request.headers());
    let fits = |text: &&str| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(fits);
    let id = given.map_or_else(|| place.own.id(), str::to_owned);
    let id = HeaderValue::try_from(id).expect("graphic ASCII is fit for a header");
    request.headers_mut().insert(REQUEST_ID, id.clone());
    request.extensions_mut().insert(place);
    let mut answer = next.run(request).await;
    answer.headers_mut().insert(REQUEST_ID, id);
    answer
}

/// What a request with these headers is called.
pub(super) fn request_id(headers: &HeaderMap) -> &str {
    headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Says of a refusal which scope another access token would need.
#[derive(Clone, Copy)]
pub(super) struct Lacks(pub(super) Scope);

/// Refuses the request called `id`, in the one envelope. Causes are in the log, under that name.
pub(super) fn response(id: &str, status: StatusCode, error: &Error) -> Response {
    if !error.causes().is_empty() {
        tracing::error!(request = id, kind = error.kind().as_str(), causes = ?error.causes(), "{error}");
    }
    let mut body = wire::Error::from(error);
    body.error.retry_after_s = error.retry_after_s().or((error.kind() == Kind::Busy).then_some(1));
    let again = body.error.retry_after_s;
    body.error.request_id = Some(id.to_owned());
    let mut response = (status, Json(body)).into_response();
    if let Some(seconds) = again {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(scope) = error.lacks() {
        response.extensions_mut().insert(Lacks(scope));
    }
    response
}

/// Refuses a request with these headers.
pub(super) fn refused(headers: &HeaderMap, status: StatusCode, error: &Error) -> Response {
    response(request_id(headers), status, error)
}

/// There is nothing at an address.
pub(super) fn nothing(headers: &HeaderMap, what_there_is: &str) -> Response {
    let error = Error::not_found(NOTHING_THERE).with_hint(what_there_is);
    refused(headers, StatusCode::NOT_FOUND, &error)
}

/// There is something, and not for this method.
pub(super) fn another_method(method: &Method, headers: &HeaderMap, what_there_is: &str) -> Response {
    let error =
        Error::invalid(format!("{method} is nothing that this address takes")).with_hint(what_there_is);
    refused(headers, StatusCode::METHOD_NOT_ALLOWED, &error)
}
