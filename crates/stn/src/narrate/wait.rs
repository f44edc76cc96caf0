//! What a run waits for.

use super::measure::moment;
use station_core::Micros;
use station_server::wire;

/// `tool `read` of `files` since 14:02 UTC`; with its day where that is not today. `None` where the run is over.
pub(crate) fn wait(run: &wire::Run, now: Micros) -> Option<String> {
    let (on, since) = (run.waiting_on.as_deref()?, run.waiting_since.as_deref()?);
    Some(format!("{on} since {} UTC", clock(since, now)))
}

fn clock(at: &str, now: Micros) -> String {
    let (at, now) = (moment(at), moment(now));
    let minutes = at.get(..16).unwrap_or(&at);
    match (minutes.split_once(' '), now.split_once(' ')) {
        (Some((day, time)), Some((today, _))) if day == today => time.to_owned(),
        _ => minutes.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_where_it_is_another() {
        const HOUR: i64 = 3_600_000_000;
        for (now, expected) in [(2 * HOUR, "01:00"), (23 * HOUR, "01:00"), (25 * HOUR, "1970-01-01 01:00")] {
            assert_eq!(clock(&Micros(HOUR).to_string(), Micros(now)), expected);
        }
    }
}
