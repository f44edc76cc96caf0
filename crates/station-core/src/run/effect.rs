//! What reaches out of a run, and how it can go wrong.
//!
//! Words of the journal, like the events they stand in: fields are only added, and new ones are optional.

use crate::approval::Approved;
use crate::sampling::Asked;
use crate::verify::Look;
use crate::{AgentId, EffectId, ModelRef, Transport};
use serde::{Deserialize, Serialize};

/// Something that reaches out of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
        /// The yes it used, where it needed one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved: Option<Approved>,
        /// How it is found out whether it took effect, should its answer be lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        look: Option<Box<Look>>,
        /// How its server was reached: what a remote one was given may be at work when its sender is long gone.
        /// Journals without it are of times in which every server was a child.
        #[serde(default, skip_serializing_if = "Transport::ends_with_us")]
        transport: Transport,
    },
    /// A call that only looks: whether an earlier call, whose answer was lost, took effect.
    Verify {
        /// Index of that call in the current turn.
        slot: usize,
        /// That call.
        of: EffectId,
        /// The server's name, for people.
        server: String,
        /// The upstream name of the tool that looks.
        tool: String,
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
    /// A request to a model for a tool server, which asked while it was at work on a call; never asked again by itself.
    Sample {
        /// That call.
        of: EffectId,
        /// The server's name, for people.
        server: String,
        /// The upstream name of the tool that was called.
        tool: String,
        /// The model.
        model: ModelRef,
        /// What the server wants answered.
        asked: Box<Asked>,
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
    /// In one word, as journals have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed_out",
            Self::Truncated => "truncated",
            Self::ContextOverflow => "context_overflow",
            Self::Unreachable => "unreachable",
            Self::BadKey => "bad_key",
            Self::Rejected => "rejected",
            Self::Garbled => "garbled",
        }
    }

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
