//! The names of results.

use std::fmt;
use std::str::FromStr;

/// A place in a run's conversation: which call of which turn, both from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) struct Handle {
    pub(in crate::run) turn: usize,
    pub(in crate::run) call: usize,
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}.{}", self.turn, self.call)
    }
}

impl FromStr for Handle {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (turn, call) = text.trim().strip_prefix(['r', 'R']).ok_or(())?.split_once('.').ok_or(())?;
        let number = |text: &str| text.parse().ok().filter(|n| *n > 0).ok_or(());
        Ok(Self { turn: number(turn)?, call: number(call)? })
    }
}
