//! `/metrics`: what Station counts and times, for whoever collects it.
//!
//! On a listener that this machine alone reaches it is open, as collectors expect. A proxy on the same machine brings the world there, so
//! what says that it came through one, or asks for another host, needs a right, like everything that comes from elsewhere.

use super::caller::{is_loopback, is_passed_on};
use super::{Site, failure};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use station_core::Caller;
use station_core::policy::Action;
use std::sync::Arc;

pub(super) const PATH: &str = "/metrics";

/// The media type of Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether nobody need be known who asks for `path`.
pub(super) fn is_open(site: &Site, path: &str, headers: &HeaderMap) -> bool {
    // A name that leads here by another's DNS is no name of this machine.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    path == PATH && !site.is_public && host.is_some_and(is_loopback) && !is_passed_on(headers)
}

pub(super) async fn get(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<Arc<Caller>>,
    headers: HeaderMap,
) -> Response {
    let by = if is_open(&site, PATH, &headers) { &site.by } else { &by };
    if let Err(error) = by.may(Action::ReadMetrics) {
        return failure::refused(&headers, failure::status(error.kind()), &error);
    }
    let figures = match site.station.figures(by).await {
        Ok(figures) => Some(figures),
        // What this process counted itself is worth more than nothing, now above all.
        Err(error) => {
            tracing::warn!(%error, causes = ?error.causes(), "the database cannot be asked how much there is");
            None
        }
    };
    ([(header::CONTENT_TYPE, TEXT)], site.metrics.render(figures.as_ref())).into_response()
}
