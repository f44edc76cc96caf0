//! How long a provider wants to be left alone: `Retry-After` (RFC 9110 §10.2.3), as seconds or as a date, and the
//! milliseconds that OpenAI sends beside it.
//!
//! A date is read against the answer's own `Date`, so that a clock that is wrong here makes no wait of hours.

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use station_core::Micros;
use std::time::Duration;

/// What `headers` ask for, if anything.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |value: Option<&str>| value?.parse::<f64>().ok();
    let ms = number(text(HeaderName::from_static("retry-after-ms"))).map(|ms| ms / 1000.0);
    if let Some(seconds) = ms.or_else(|| number(text(RETRY_AFTER))) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = seconds_of(text(RETRY_AFTER)?)?;
    // One without that says nothing: the usual wait is taken.
    let now = text(DATE).and_then(seconds_of)?;
    // A date that is over says: now.
    Some(Duration::from_secs(until.saturating_sub(now)))
}

/// Seconds since 1970.
fn seconds_of(date: &str) -> Option<u64> {
    u64::try_from(Micros::parse_http_date(date)?.0 / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_or_a_date() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(seconds_of(date), Some(784_111_777));
        assert_eq!(seconds_of("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
        assert_eq!(seconds_of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        for (headers, expected) in [
            (vec![("retry-after", "7")], Some(7_000)),
            (vec![("retry-after", "0.5")], Some(500)),
            (vec![("retry-after", "7"), ("retry-after-ms", "250")], Some(250)),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT"), ("date", date)], Some(20_000)),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT"), ("date", date)], Some(0)),
            (vec![("retry-after", date)], None),
            (vec![("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT")], None),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "-1")], None),
            (vec![], None),
        ] {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            assert_eq!(retry_after(&map).map(|wait| wait.as_millis()), expected, "{headers:?}");
        }
    }
}
