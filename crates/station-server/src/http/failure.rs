//! Errors as HTTP tells them: the status that says who must act, and one envelope.

use crate::wire;
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use station_core::{Error, Kind};
use uuid::Uuid;

/// What a request is called, in its answer and in the log.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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

/// What the request is called: as it says, where that is a name, or by a new number.
pub(super) fn request_id(given: Option<&HeaderValue>) -> String {
    let fits = |text: &&str| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let given = given.and_then(|value| value.to_str().ok()).filter(fits);
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// The envelope of an error. Causes are in the log, under the request's name.
pub(super) fn response(error: &Error, request: &str) -> Response {
    if !error.causes().is_empty() {
        tracing::error!(request, kind = error.kind().as_str(), causes = ?error.causes(), "{error}");
    }
    of(status(error.kind()), error, request)
}

/// The same under another status.
pub(super) fn of(status: StatusCode, error: &Error, request: &str) -> Response {
    let mut body = wire::Error::from(error);
    body.error.request_id = Some(request.to_owned());
    let mut response = (status, Json(body)).into_response();
    let again = error.retry_after_s().or((error.kind() == Kind::Busy).then_some(1));
    if let Ok(request) = HeaderValue::try_from(request) {
        response.headers_mut().insert(REQUEST_ID, request);
    }
    if let Some(seconds) = again {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
