//! How long a worker with nothing to do may sleep.
//!
//! What others do is told to it, and what it knows the time of it sleeps until. Only a process that dies says nothing; so
//! as long as somebody else drives runs, that is looked at.

use crate::Micros;
use std::time::Duration;

/// How often it is looked whether those who drive runs are still there: nobody waits longer for theirs to go on.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Longest sleep: as long as a lease. What was not told, because a clock was set, a machine was suspended or a
/// notification lost, is found that late.
pub const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Shortest sleep: what stays due, for whatever reason, must not keep the worker busy.
pub const SLEEP_MIN: Duration = Duration::from_millis(10);

/// What lies ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// When something is due: a parked run's turn, the end of a day, the end of a question's time.
    pub due: Option<Micros>,
    /// Runs that are driven, by anybody.
    pub driven: u64,
}

impl Ahead {
    /// How long a worker may sleep at `now` that drives `ours` of the runs.
    #[must_use]
    pub fn sleep(self, ours: u64, now: Micros) -> Duration {
        let most = if self.driven > ours { LOOK_EVERY } else { SLEEP_MAX };
        let until_due = |due: Micros| u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0);
        let until_due = self.due.map_or(most, |due| Duration::from_micros(until_due(due)));
        until_due.clamp(SLEEP_MIN, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_sleeps_until_there_is_something_to_see() {
        const SECOND: i64 = 1_000_000;
        let now = Micros(100 * SECOND);
        let at = |s: i64| Some(Micros(s * SECOND));
        // due, driven, of them ours, how long
        for (due, driven, ours, expected) in [
            (None, 0, 0, 30_000),
            (None, 3, 3, 30_000),
            // Of those that end just now it may know sooner than the store.
            (None, 2, 3, 30_000),
            (None, 4, 3, 5_000),
            (at(103), 0, 0, 3_000),
            (Some(Micros(100 * SECOND + 40_000)), 9, 0, 40),
            (at(108), 1, 0, 5_000),
            (at(200), 0, 0, 30_000),
            (at(100), 0, 0, 10),
            (at(1), 0, 0, 10),
        ] {
            let ahead = Ahead { due, driven };
            assert_eq!(ahead.sleep(ours, now), Duration::from_millis(expected), "{ahead:?}, {ours} ours");
        }
    }
}
