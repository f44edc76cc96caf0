//! What others may ask of a worker over HTTP: the key `http`.

use super::Settings;
use super::show::{self, Setting};
use station_server::http::Bounds;
use std::time::Duration;

impl Settings {
    /// What is written, and what holds otherwise.
    pub(crate) fn http_bounds(&self) -> Bounds {
        let (written, default) = (&self.config.http, Bounds::default());
        let rate = |written: Option<u32>, default: Option<u32>| match written {
            Some(0) => None,
            Some(n) => Some(n),
            None => default,
        };
        Bounds {
            requests_max: written.requests_max.unwrap_or(default.requests_max),
            streams_max: written.streams_max.unwrap_or(default.streams_max),
            user_per_minute: rate(written.user_per_minute, default.user_per_minute),
            address_per_minute: rate(written.address_per_minute, default.address_per_minute),
            administrator_per_minute: rate(
                written.administrator_per_minute,
                default.administrator_per_minute,
            ),
            headers_max: written.headers_max.unwrap_or(default.headers_max),
            head_bytes_max: written.head_bytes_max.unwrap_or(default.head_bytes_max),
            body_bytes_max: written.body_bytes_max.unwrap_or(default.body_bytes_max),
            body_within: written.body_within_ms.map_or(default.body_within, Duration::from_millis),
        }
    }
}

/// Each as it holds.
pub(super) fn rows(settings: &Settings) -> Vec<Setting> {
    let (written, holds) = (&settings.config.http, settings.http_bounds());
    let from = |is_written: bool| if is_written { "config.yaml" } else { "default" };
    let row = |name: &str, is_written: bool, value: String| {
        show::row(&format!("http.{name}"), value, from(is_written))
    };
    let rate = |n: Option<u32>| n.unwrap_or(0).to_string();
    vec![
        row("requests_max", written.requests_max.is_some(), holds.requests_max.to_string()),
        row("streams_max", written.streams_max.is_some(), holds.streams_max.to_string()),
        row("user_per_minute", written.user_per_minute.is_some(), rate(holds.user_per_minute)),
        row("address_per_minute", written.address_per_minute.is_some(), rate(holds.address_per_minute)),
        row(
            "administrator_per_minute",
            written.administrator_per_minute.is_some(),
            rate(holds.administrator_per_minute),
        ),
        row("headers_max", written.headers_max.is_some(), holds.headers_max.to_string()),
        row("head_bytes_max", written.head_bytes_max.is_some(), holds.head_bytes_max.to_string()),
        row("body_bytes_max", written.body_bytes_max.is_some(), holds.body_bytes_max.to_string()),
        show::span("http.body_within", written.body_within_ms, holds.body_within),
    ]
}
