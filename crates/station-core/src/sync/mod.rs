//! What a sync would change: files beside the store, and the plan between them.
//!
//! The plan is computed once; a dry run prints it and an apply commits it, so the two cannot differ.
//! **Invariant:** rows of origin `store` and rows of another workspace are never part of a plan's removals.
//! **Invariant:** an environment's rules and variables are changed by the one workspace that owns its row. One that
//! was made in the store is owned by none: a folder that comes to have its name takes nothing over.
//! **Invariant:** a broken file changes nothing, not even by being absent: what is stored of it stays.

mod agents;
mod change;
mod changed;
mod configs;
mod cycles;
mod lock;
mod plan;
mod reach;
mod renames;
mod spare;
mod state;
#[cfg(test)]
mod tests;

pub use change::{AgentRow, Change, Grant, Plan, ServerOutline};
pub use changed::changed_servers;
pub use plan::{Discovery, Removals, plan};
pub use state::{Files, Stored, StoredAgent, StoredConfig, Text};
