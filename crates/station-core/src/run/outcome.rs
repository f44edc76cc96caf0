//! How a run ends, and where it stands until then.

use super::{Entry, Event};
use crate::RunId;
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer.
    Completed {
        /// The answer.
        answer: String,
    },
    /// Without one.
    Failed {
        /// The sort of failure.
        failure: Failure,
        /// The public sentence.
        sentence: String,
        /// What to try, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hints: Vec<String>,
    },
    /// Somebody stopped it.
    Cancelled,
    /// Its time was over.
    TimedOut,
}

impl Outcome {
    /// The one that `journal` ends with; `None` where its run has not ended.
    #[must_use]
    pub fn of(journal: &[Entry]) -> Option<&Self> {
        journal.iter().rev().find_map(|entry| match &entry.event {
            Event::RunEnded { outcome } => Some(outcome),
            _ => None,
        })
    }

    /// The status a run has after this.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Completed { .. } => Status::Completed,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled => Status::Cancelled,
            Self::TimedOut => Status::TimedOut,
        }
    }
}

/// Why a run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// No model answered.
    Model,
    /// The model still wanted tools after its last step.
    Steps,
    /// The same calls brought the same results again and again.
    Repetition,
    /// The answer is empty, was cut off or does not fit its schema, also after a repair.
    Output,
    /// The model refused to answer.
    Refused,
    /// The run could not be prepared: its agent, its models or its variables.
    Setup,
}

impl Failure {
    /// Every sort.
    pub const ALL: [Self; 6] =
        [Self::Model, Self::Steps, Self::Repetition, Self::Output, Self::Refused, Self::Setup];

    /// In one word, as journals have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Steps => "steps",
            Self::Repetition => "repetition",
            Self::Output => "output",
            Self::Refused => "refused",
            Self::Setup => "setup",
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for a worker.
    Queued,
    /// A driver has it.
    Running,
    /// Parked: costs a row.
    Waiting,
    /// Ended with an answer.
    Completed,
    /// Ended without one.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Its time was over.
    TimedOut,
}

impl Status {
    /// Every status, in the order of a run's life.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// The word in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Waiting => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut => true,
        }
    }
}

/// What a parent's model is told of a sub-agent's end.
#[must_use]
pub fn child_text(
    run: RunId,
    name: &str,
    outcome: Status,
    answer: Option<&str>,
    error: Option<&str>,
) -> String {
    match (outcome, answer) {
        (Status::Completed, Some(answer)) => answer.to_owned(),
        _ => format!(
            "the run {run} of agent `{name}` ended as {} without an answer{}",
            outcome.as_str(),
            error.map(|error| format!(": {error}")).unwrap_or_default()
        ),
    }
}
