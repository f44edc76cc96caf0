//! What the audit tells of changes to definitions: environments with their rules and variables, servers, agents.
//!
//! A change is told by the verb that would have made it alone, whether a person used that verb, applied files, or nobody was there
//! and a file had changed. Values of variables and texts of server files are told by nobody: they may be secrets.

use crate::Deed;
use serde_json::{Value as Json, json};
use station_core::sync::Change;
use station_core::{Actor, AgentId, BlobHash, EnvironmentId, EnvironmentName, Micros};

/// The row of a change in an environment. `agent` is the agent that was put.
pub(crate) fn told(
    change: &Change,
    (environment, id): (&EnvironmentName, EnvironmentId),
    agent: Option<AgentId>,
    (actor, at): (&Actor, Micros),
) -> Deed {
    let here = || format!("environment {id}");
    let of_agent = |id: AgentId| format!("agent {id}");
    let hash = |source: &str| BlobHash::of(source.as_bytes()).to_string();
    let (action, subject, mut detail) = match change {
        Change::CreateEnvironment => ("create_environment", here(), json!({})),
        Change::SetRules { source } => ("update_environment", here(), json!({ "rules": hash(source) })),
        Change::SetLock { hash, pins } => {
            ("lock_tools", here(), json!({ "lock": hash, "tools": pins.len() }))
        }
        Change::SetVariable { name, .. } => ("set_variable", here(), json!({ "name": name })),
        Change::RemoveVariable { name } => ("unset_variable", here(), json!({ "name": name })),
        Change::PutConfig { name, servers, existed, dropped, .. } => {
            let action = if *existed { "update_server" } else { "add_server" };
            let servers: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
            (action, server_file(name), json!({ "servers": servers, "removed": dropped }))
        }
        Change::RemoveConfig { name, servers } => {
            ("delete_server", server_file(name), json!({ "removed": servers }))
        }
        Change::PutAgent(row) => {
            let action = if row.existed { "update_agent" } else { "create_agent" };
            let subject = agent.map_or_else(|| "an agent".to_owned(), of_agent);
            (action, subject, json!({ "name": row.name.as_str(), "source": hash(&row.source) }))
        }
        Change::RenameAgent { id, row, from } => {
            let detail = json!({ "name": row.name.as_str(), "from": from, "source": hash(&row.source) });
            ("rename_agent", of_agent(*id), detail)
        }
        Change::RemoveAgent { id, name } => ("delete_agent", of_agent(*id), json!({ "name": name })),
    };
    detail["environment"] = Json::from(environment.as_str());
    Deed { at, actor: actor.clone(), action, subject, detail: detail.to_string() }
}

fn server_file(name: &str) -> String {
    format!("server file {name}")
}
