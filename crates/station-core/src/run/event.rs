//! The journal's words.
//!
//! Events are past tense and say what happened once. They are stored for years and read by newer and, during a rolling
//! update, by older versions: fields are only added, and new ones are optional. An event this version does not know
//! is a read error for that run alone, which is then left to a version that knows it.

use super::{Outcome, Status};
use crate::{
    AgentId, Answer, BlobHash, EffectId, Fence, Message, Micros, ModelRef, RunId, ServerId, ToolSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place: 1, 2, 3, … without gaps.
    pub seq: i64,
    /// When it was appended.
    pub at: Micros,
    /// What happened.
    pub event: Event,
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A driver took the run over, under a new fence. Every tool call started under an older one and not ended is
    /// unknown from here on; nothing else means "restarted".
    Adopted {
        /// The new fencing number.
        fence: Fence,
        /// Who drives: host and process, for people.
        worker: String,
        /// The new end of the run's time, where it went on after an interruption: time in which nobody drove it does
        /// not count.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Micros>,
    },
    /// The run's inputs are settled.
    RunStarted(Box<Inputs>),
    /// An effect is about to be sent: committed before it is.
    EffectStarted {
        /// Its id; a repeated call keeps the id it had, so that a server can tell.
        id: EffectId,
        /// What is sent.
        effect: Effect,
    },
    /// A model answered.
    Answered {
        /// The request.
        id: EffectId,
        /// What it said.
        answer: Answer,
        /// How long it took.
        ms: u64,
    },
    /// A model did not answer, after all retries.
    AskFailed {
        /// The request.
        id: EffectId,
        /// The sort of failure: it decides whether another model is asked.
        failure: AskFailure,
        /// The public sentence.
        sentence: String,
        /// What to try.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// How long it took.
        ms: u64,
    },
    /// The run goes on with another model of its list.
    ModelSwitched {
        /// Index into the list.
        to: usize,
        /// The model left.
        from_model: ModelRef,
        /// The model taken.
        to_model: ModelRef,
        /// Why.
        reason: String,
    },
    /// A tool call returned; also when it returned an error.
    Returned {
        /// The call.
        id: EffectId,
        /// The result as text.
        text: String,
        /// The structured result, where the tool gave one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        structured: Option<Value>,
        /// Whether the tool says it failed.
        #[serde(default)]
        is_error: bool,
        /// Bytes that were cut off because the result was longer than the limit.
        #[serde(default, skip_serializing_if = "is_zero")]
        cut_bytes: u64,
        /// How long it took.
        ms: u64,
    },
    /// The gate did not let a call pass; nothing was sent.
    Refused {
        /// Index of the call in the current turn.
        slot: usize,
        /// What the model is told.
        sentence: String,
    },
    /// A call was sent and its outcome will not be known.
    OutcomeUnknown {
        /// The call.
        id: EffectId,
        /// Why.
        why: Why,
        /// What was seen of it, for people; the model is told by `why` alone.
        #[serde(default)]
        sentence: String,
        /// How long it was waited for.
        ms: u64,
    },
    /// A sub-agent's run ended.
    ChildEnded {
        /// The effect that spawned it.
        id: EffectId,
        /// Its run.
        run: RunId,
        /// How it ended.
        status: Status,
        /// Its answer, or why there is none.
        text: String,
        /// What it cost is counted in its own run.
        ms: u64,
    },
    /// Somebody asked the run to stop.
    CancelRequested {
        /// Who, for people.
        by: String,
    },
    /// The run's time is over.
    DeadlinePassed,
    /// The run is over; nothing follows.
    RunEnded {
        /// How.
        outcome: Outcome,
    },
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What a run keeps of its inputs: edits during the run change later runs, not this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// The agent's name at that time.
    pub agent: String,
    /// The environment's name.
    pub environment: String,
    /// Blob: the rendered system prompt, plain text.
    pub system: BlobHash,
    /// Blob: the ordered tools, JSON of `Vec<GrantedTool>`.
    pub tools: BlobHash,
    /// Blob: JSON of [`Settings`].
    pub settings: BlobHash,
    /// Blob: the JSON Schema the answer must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<BlobHash>,
    /// The rendered turns after the system prompt; the last is the task.
    pub opening: Vec<Message>,
    /// Models in the order in which they are tried. Never empty.
    pub models: Vec<ModelChoice>,
    /// How many model turns the run may take.
    pub steps: StepLimit,
    /// When the run's time is over.
    pub deadline: Micros,
    /// What the run has to do without: grants that nothing offers, servers that cannot start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How deep in a tree of sub-agents this run is; 0 for one that a person started.
    #[serde(default)]
    pub depth: u32,
}

/// The bodies behind the hashes of [`Inputs`].
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The rendered system prompt; may be empty.
    pub system: String,
    /// The ordered tools.
    pub tools: Vec<GrantedTool>,
    /// Model settings.
    pub settings: Settings,
    /// The JSON Schema the answer must fit.
    pub output_schema: Option<Value>,
}

/// Model settings of an agent's file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Sampling temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Most tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Texts at which the model stops.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

/// A model of a run's list, with what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelChoice {
    /// The model.
    pub model: ModelRef,
    /// It can call tools.
    pub tools: bool,
    /// It can be held to a schema.
    pub schema: bool,
}

/// How many model turns a run may take, and why so many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLimit {
    /// 1 to 25.
    pub steps: u32,
    /// In words, for `runs inspect`.
    pub reason: String,
}

/// What to do with an unknown effect that must not be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPolicy {
    /// Tell the model that the outcome is unknown, and go on.
    #[default]
    Tell,
    /// Wait for a person.
    Park,
}

/// A tool as granted to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrantedTool {
    /// What the model is told; `spec.name` is the wire name.
    pub spec: ToolSpec,
    /// What stands behind it.
    pub target: Target,
    /// The offline model may call it: it is read-only, a sub-agent, or named exactly by an agent with `model: offline`.
    #[serde(default)]
    pub offline: bool,
}

impl GrantedTool {
    /// Sets whether a call may be sent twice, by the rules as they are when it is sent.
    pub fn set_repeatable(&mut self, repeatable: bool) {
        match &mut self.target {
            Target::Tool { read_only, idempotent, .. } => {
                *read_only &= repeatable;
                *idempotent = repeatable;
            }
            Target::Agent { .. } => {}
        }
    }
}

/// What stands behind a granted tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// A tool of an MCP server.
    Tool {
        /// The server's row.
        server: ServerId,
        /// Its name.
        server_name: String,
        /// The upstream name.
        tool: String,
        /// It changes nothing.
        read_only: bool,
        /// Calling it twice is calling it once.
        idempotent: bool,
    },
    /// Another agent of the environment.
    Agent {
        /// Its row.
        agent: AgentId,
        /// Its name.
        name: String,
    },
}

/// Something that reaches out of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// A request to a model; always asked again after an interruption.
    Ask {
        /// Index into the run's models.
        choice: usize,
        /// The model.
        model: ModelRef,
    },
    /// A tool call.
    Call {
        /// Index of the call in the current turn.
        slot: usize,
        /// The server's name, for people.
        server: String,
        /// The upstream name of the tool.
        tool: String,
        /// May be sent again after an interruption: read-only or idempotent when it was sent.
        repeatable: bool,
        /// 1 for the first time it is sent.
        attempt: u32,
    },
    /// A sub-agent's run; enqueued in the very commit of its `EffectStarted`.
    Spawn {
        /// Index of the call in the current turn.
        slot: usize,
        /// The agent's row.
        agent: AgentId,
        /// Its name.
        name: String,
        /// The task the model gave it.
        task: String,
    },
}

/// Why the outcome of a sent call is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its driver went away.
    Interrupted,
    /// It took longer than it may.
    TimedOut,
    /// The connection broke, or the server's process ended.
    ConnectionLost,
    /// The run was cancelled, or its time was over, while the call was out.
    Stopped,
}

/// The sort of a model's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskFailure {
    /// 429.
    RateLimited,
    /// 5xx, or an overload told in the stream.
    Unavailable,
    /// It was silent for too long.
    TimedOut,
    /// The stream ended before the answer did.
    Truncated,
    /// The conversation is longer than the model takes.
    ContextOverflow,
    /// It could not be reached.
    Unreachable,
    /// 401 or 403: the key is missing or wrong.
    BadKey,
    /// Any other 4xx: the request is wrong, and would be wrong elsewhere.
    Rejected,
    /// An answer came that is not one.
    Garbled,
}

impl AskFailure {
    /// Whether the next model of the list is worth asking. A bad key or a bad request would only hide a mistake.
    #[must_use]
    pub fn falls_back(self) -> bool {
        match self {
            Self::RateLimited
            | Self::Unavailable
            | Self::TimedOut
            | Self::Truncated
            | Self::ContextOverflow
            | Self::Unreachable
            | Self::Garbled => true,
            Self::BadKey | Self::Rejected => false,
        }
    }
}
