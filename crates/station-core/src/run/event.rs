//! The journal's words.
//!
//! Events are past tense and say what happened once. They are stored for years and read by newer and, during a rolling
//! update, by older versions: fields are only added, and new ones are optional. An event this version does not know
//! is a read error for that run alone, which is then left to a version that knows it.

use super::{AskFailure, Compaction, Effect, Inputs, Outcome, Status, Whole, Why};
use crate::approval::Basis;
use crate::budget::{Account, Amounts};
use crate::{Answer, EffectId, Fence, Image, Micros, ModelRef, RunId};
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

/// A process that drives runs, as it can be found again on its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverProcess {
    /// One boot of one host, and one namespace of process ids in it.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, as the kernel counts, so that a reused id is not taken for it.
    pub pid_start: u64,
}

/// The limit for which a run waits, by its journal: where nothing was sent since it was told.
#[must_use]
pub fn limit_reached(journal: &[Entry]) -> Option<(Account, &str)> {
    let last = journal.iter().rev().find(|entry| !matches!(entry.event, Event::Adopted { .. }))?;
    match &last.event {
        Event::BudgetReached { account, sentence, .. } => Some((*account, sentence)),
        _ => None,
    }
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
        /// Whether the driver before, and with it the children it had, is known to be gone: then what it sent to them is
        /// at work nowhere any more. Says nothing about remote servers.
        #[serde(default, skip_serializing_if = "is_false")]
        alone: bool,
        /// The process that drives: who adopts the run next asks whether it is gone. Journals before version 4 lack it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<DriverProcess>,
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
    /// A request to a model failed and was sent again, under the same id. Written together with what became of it, so
    /// it costs no commit.
    AskRetried {
        /// The request.
        id: EffectId,
        /// Which attempt began: 2 for the first repetition.
        attempt: u32,
        /// The sort of failure.
        failure: AskFailure,
        /// The public sentence of what failed.
        sentence: String,
        /// How long was waited before it.
        wait_ms: u64,
    },
    /// A model answered what a tool server had asked; it is in no conversation of the run.
    Sampled {
        /// The request.
        id: EffectId,
        /// What it said.
        answer: Answer,
        /// How long it took.
        ms: u64,
    },
    /// What a tool server had asked got no answer.
    SampleFailed {
        /// The request.
        id: EffectId,
        /// The sort of failure; `None` where its call had ended before, and nobody waited for it any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<AskFailure>,
        /// The public sentence.
        sentence: String,
        /// How long it took.
        ms: u64,
    },
    /// A tool server asked for a model, and none was asked.
    SampleRefused {
        /// The call that it was at work on.
        of: EffectId,
        /// Why, for people.
        sentence: String,
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
    /// The conversation grew too long: what a model is sent in place of its oldest part from here on.
    Compacted(Box<Compaction>),
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
        /// The whole result, where `text` is only its beginning and its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whole: Option<Whole>,
        /// Images that it returned besides the text, which names them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<Image>,
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
    /// A call that was about to be sent never was: it waited for its server when its driver let go of it. It is sent by whoever
    /// goes on, under the id it has.
    NotSent {
        /// The call, or the look for one.
        id: EffectId,
        /// What it waited for, for people.
        sentence: String,
        /// How long.
        ms: u64,
    },
    /// A call waits for a person: planned, not sent.
    EffectPlanned {
        /// The id under which it is sent, if it is.
        id: EffectId,
        /// Index of the call in the current turn.
        slot: usize,
        /// The server's name, for people.
        server: String,
        /// The upstream name of the tool.
        tool: String,
        /// What a yes is good for.
        basis: Basis,
    },
    /// A call that waited may be sent.
    EffectApproved {
        /// The call.
        id: EffectId,
        /// Who said so, for people.
        by: String,
    },
    /// A call that waited may not be sent.
    EffectDenied {
        /// The call.
        id: EffectId,
        /// Who said so; `None` where nobody decided in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why; may be empty.
        #[serde(default)]
        reason: String,
    },
    /// A yes does not hold any more: what it was given for has changed. The question is put anew.
    ApprovalVoided {
        /// The call it was given for.
        id: EffectId,
        /// What changed.
        sentence: String,
    },
    /// A person settled what became of a call whose outcome was unknown.
    EffectSettled {
        /// The call.
        id: EffectId,
        /// Whether it took effect; one that did not is sent again.
        done: bool,
        /// Who says so, for people.
        by: String,
        /// What the model is told besides; may be empty.
        #[serde(default)]
        note: String,
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
        /// The whole answer, where `text` is only its beginning and its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whole: Option<Whole>,
        /// What it cost is counted in its own run.
        ms: u64,
    },
    /// Budgets made room for a request to a model; in the commit of its `EffectStarted`.
    BudgetReserved {
        /// The request.
        id: EffectId,
        /// Where.
        accounts: Vec<Account>,
        /// How much, in each of them.
        amounts: Amounts,
        /// What it counts as where its answer is not seen, where more is held: of a model that was never measured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<Amounts>,
    },
    /// A reservation became what the request cost; in the commit of its answer.
    BudgetSettled {
        /// The request.
        id: EffectId,
        /// How much is spent.
        spent: Amounts,
        /// No answer was seen, so all that was reserved is spent.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
    },
    /// A limit keeps the run from going on; nothing was sent.
    BudgetReached {
        /// Where.
        account: Account,
        /// Which limit, and how it stands, for people.
        sentence: String,
        /// When it looks again by itself; `None` where somebody must raise the limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Micros>,
    },
    /// Somebody raised the run's own limits.
    BudgetRaised {
        /// Who, for people.
        by: String,
        /// By how much.
        added: Amounts,
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

fn is_false(it: &bool) -> bool {
    !*it
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
