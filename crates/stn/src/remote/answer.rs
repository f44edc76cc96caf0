//! What a server answered, and whether it is a Station's answer.

use super::Address;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use station_core::{Error, Kind, Result};
use station_server::api::NOTHING_THERE;
use station_server::wire;

/// Longest answer that is read: a run with every long result in it has some megabytes.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// An answer, read to its end.
pub(super) struct Answer {
    status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// Reads `response`; more than the longest is not read, and is no JSON then.
    pub(super) async fn of(mut response: Response) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > BYTES_MAX {
                break;
            }
        }
        Ok(Self { status, headers, body })
    }

    /// Whether the same request may be answered otherwise in a moment.
    pub(super) fn is_early(&self) -> bool {
        let told = serde_json::from_slice::<wire::Error>(&self.body);
        self.status == StatusCode::SERVICE_UNAVAILABLE
            || (self.status == StatusCode::CONFLICT
                && told.is_ok_and(|told| told.error.retry_after_s.is_some()))
    }

    /// What `operation` of the Station at `address` answered.
    ///
    /// # Errors
    /// Its error, as it would be told here; where it is none, or of another version.
    pub(super) fn read<T: DeserializeOwned>(self, address: &Address, operation: &str) -> Result<T> {
        if self.status.is_success() {
            return serde_json::from_slice(&self.body).map_err(|cause| unread(address, operation, cause));
        }
        if self.status.is_redirection() {
            let to = self.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            return Err(Error::invalid(format!("{address} sends on to {to}, and a key is not sent there"))
                .with_hint("name the address where it really is"));
        }
        let told = serde_json::from_slice::<wire::Error>(&self.body);
        let Ok(wire::Error { error: told }) = told else {
            let words = format!("it answered HTTP {}, and not as a Station does", self.status.as_u16());
            return Err(no_station(address, &words));
        };
        if told.message == NOTHING_THERE || self.status == StatusCode::METHOD_NOT_ALLOWED {
            let sentence =
                format!("the Station at {address} is of another version, and does not know `{operation}`");
            return Err(Error::invalid(sentence).with_hint("bring it and this `stn` to the same version"));
        }
        let log = told.request_id.clone().filter(|_| told.kind == Kind::Internal.as_str());
        let words =
            format!("it answered HTTP {} with an error of the kind `{}`", self.status.as_u16(), told.kind);
        let error = told.read().ok_or_else(|| no_station(address, &words))?;
        Err(match log {
            Some(id) => error.with_hint(format!("its log calls the request {id}")),
            None => error,
        })
    }
}

/// Why whatever answers at `address` is no Station.
pub(super) fn no_station(address: &Address, words: &str) -> Error {
    Error::upstream(format!("what is at {address} is no Station: {words}")).with_hint(
        "name the address of a `stn serve`, as in `http://localhost:8585`, or of the proxy before it",
    )
}

/// That an answer cannot be read.
pub(super) fn unread(address: &Address, operation: &str, cause: serde_json::Error) -> Error {
    let sentence = format!(
        "what {address} answered to `{operation}` cannot be read: it is no Station, or of another version"
    );
    Error::upstream(sentence).with_cause(cause).with_hint("bring it and this `stn` to the same version")
}
