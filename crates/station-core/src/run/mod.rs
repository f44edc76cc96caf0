//! A run: its journal's words, and the machine that folds them into what to do next.

mod event;
mod flaw;
mod limits;
mod machine;
mod outcome;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
mod turn;

pub use event::{
    AskFailure, Effect, Entry, Event, GrantedTool, Inputs, ModelChoice, Prepared, Settings, StepLimit,
    Target, UnknownPolicy, Why,
};
pub use limits::{DEPTH_MAX, STEPS_MAX, step_limit};
pub use machine::{Machine, Next, Todo, Waiting};
pub use outcome::{Failure, Outcome, Status, child_text};
