//! The shapes that scripts made for older Stations send and get, kept as they are.

use super::{Usage, Word};
use schemars::JsonSchema;
use serde::Serialize;
use station_core::Error;
use station_engine::{Run, RunDetails};

/// A run that was put in the queue: what `POST /execute` answers.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Executed {
    /// The run: `GET /runs/{id}` tells of it.
    pub run_id: i64,
    /// Its agent's row.
    pub agent_id: i64,
    /// Its agent's name.
    pub agent_name: String,
    /// What it is to do.
    pub task: String,
    /// Where it stands: `queued`, unless it is quicker than this answer.
    pub status: &'static str,
    /// Who takes it up.
    pub message: String,
}

impl Executed {
    /// `run`, and what there is to say of it.
    #[must_use]
    pub fn new(run: &Run, message: String) -> Self {
        Self {
            run_id: run.id.0,
            agent_id: run.agent.0,
            agent_name: run.agent_name.clone(),
            task: run.task.clone(),
            status: run.status.as_str(),
            message,
        }
    }
}

/// A run as older scripts read it: what `GET /runs/{id}` answers under `run`.
#[derive(Clone, Debug, Serialize)]
pub struct OlderRun {
    /// Its row.
    pub id: i64,
    /// Its agent's row.
    pub agent_id: i64,
    /// Its agent's name.
    pub agent_name: String,
    /// What it was to do.
    pub task: String,
    /// Its answer; empty where it has none.
    pub final_response: String,
    /// Model turns taken.
    pub steps_taken: u32,
    /// `queued`, `running`, `waiting`, `completed`, `failed`, `cancelled` or `timed_out`.
    pub status: Word,
    /// Why it has no answer.
    pub error: Option<String>,
    /// The model that answered last.
    pub model_name: Option<String>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Tools called.
    pub tools_used: u32,
    /// When it was first driven, or put in the queue.
    pub started_at: String,
    /// When it ended.
    pub completed_at: Option<String>,
    /// From the one to the other.
    pub duration_seconds: Option<f64>,
}

impl From<&RunDetails> for OlderRun {
    fn from(details: &RunDetails) -> Self {
        let run = super::Run::new(&details.run, false);
        let Usage { input, output, .. } = run.usage;
        // Milliseconds of a run are far below what is exact here.
        #[expect(clippy::cast_precision_loss, reason = "2^53 ms are longer than any run")]
        let duration_seconds = run.duration_ms.map(|ms| ms as f64 / 1_000.0);
        Self {
            id: run.id,
            agent_id: run.agent_id,
            agent_name: run.agent,
            task: run.task,
            final_response: run.answer.unwrap_or_default(),
            steps_taken: run.steps,
            status: run.status,
            error: run.error,
            model_name: run.model,
            input_tokens: input,
            output_tokens: output,
            total_tokens: input + output,
            tools_used: run.tool_calls,
            started_at: run.started_at.unwrap_or(run.created_at),
            completed_at: run.ended_at,
            duration_seconds,
        }
    }
}

/// Why something was refused, as older scripts read it.
#[derive(Clone, Debug, Serialize)]
pub struct OlderError {
    /// The stable word: `invalid`, `not_found`, …
    pub error: &'static str,
    /// The sentence, with what to try.
    pub message: String,
}

impl From<&Error> for OlderError {
    fn from(error: &Error) -> Self {
        let hints = error.hints().iter().map(|hint| format!(" (hint: {hint})"));
        Self {
            error: error.kind().as_str(),
            message: hints.fold(error.sentence().to_owned(), |all, hint| all + &hint),
        }
    }
}
