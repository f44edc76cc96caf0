//! The verbs: all that Station can do, and the only place where a run touches the world.
//!
//! A door (terminal, HTTP, MCP) builds a [`Config`], opens a [`Station`] and calls its verbs; each takes the
//! [`station_core::Caller`] first. Decisions live in `station-core`; here they are carried out, in one way each: every
//! run goes through `drive`, every tool call through `call`. What this is not: it prints nothing, parses no command
//! line, and reads no environment variable.

mod agents;
mod approvals;
mod architect;
mod at_once;
mod begin;
mod budgets;
mod bus;
mod call;
mod carry;
mod catalog;
mod change;
mod clock;
mod config;
mod deeds;
mod demo;
mod drive;
mod driving;
mod environments;
mod events;
mod folder_lock;
mod follow;
mod forks;
mod fresh;
mod hand;
mod hear;
mod instances;
mod invitations;
mod journal;
mod kept;
mod keys;
mod lacking;
mod lease;
mod local;
mod lock;
mod logins;
mod looks;
mod metrics;
mod models;
mod offers;
mod once;
mod own_server;
mod pace;
mod passwords;
mod perform;
mod pool;
mod prepare;
mod provider;
mod reading;
mod ready;
mod record;
mod refusals;
mod replay;
mod results;
mod retention;
mod rights;
mod rotation;
mod runs;
mod said;
mod sampling;
mod serve;
mod server_files;
mod servers;
pub mod settings;
mod sign_ins;
mod signals;
mod spend;
mod station;
mod surface;
mod sync;
mod tasks;
#[cfg(test)]
mod tests;
mod tokens;
mod tool_calls;
mod turns;
mod users;
mod variables;
mod waiting;
mod withheld;
mod worker;
mod workspace;
mod write_file;

pub use agents::{
    AgentDeletion, AgentDetails, AgentImport, AgentRef, AgentRenaming, AgentSuggestion, AgentTool,
    AgentUpdate, AgentWish, Exported, Imported, Missing, NewAgent, OnConflict, Planner, ReasonedTool,
};
pub use approvals::{Settled, Yes};
pub use architect::{AgentPlan, PlannedTool, Planning};
pub use budgets::{Budget, BudgetRef, RunBudget};
pub use bus::{Live, Seen, Watch};
pub use call::{Carried, Consent};
pub use catalog::{Discovered, Discovery};
pub use clock::Clock;
pub use config::{Config, OwnServer, Passthrough};
pub use demo::{DemoServer, demo_files};
pub use environments::{EnvironmentDetails, EnvironmentRef, NewEnvironment};
pub use events::RunEvent;
pub use folder_lock::FolderLock;
pub use follow::Followed;
pub use forks::Fork;
pub use hand::From;
pub use invitations::{INVITATION_VALID_FOR, Invitation};
pub use keys::{KeyPlace, KeyStatus, Keys, set_aside_go_database};
pub use lacking::LackingVariable;
pub use local::Sockets;
pub use lock::ToolLock;
pub use logins::{LoggedIn, LoggedOut, LoginStep, PendingLogin};
pub use looks::{FilledPrompt, ReadResource, told_message};
pub use metrics::Metrics;
pub use models::{Answered, Known, KnownModel, ModelList, ModelTest};
pub use offers::ServerOffer;
pub use once::{Begun, KeyedRequest};
pub use own_server::Handed;
pub use pool::Look;
pub use provider::{check_provider, set_in};
pub use ready::Readiness;
pub use rotation::{Rotated, WORKERS_WITHIN};
pub use runs::{Driver, EXPORTED_MAX, NewRun, Resumption, RunDetails, RunRef};
pub use said::{Said, Word};
pub use serve::Serve;
pub use server_files::{AddedServer, Defined, NewServer, ServerDeletion};
pub use servers::{ServerDetails, ServerLogin, ServerRef, ServerView};
pub use settings::FileSetting;
pub use sign_ins::SESSION_VALID_FOR;
pub use station::Station;
pub use station_llm::{
    AskError, Caching, Config as ModelConfig, Held, KeyState, Models, NamedBy, Offer, Supports,
};
pub use station_store::{
    ApiKey, Approval, ApprovalFilter, Asker, AuditEntry, AuditFault, AuditFilter, AuditHead, Figures, Key,
    KeyRing, Location, Prunable, Pruned, RequestClaim, Run, RunFilter, ServerFile, StandingApproval, User,
};
pub use surface::CallableTool;
pub use sync::{SyncOptions, SyncReport};
pub use tool_calls::{CalledTool, PassedCall, ToolCallEnd};
pub use users::{KEY_PREFIX, KeyWish, NewUser, UserEdit, UserFilter, UserRef};
pub use variables::{NOT_APPLIED, OWN as OWN_SECRETS, Variable};
pub use workspace::Workspace;
pub use write_file::{Readers, Replace, write_file};
