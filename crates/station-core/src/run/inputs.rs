//! What a run keeps of its inputs: the prompt, the tools, the models and the limits it was started with.
//!
//! All of it is stored with the run for years: fields are only added, and new ones are optional.

use super::fork::ForkedFrom;
use super::{Entry, Event, UnknownPolicy};
use crate::budget::{Ancestor, Limit};
use crate::{AgentId, BlobHash, Message, Micros, ModelRef, ServerId, ToolSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

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
    /// What becomes of a call whose outcome is unknown, that may not be repeated and that nothing can verify.
    #[serde(default)]
    pub unknown: UnknownPolicy,
    /// How often what may be repeated, or only looks, is sent in all where Station itself went down each time. Kept with the run, because
    /// the same journal must mean the same to every version: before it was kept it was three.
    #[serde(default = "interruptions_unsaid")]
    pub interruptions_max: u32,
    /// How deep in a tree of sub-agents this run is; 0 for one that a person started.
    #[serde(default)]
    pub depth: u32,
    /// How much of the conversation a model is sent.
    #[serde(default)]
    pub context: Context,
    /// The run whose first steps are this one's history, where it did not begin at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<ForkedFrom>,
    /// What it may spend by files and by its request, and those above it may; limits set by hand are read as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// The runs above it, up to the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<Ancestor>,
}

/// What a new run keeps as [`Inputs::interruptions_max`]: Station going down says little against one call, since a hundred others were out as
/// well; yet a call that takes Station down each time must not do so for ever.
pub const INTERRUPTIONS_MAX: u32 = 10;

fn interruptions_unsaid() -> u32 {
    3
}

/// How much of a run's conversation a model is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Bytes of one result that stand in the conversation; the rest is read by handle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bytes_max: Option<u64>,
    /// The same for the servers whose files say something else, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, u64>,
}

impl Inputs {
    /// Those that `journal` tells; `None` where its run was never prepared.
    #[must_use]
    pub fn of(journal: &[Entry]) -> Option<&Self> {
        journal.iter().find_map(|entry| match &entry.event {
            Event::RunStarted(inputs) => Some(&**inputs),
            _ => None,
        })
    }
}

/// The bodies behind the hashes of [`Inputs`]. Serialized beside journals that are kept as test data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The rendered system prompt; may be empty.
    pub system: String,
    /// The ordered tools.
    pub tools: Vec<GrantedTool>,
    /// Model settings.
    pub settings: Settings,
    /// The JSON Schema the answer must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// How much the model should think, where it can; as its provider does it where not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
}

/// How much a model should think before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

impl Effort {
    /// The word of agents' files, which is also that of the providers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The effort that `word` means.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High].into_iter().find(|effort| effort.word() == word)
    }
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
    /// Tokens it reads at most; `None` where it reads everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
}

/// How many model turns a run may take, and why so many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLimit {
    /// 1 to 25.
    pub steps: u32,
    /// In words, for `runs inspect`.
    pub reason: String,
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
    /// Station itself; nothing is sent anywhere.
    Own {
        /// Which of its tools.
        tool: OwnTool,
    },
}

/// A tool of Station itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnTool {
    /// Reads on in a long result: `results::READER`.
    ReadResult,
}

impl OwnTool {
    /// The server's name in its effects.
    pub const SERVER: &str = "station";

    /// Its name, before it is made fit for an agent that has another tool of this name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadResult => super::READER,
        }
    }
}
