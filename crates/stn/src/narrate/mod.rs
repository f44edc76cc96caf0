//! Runs in words: the same for one that happens now and for one that is looked at later.
//!
//! Pure: events in, lines out. What a line is printed on, and whether in colour, is `out`'s.

mod measure;
mod tell;
mod wait;

pub(crate) use measure::{cut, cut_lines, duration, moment, tokens};
pub(crate) use station_core::plural;
pub(crate) use tell::{Detail, Line, Narrator};
pub(crate) use wait::wait;
