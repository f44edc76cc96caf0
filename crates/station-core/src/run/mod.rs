//! A run: its journal's words, and the machine that folds them into what to do next.

mod calls;
mod compaction;
mod conversation;
#[cfg(test)]
mod doubts;
mod effect;
mod event;
mod flaw;
pub mod fork;
mod inputs;
mod limits;
mod machine;
mod next;
mod outcome;
#[cfg(test)]
mod properties;
mod results;
#[cfg(test)]
mod schedules;
mod slot;
mod spend;
mod taken;
#[cfg(test)]
mod tests;
mod turn;
mod wait;

pub use compaction::{Compaction, CompactionReason, Cut, window};
pub use effect::{AskFailure, Effect, UnknownPolicy, Why};
pub use event::{DriverProcess, Entry, Event, limit_reached};
pub use inputs::{
    Context, Effort, GrantedTool, INTERRUPTIONS_MAX, Inputs, ModelChoice, OwnTool, Prepared, Settings,
    StepLimit, Target,
};
pub use limits::{DEPTH_MAX, STEPS_MAX, step_limit};
pub use machine::Machine;
pub use next::{Again, Given, Next, Terms, Todo, Waiting};
pub use outcome::{Failure, Outcome, Status, child_text};
pub use results::{READER, RESULT_BYTES_MAX, Reading, Source, Whole, reader};
pub use spend::Reservation;
pub use taken::{Made, MadeEnd, Taken, steps_taken};
pub use wait::{WaitKind, WaitsOn};
