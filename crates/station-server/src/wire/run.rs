//! Runs.

use super::{Approval, Entry, ErrorBody, Spent, Word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use station_core::run;

/// The status of a run that is recorded as running while nobody drives it any more.
pub const INTERRUPTED: &str = "interrupted";

/// A run.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Run {
    /// Its row.
    pub id: i64,
    /// The agent's name.
    pub agent: String,
    /// The agent's row.
    pub agent_id: i64,
    /// The environment's name.
    pub environment: String,
    /// The environment's row.
    pub environment_id: i64,
    /// What it was to do.
    pub task: String,
    /// `queued`, `running`, `waiting`, `completed`, `failed`, `cancelled`, `timed_out`; `interrupted` where it is
    /// recorded as running and nobody drives it any more.
    pub status: Word,
    /// What it waits for: a free worker, a model, a tool, a sub-agent, a rate limit, a person, …
    pub waiting_on: Option<String>,
    /// What sort of thing that is: `worker`, `model`, `tool`, `agent`, `rate`, `approval`, `outcome` (of a call, which a
    /// person is to say), `fault` (a person, because it cannot be driven on), `budget`, `price` or `newer_station`.
    pub waiting_kind: Option<Word>,
    /// Since when.
    pub waiting_since: Option<String>,
    /// The model that answered last.
    pub model: Option<String>,
    /// Its answer.
    pub answer: Option<String>,
    /// Why it has none.
    pub error: Option<String>,
    /// Model turns taken.
    pub steps: u32,
    /// Tool calls made.
    pub tool_calls: u32,
    /// Tokens, without those of its sub-agents.
    pub usage: Usage,
    /// Its own limits and what it has spent of them, its sub-agents included; `null` where it has none, or has not spent
    /// yet.
    pub budget: Option<Spent>,
    /// The run that spawned it.
    pub parent_id: Option<i64>,
    /// The run whose first steps are its history.
    pub forked_from: Option<ForkedFrom>,
    /// How deep in a tree of sub-agents it is.
    pub depth: u32,
    /// When it was put in the queue.
    pub created_at: String,
    /// When it was first driven.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// From its start to its end.
    pub duration_ms: Option<u64>,
}

/// Where a fork began.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ForkedFrom {
    /// The other run; it may be gone.
    pub run_id: i64,
    /// How many of its steps are history.
    pub step: u32,
}

/// Tokens.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Usage {
    /// Read, cached ones included.
    pub input: u64,
    /// Written, reasoning included.
    pub output: u64,
    /// The part of `input` that came from a cache.
    pub cached: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
}

/// A run that was put in the queue.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct StartedRun {
    /// The run.
    pub run: Run,
    /// Who takes it up.
    pub message: String,
}

/// A run that a command waited for.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct RunReport {
    /// The run.
    pub run: Run,
    /// Why it failed, was cancelled or timed out, and what to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// A run with its journal and the runs of its sub-agents.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct RunDetails {
    /// The run.
    pub run: Run,
    /// What happened, in order.
    pub journal: Vec<Entry>,
    /// The runs of its sub-agents.
    pub children: Vec<Run>,
    /// Questions that were put to people for its calls, oldest first.
    pub approvals: Vec<Approval>,
    /// Ids of calls of which a person must say what became of them.
    pub unsettled: Vec<String>,
}

impl Run {
    /// `run`; `interrupted` as `Station::is_interrupted` says.
    #[must_use]
    pub fn new(run: &station_engine::Run, interrupted: bool) -> Self {
        let started_at = run.started_at;
        Self {
            id: run.id.0,
            agent: run.agent_name.clone(),
            agent_id: run.agent.0,
            environment: run.environment_name.clone(),
            environment_id: run.environment.0,
            task: run.task.clone(),
            status: if interrupted { INTERRUPTED } else { run.status.as_str() }.into(),
            waiting_on: run.waits_on().map(|(on, _)| on.to_owned()),
            waiting_kind: run.waits_on_kind().map(|kind| kind.as_str().into()),
            waiting_since: run.waits_on().map(|(_, since)| since.to_string()),
            model: run.model.clone(),
            answer: run.answer.clone(),
            error: run.error.clone(),
            steps: run.steps,
            tool_calls: run.tool_calls,
            usage: run.usage.into(),
            budget: None,
            parent_id: run.parent.map(|id| id.0),
            forked_from: run.forked_from.map(|from| ForkedFrom { run_id: from.run.0, step: from.step }),
            depth: run.depth,
            created_at: run.created_at.to_string(),
            started_at: started_at.map(|at| at.to_string()),
            ended_at: run.ended_at.map(|at| at.to_string()),
            duration_ms: run.ended_at.zip(started_at).map(|(ended, started)| ended.ms_since(started)),
        }
    }
}

impl Run {
    /// Whether nobody drives it any more, although it is recorded as running.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.status == INTERRUPTED
    }

    /// Its status as it is recorded. One that this version does not know is that of a run which goes on.
    #[must_use]
    pub fn recorded(&self) -> run::Status {
        run::Status::from_word(&self.status).unwrap_or(run::Status::Running)
    }

    /// With what it has spent of its limits.
    #[must_use]
    pub fn with_budget(self, budget: Option<&station_engine::RunBudget>) -> Self {
        Self { budget: budget.map(Spent::from), ..self }
    }
}

impl From<station_core::Usage> for Usage {
    fn from(usage: station_core::Usage) -> Self {
        Self { input: usage.input, output: usage.output, cached: usage.cached, reasoning: usage.reasoning }
    }
}

impl RunDetails {
    /// Its journal, without entries that this version does not know.
    #[must_use]
    pub fn entries(&self) -> Vec<run::Entry> {
        self.journal.iter().filter_map(Entry::read).collect()
    }

    /// `details`; whether a child is interrupted is told by `is_interrupted`.
    #[must_use]
    pub fn new(
        details: &station_engine::RunDetails,
        is_interrupted: impl Fn(&station_engine::Run) -> bool,
    ) -> Self {
        Self {
            run: Run::new(&details.run, details.interrupted)
                .with_budget(details.budgets.get(&details.run.id)),
            journal: details.journal.iter().map(Entry::from).collect(),
            children: details
                .children
                .iter()
                .map(|child| {
                    Run::new(child, is_interrupted(child)).with_budget(details.budgets.get(&child.id))
                })
                .collect(),
            approvals: details.approvals.iter().map(Approval::from).collect(),
            unsettled: details.unsettled.iter().map(ToString::to_string).collect(),
        }
    }
}
