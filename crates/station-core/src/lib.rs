//! The rules of Station: what a run, an agent, a grant, a file and a plan mean.
//!
//! Everything here is a decision and nothing here is an action, so that every decision can be tested as a row of
//! data. **Invariant:** no tokio, no files, no environment, no clock, no network, no SQL; time and randomness come
//! in as parameters. What acts on these decisions lives in `station-engine`.

mod agent;
pub mod agent_tool;
pub mod answers;
pub mod approval;
pub mod budget;
mod caller;
pub mod case;
mod chat;
mod concurrency;
pub mod content;
pub mod discovery;
mod environment;
mod error;
pub mod file;
pub mod grant;
mod id;
pub mod json;
pub mod lock;
pub mod looking;
pub mod mirror;
pub mod near;
pub mod oauth;
pub mod once;
mod plain;
mod plural;
pub mod policy;
pub mod rank;
pub mod rate;
mod redact;
pub mod run;
pub mod sampling;
pub mod sandbox;
pub mod schema;
mod secret;
mod server;
pub mod sse;
pub mod sync;
mod time;
pub mod tool;
mod tool_names;
mod trace;
pub mod verify;

pub use agent::{Agent, AgentName, Origin};
pub use caller::{Actor, Caller, KnownBy, Realm, RunToken};
pub use chat::{Answer, Image, Message, ModelRef, Part, Stop, Thinking, Thought, ToolCall, ToolSpec, Usage};
pub use concurrency::{Concurrency, ModelMax};
pub use environment::{Environment, EnvironmentName};
pub use error::{Error, Kind, Result};
pub use id::{AgentId, BlobHash, EffectId, EnvironmentId, Fence, RunId, ServerId, ToolId, UserId, is_number};
pub use plain::{is_plain, names_a_secret};
pub use plural::plural;
pub use policy::{Action, Role, Scope};
pub use redact::redact;
pub use secret::{Redaction, Secret};
pub use server::{Definition, Era, Isolation, Server, ServerSettings, ToolRules, Transport};
pub use time::Micros;
pub use tool::{Annotations, Tool};
pub use tool_names::{ToolName, ToolNames};
pub use trace::{NoTrace, Trace};
