//! The verbs over agents. A verb that changes something writes the agent's file first and then applies the plan of that
//! file; an agent that lives in the store alone is changed there.

mod create;
mod delete;
mod export;
mod find;
mod import;
mod update;

pub use create::{NewAgent, ReasonedTool};
pub use delete::AgentDeletion;
pub use export::Exported;
pub use find::{AgentDetails, AgentRef};
pub use import::{AgentImport, Imported, Missing, OnConflict};
pub use update::AgentUpdate;
