//! What a caller is given to bring back later: sealed, and good for that caller, that request and a while alone.

use crate::Station;
use crate::lease::millis;
use station_core::{Caller, Error, Micros, Result};
use std::time::Duration;

impl Station {
    /// Seals `text` for `by`, to be brought back with the same `request` within `valid_for`.
    ///
    /// # Errors
    /// Where the system has no random bytes.
    pub fn give_out(&self, by: &Caller, request: &str, text: &str, valid_for: Duration) -> Result<String> {
        let until = self.now().plus_ms(millis(valid_for));
        let user = by.user.to_string();
        self.store().seal_text(&[&user, &by.name, request], &format!("{} {text}", until.0))
    }

    /// The text that was given out to `by` with the same `request`.
    ///
    /// # Errors
    /// `Invalid` where it was changed, given to somebody else or for something else, or is too old.
    pub fn take_back(&self, by: &Caller, request: &str, sealed: &str) -> Result<String> {
        let user = by.user.to_string();
        let opened = self.store().open_text(&[&user, &by.name, request], sealed)?;
        let (until, text) = opened.split_once(' ').unwrap_or_default();
        match until.parse().map(Micros) {
            Ok(until) if until > self.now() => Ok(text.to_owned()),
            _ => Err(Error::invalid("it is too old")),
        }
    }
}
