//! The pages that Station serves: for now the one where an invited user chooses a password.
//!
//! They are files of the program, the same for everybody, so nobody need be known to read them; what they do they do by the API,
//! with what the person typed. Nothing of them comes from elsewhere, and the browser is told to run and load nothing else.

use axum::Router;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

/// Where an invitation leads.
pub(crate) const WELCOME: &str = "/welcome";

/// What a browser may run, load and ask for a page of ours (Content Security Policy, level 3).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// Path, type and bytes of each file.
const FILES: [(&str, &str, &str); 3] = [
    (WELCOME, "text/html; charset=utf-8", include_str!("welcome.html")),
    ("/welcome.js", "text/javascript; charset=utf-8", include_str!("welcome.js")),
    ("/welcome.css", "text/css; charset=utf-8", include_str!("welcome.css")),
];

/// Adds the pages to the routes of a listener.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(async move || served(kind, text)))
    })
}

/// Whether nobody need be known for a request.
pub(crate) fn is_open(method: &Method, path: &str) -> bool {
    *method == Method::GET && FILES.iter().any(|(known, _, _)| *known == path)
}

fn served(kind: &'static str, text: &'static str) -> Response {
    let head =
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (head, text).into_response()
}
