//! JSON as the doors speak it: what `--json` prints is what the API will answer.
//!
//! Core types do not serialize themselves; each noun has its twin here, so that a change inside does not change what
//! scripts read. The rules: snake_case; row ids are numbers; times are RFC 3339 in UTC; durations are whole
//! milliseconds in fields that end in `_ms`; what is not known is `null`, never left out; a list is
//! `{"<nouns>": […], "count": n}`. Fields are added, never renamed. **Invariant:** no secret's value has a field here.
//!
//! What a server answers is read into the same shapes (`stn --server`), so what an older one does not say yet is an `Option`, and what a
//! newer one says besides is passed over.
//!
//! To add a noun: a file with its structs and their constructors from engine types, and a line here.

mod agent;
mod approval;
mod budget;
mod case;
mod deletion;
mod environment;
mod error;
mod event;
mod list;
mod lock;
mod login;
mod look;
mod model;
mod older;
mod retention;
mod run;
mod server;
mod setting;
mod sync;
mod tool;
mod user;

pub use agent::{
    Agent, AgentDefinition, AgentDetails, AgentPlan, CreatedAgent, ExportedAgent, Grant, ImportedAgent,
    Missing, PlannedAgent, ReasonedTool, Schedule,
};
pub use approval::{Approval, AuditEntry, StandingApproval};
pub use budget::{Budget, Measured, Price, Spent};
pub use case::{CaseLine, TriedCase};
pub use deletion::Deletion;
pub use environment::{Environment, EnvironmentDetails, EnvironmentVariable};
pub use error::{Error, ErrorBody};
pub use event::Entry;
pub use list::list;
pub use lock::{ChangedField, ToolDifference, ToolLock};
pub use login::{LoggedIn, LoggedOut, Login};
pub use look::{FilledPrompt, ReadResource};
pub use model::{Model, ModelKey, ModelList, ModelSupports, Provider, TestedModel, TestedModels};
pub use older::{Executed, OlderError, OlderRun};
pub use retention::{PrunableRuns, PrunedRuns};
pub use run::{ForkedFrom, INTERRUPTED, Run, RunDetails, RunReport, StartedRun, Usage};
pub use server::{Server, ServerFile, ServerSandbox, ServerState, ServerVariable, ServerView};
pub use setting::FileSetting;
pub use sync::{Change, Discovered, Discovery, Place, Problem, SyncReport, Variable};
pub use tool::{CalledTool, Tool};
pub use user::{ApiKey, Caller, Invitation, NewApiKey, User};

/// A word that is one of a few: ours, or as a server said it.
pub type Word = std::borrow::Cow<'static, str>;
