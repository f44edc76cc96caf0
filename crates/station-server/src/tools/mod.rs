//! Station's own MCP server: the thirteen management tools, resources, prompts, and what belongs to them.
//!
//! A tool is a `Row` of a table: its words for a model, its parameters, and a function that calls verbs of
//! the engine and answers in the shapes of [`wire`](crate::wire). Parameters are said once: the input schema that a client
//! sees and the check of what it sends are made of the same rows. The names, parameters and results are those that clients
//! of Station have used for long; additions are optional.
//!
//! To add a tool: a row in its noun's file. What this is not: it knows no transport and no era of the protocol.

mod agent_tools;
mod agents;
mod arguments;
mod attend;
mod completion;
mod environments;
mod execution;
pub(crate) mod lacking;
mod management;
mod progress;
mod prompts;
mod questions;
mod resources;
mod row;
mod runs;
mod schema;
mod servers;
mod suggestions;
mod tasks;
mod watching;

pub use agent_tools::AgentTools;
pub(crate) use agent_tools::{call as call_agent_tool, listed as listed_agent_tools, task as agent_task};
pub(crate) use agents::{edit_of, new_agent};
pub(crate) use arguments::{Arguments, Kind, Parameter};
pub(crate) use attend::{found, queue, resume};
pub(crate) use management::Desk;
pub use management::Management;
pub(crate) use management::{failed, failure, no_tool, refused, result, tell_broken};
pub(crate) use questions::{
    Said, VALID_FOR, form, may_approve, may_ask, not_taken, request as request_of, said, shortened,
};
pub(crate) use runs::{caps, new_run, variables};
pub(crate) use tasks::{answered as answer_task, ended as end_task};
