//! What every HTTP client of ours has in common: it goes where it is told, says who we are, and does nothing by itself.
//!
//! No proxy of the environment, no redirect, no second try, no referer: whoever sends decides about each.

use reqwest::{ClientBuilder, Url, redirect, retry};
use std::error::Error;

/// Why no client could be made.
pub(crate) const NO_TLS: &str = "no TLS connection can be made on this machine: install the system's certificates (Debian: `ca-certificates`)";

/// A client that is to ask `url`. `main` installs the TLS provider (ring) before one is built.
pub(crate) fn builder(url: &Url) -> ClientBuilder {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .user_agent(concat!("station/", env!("CARGO_PKG_VERSION")));
    // Plain HTTP needs no certificates: a server beside us on a bare machine.
    if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder }
}

/// The last link of the chain says what happened; those before it name the URL.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(next) = cause.and_then(Error::source) {
        cause = Some(next);
    }
    cause.map_or_else(|| "no reason was given".to_owned(), ToString::to_string)
}
