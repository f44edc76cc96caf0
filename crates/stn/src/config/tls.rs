//! TLS of HTTP: the key `tls`.

use super::Settings;
use super::show::{Setting, row, unset};
use station_core::{Error, Result};
use station_server::http::{Tls, TlsFiles};
use std::sync::Arc;

impl Settings {
    /// The files that TLS is made of; `None` where HTTP is served without.
    ///
    /// # Errors
    /// `Invalid` where one is named without the others that it needs.
    pub(crate) fn tls_files(&self) -> Result<Option<TlsFiles>> {
        let tls = &self.config.tls;
        let (cert, key) = match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => (self.path(cert), self.path(key)),
            (Some(_), None) => return Err(lacking("tls.cert", "tls.key")),
            (None, Some(_)) => return Err(lacking("tls.key", "tls.cert")),
            (None, None) if tls.client_ca.is_some() => return Err(lacking("tls.client_ca", "tls.cert")),
            (None, None) if tls.redirect_port.is_some() => {
                return Err(lacking("tls.redirect_port", "tls.cert"));
            }
            (None, None) => return Ok(None),
        };
        let client_ca = tls.client_ca.as_ref().map(|path| self.path(path));
        Ok(Some(TlsFiles { cert, key, client_ca }))
    }

    /// TLS, as those files say now.
    ///
    /// # Errors
    /// `Invalid` where they cannot be used.
    pub(crate) fn tls(&self) -> Result<Option<Arc<Tls>>> {
        self.tls_files()?.map(|files| Tls::new(files).map(Arc::new)).transpose()
    }
}

fn lacking(named: &str, lacking: &str) -> Error {
    Error::invalid(format!("config.yaml names `{named}`, and no `{lacking}`"))
        .with_hint("`tls: {cert: FILE, key: FILE}` serves HTTP over TLS")
}

/// Each as it holds.
pub(super) fn rows(settings: &Settings) -> Vec<Setting> {
    let tls = &settings.config.tls;
    let place = |name: &str, written: Option<String>| match written {
        Some(value) => row(name, value, "config.yaml"),
        None => unset(name),
    };
    let origins = &settings.config.cors_origins;
    vec![
        place("tls.cert", tls.cert.clone()),
        place("tls.key", tls.key.clone()),
        place("tls.client_ca", tls.client_ca.clone()),
        place("tls.redirect_port", tls.redirect_port.map(|port| port.to_string())),
        place("cors.origins", (!origins.is_empty()).then(|| origins.join(", "))),
    ]
}
