//! A run: its journal's words, and the machine that folds them into what to do next.

mod event;
mod limits;
mod machine;
#[cfg(test)]
mod tests;
mod turn;

pub use event::{
    AskFailure, Effect, Entry, Event, Failure, GrantedTool, Inputs, ModelChoice, Outcome, Prepared, Settings,
    Status, StepLimit, Target, UnknownPolicy, Why,
};
pub use limits::{DEPTH_MAX, STEPS_MAX, step_limit};
pub use machine::{Machine, Next, Todo, Waiting, child_text};
