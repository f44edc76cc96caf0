//! Points in time as they are typed.

use station_core::Micros;
use station_core::file::config::duration_ms;

/// A time as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Ago { ms: u64 },
    At(Micros),
}

impl When {
    /// The point that is meant at `now`.
    pub(crate) fn meant(self, now: Micros) -> Micros {
        match self {
            Self::Ago { ms } => now.minus_ms(ms),
            Self::At(at) => at,
        }
    }
}

/// Reads one, for the command line: what may be written is in the message.
pub(crate) fn when(text: &str) -> Result<When, String> {
    if let Some(at) = Micros::parse(text) {
        return Ok(When::At(at));
    }
    let ms = duration_ms(text.strip_suffix(" ago").unwrap_or(text))
        .filter(|_| !text.chars().all(|c| c.is_ascii_digit()));
    ms.map(|ms| When::Ago { ms }).ok_or_else(|| {
        "write a time ago like 30m, 2h or 7d, a day like 2026-11-26, or a time like 2026-11-26T09:30:00Z"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_ago_a_day_or_a_moment() {
        let now = Micros(1_700_000_000_000_000);
        for (text, expected) in [
            ("2h", "2023-11-14T20:13:20.000Z"),
            ("7d", "2023-11-07T22:13:20.000Z"),
            ("2026-11-26", "2026-11-26T00:00:00.000Z"),
            ("2026-11-26T09:30:00Z", "2026-11-26T09:30:00.000Z"),
            ("2026-11-26T09:30:00+02:00", "2026-11-26T07:30:00.000Z"),
        ] {
            assert_eq!(when(text).map(|when| when.meant(now).to_string()), Ok(expected.to_owned()), "{text}");
        }
        for text in ["", "12", "yesterday", "2026-13-01"] {
            assert!(when(text).is_err(), "{text}");
        }
    }
}
