//! The verbs over agents. A verb that changes something writes the agent's file first and then applies the plan of that
//! file; an agent that lives in the store alone is changed there.

mod as_tools;
mod create;
mod delete;
mod enable;
mod export;
mod find;
mod import;
mod rename;
mod suggest;
mod update;

pub use as_tools::AgentTool;
pub use create::{NewAgent, ReasonedTool};
pub use delete::AgentDeletion;
pub use export::Exported;
pub use find::{AgentDetails, AgentRef};
pub use import::{AgentImport, Imported, Missing, OnConflict};
pub use rename::AgentRenaming;
pub use suggest::{AgentSuggestion, AgentWish, Planner};
pub use update::AgentUpdate;
