//! The span of every request: timed, counted by its route, and what everything under it belongs to.

use super::failure::{self, Place};
use axum::Extension;
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

/// Has a request answered within its span. The answer's body is not part of it: one that streams may last for days.
pub(super) async fn measured(
    matched: Option<MatchedPath>,
    Extension(place): Extension<Place>,
    request: Request,
    next: Next,
) -> Response {
    // As it is written in the table, with names in place of what stands there: few, whatever is asked for.
    let route = matched.as_ref().map_or("other", MatchedPath::as_str);
    let method = known(request.method());
    let (trace_id, span_id) = (place.own.id(), place.own.span_id());
    let parent_id = place.above.map(|above| above.span_id());
    let name = failure::request_id(request.headers());
    let span = tracing::info_span!(
        "http.request",
        method,
        route,
        status = Empty,
        request = name,
        trace_id,
        span_id,
        parent_id
    );
    let mut ending = Ending { span: span.clone(), status: LEFT };
    let response = next.run(request).instrument(span).await;
    ending.status = response.status().as_u16();
    response
}

/// The status of a request whose client did not wait for its answer, as others count it too (nginx).
const LEFT: u16 = 499;

/// Says with which status a request ended, also where nobody waits for it any more.
struct Ending {
    span: Span,
    status: u16,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.span.record("status", self.status);
    }
}

/// A method by its name, where it is one of those that HTTP has (RFC 9110, RFC 5789): anybody may send others.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
