//! The HTTP clients, made when the first request needs them: most commands ask no model, and reading the system's
//! certificates costs more than `stn --version`.
//!
//! **Invariant:** no proxy from the environment and no redirect is followed: a request with a key goes where the
//! configuration says, and nowhere else.

use crate::ask::Failed;
use reqwest::{Client, ClientBuilder};
use station_core::run::AskFailure;
use std::sync::OnceLock;
use std::time::Duration;

/// Longest time to reach a provider; a host that does not answer by then will not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One client for `https` and one for `http`, which needs no certificates (a local model on a bare machine).
#[derive(Debug, Default)]
pub(crate) struct Transport {
    tls: OnceLock<Client>,
    plain: OnceLock<Client>,
}

impl Transport {
    /// The client for `url`.
    pub(crate) fn client(&self, url: &str) -> Result<Client, Failed> {
        let plain = url.starts_with("http://");
        let cell = if plain { &self.plain } else { &self.tls };
        if let Some(client) = cell.get() {
            return Ok(client.clone());
        }
        let builder = base();
        let builder = if plain { builder.tls_certs_only([]) } else { builder };
        let client = builder.build().map_err(|error| {
            tracing::warn!(%error, "the HTTP client could not be made");
            Failed::new(AskFailure::Unreachable, "no TLS connection can be made on this machine")
                .with_hint("install the system's certificates (Debian: `ca-certificates`)")
                .for_good()
        })?;
        Ok(cell.get_or_init(|| client).clone())
    }
}

/// `main` installs the TLS provider (ring) before a model is asked; without one reqwest cannot make a client.
fn base() -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .user_agent(concat!("station/", env!("CARGO_PKG_VERSION")))
}
