//! A prompt's body filled for one run: Handlebars as google/dotprompt has it, then cut into messages.
//!
//! `compile` refuses what could not be filled safely, `calls` what no word is meant by, `words` are dotprompt's own words (`role`, `json`, …), `fill`
//! renders and cuts. **Invariant:** what a task or a variable holds is text. Role marks are written with a character
//! that occurs in no input of this run, so no input can write one, alone or joined with another.

mod calls;
mod compile;
mod fill;
pub(in crate::file) mod tags;
#[cfg(test)]
mod tests;
mod words;

pub use fill::{Rendered, render};

pub(super) use compile::check;
