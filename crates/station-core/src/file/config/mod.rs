//! `config.yaml`: how this installation of Station is set up.
//!
//! Files of the Go program hold many keys that mean nothing here. They are kept and named, never refused; only a key
//! that is known and has a wrong value is an error.

mod fit;
mod http;
pub mod keys;
mod oauth;
mod prices;
mod read;
#[cfg(test)]
mod tests;
mod tls;

pub use fit::{LEVELS_HINT, check_base_url, check_endpoint, misfits};
pub use http::{HEAD_BYTES_READ_MAX, HEADERS_READ_MAX, Http};
pub use oauth::Oauth;
pub use prices::{ProviderRate, RateLimits};
pub use read::{
    Approvals, Config, Discovery, Execution, Files, LogFormat, Pool, Runs, duration_ms, duration_shown,
    expand, read,
};
pub use tls::Tls;
