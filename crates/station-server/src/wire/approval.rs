//! Approvals, standing ones, and the audit.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use station_core::approval::Status;
use station_core::{Action, Role};
use station_engine::Asker;

/// A call that waits, or waited, for a person.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Approval {
    /// Its row.
    pub id: i64,
    /// The run that waits; `null` where a client's own call does.
    pub run_id: Option<i64>,
    /// The call.
    pub effect_id: String,
    /// The agent's name; `null` where a client's own call waits.
    pub agent: Option<String>,
    /// Whose client calls; `null` where a run does.
    pub caller: Option<String>,
    /// The environment's name.
    pub environment: String,
    /// The server's name.
    pub server: String,
    /// The upstream name of the tool.
    pub tool: String,
    /// What it is to be called with.
    pub arguments: Value,
    /// SHA-256 of the arguments as canonical JSON (RFC 8785).
    pub arguments_hash: String,
    /// SHA-256 of the tool's definition.
    pub definition_hash: String,
    /// The rule that asks, in words.
    pub rule: String,
    /// `pending`, `approved`, `denied`, `timed_out` or `void`.
    pub status: String,
    /// The roles that may decide, where they see it; none where nobody is asked any more.
    #[serde(default)]
    pub may_decide: Vec<Word>,
    /// When it was asked.
    pub asked_at: String,
    /// When the question is over.
    pub expires_at: Option<String>,
    /// When it was decided.
    pub decided_at: Option<String>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// Why it was denied.
    pub reason: Option<String>,
    /// When the call was sent on it.
    pub used_at: Option<String>,
}

impl Approval {
    /// Whether nobody has decided yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.status == Status::Pending.as_str()
    }
}

impl From<&station_engine::Approval> for Approval {
    fn from(approval: &station_engine::Approval) -> Self {
        let (agent, caller) = match approval.asker.clone() {
            Asker::Run { agent, .. } => (Some(agent), None),
            Asker::Caller(name) => (None, Some(name)),
        };
        let may_decide = Action::Approve.roles().filter(|_| approval.is_pending()).map(Role::as_str);
        Self {
            id: approval.id,
            run_id: approval.run().map(|run| run.0),
            effect_id: approval.effect.to_string(),
            agent,
            caller,
            environment: approval.environment.clone(),
            server: approval.server.clone(),
            tool: approval.tool.clone(),
            arguments: serde_json::from_str(&approval.arguments).unwrap_or_default(),
            arguments_hash: approval.basis.arguments.to_string(),
            definition_hash: approval.basis.definition.clone(),
            rule: approval.basis.rule.to_string(),
            status: approval.status.as_str().to_owned(),
            may_decide: may_decide.map(Word::from).collect(),
            asked_at: approval.asked_at.to_string(),
            expires_at: approval.expires_at.map(|at| at.to_string()),
            decided_at: approval.decided_at.map(|at| at.to_string()),
            decided_by: approval.decided_by.clone(),
            reason: approval.reason.clone(),
            used_at: approval.used_at.map(|at| at.to_string()),
        }
    }
}

/// A yes to every call of one tool by one agent.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct StandingApproval {
    /// Its row.
    pub id: i64,
    /// The agent's name.
    pub agent: String,
    /// The environment's name.
    pub environment: String,
    /// The server's name.
    pub server: String,
    /// The upstream name of the tool.
    pub tool: String,
    /// The definition it holds for.
    pub definition_hash: String,
    /// The question to which it was the answer.
    pub approval_id: i64,
    /// When it was given.
    pub made_at: String,
    /// By whom.
    pub made_by: String,
    /// How often a call was sent on it.
    pub uses: u64,
}

impl From<&station_engine::StandingApproval> for StandingApproval {
    fn from(it: &station_engine::StandingApproval) -> Self {
        Self {
            id: it.id,
            agent: it.agent.clone(),
            environment: it.environment.clone(),
            server: it.server.clone(),
            tool: it.tool.clone(),
            definition_hash: it.definition_hash.clone(),
            approval_id: it.approval,
            made_at: it.made_at.to_string(),
            made_by: it.made_by.clone(),
            uses: it.uses,
        }
    }
}

/// One row of the audit.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct AuditEntry {
    /// Its place: 1, 2, 3, …
    pub seq: i64,
    /// When.
    pub at: String,
    /// Who.
    pub actor: String,
    /// From where, and by which key; null where nobody asked, and of rows that older Stations wrote.
    pub from: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More of it.
    pub detail: Value,
    /// Hash of the row before.
    pub previous: String,
    /// Hash of this row.
    pub hash: String,
}

impl From<&station_engine::AuditEntry> for AuditEntry {
    fn from(it: &station_engine::AuditEntry) -> Self {
        Self {
            seq: it.seq,
            at: it.at.to_string(),
            actor: it.actor.clone(),
            from: it.from.clone(),
            action: it.action.clone(),
            subject: it.subject.clone(),
            detail: serde_json::from_str(&it.detail).unwrap_or_default(),
            previous: it.previous.clone(),
            hash: it.hash.clone(),
        }
    }
}
