//! Folds a journal and says what to do next.
//!
//! The machine is the whole meaning of a run: whoever folds the same journal is in the same state, so recovery is
//! nothing but folding again. **Invariants:** it does no IO and reads no clock; it cannot fail (what does not fit is
//! answered to the model or ends the run); a call that must not be repeated is started once; results stand in the
//! order of the calls, in whatever order they arrived. What it is not: it does not know providers, servers or rights.

use super::flaw::Flaw;
use super::spend::Reservation;
use super::turn::Turn;
use super::{
    AskFailure, Compaction, CompactionReason, Event, Failure, Inputs, Next, Outcome, Prepared, Todo, Waiting,
};
use crate::{Answer, EffectId, Micros, ModelRef, Stop, Usage, schema};
use std::sync::Arc;

/// Turns in a row with equal calls and equal results after which a run is stopped: twice can be a check that
/// something changed, three times is a loop.
const REPETITIONS_MAX: usize = 3;

/// A run's state, folded from its journal.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Shared: a driver copies the machine before each step, and these are the run's largest part that never changes.
    prepared: Arc<Prepared>,
    pub(super) inputs: Option<Inputs>,
    pub(super) turns: Vec<Turn>,
    choice: usize,
    pub(super) asking: Option<EffectId>,
    failed: Option<Failed>,
    pub(super) repair: Option<Flaw>,
    repaired: bool,
    stop: Option<Outcome>,
    ended: Option<Outcome>,
    usage: Usage,
    pub(super) calls_sent: u32,
    /// Whether a driver ever had it: what stands before is the history of a fork.
    pub(super) is_driven: bool,
    compaction: Option<Compaction>,
    /// Turns at the last compaction: what the provider counted before it says nothing any more.
    pub(super) compacted_at: Option<u32>,
    /// Turns at the last compaction that a refusal asked for.
    pub(super) overflowed_at: Option<u32>,
    pub(super) reserved: Option<Reservation>,
}

/// A request that no retry could save.
#[derive(Clone, Debug)]
struct Failed {
    failure: AskFailure,
    sentence: String,
    hint: Option<String>,
}

impl Machine {
    /// A run in which nothing has happened. `prepared` holds the bodies that `RunStarted` names by hash.
    #[must_use]
    pub fn new(prepared: impl Into<Arc<Prepared>>) -> Self {
        Self {
            prepared: prepared.into(),
            inputs: None,
            turns: Vec::new(),
            choice: 0,
            asking: None,
            failed: None,
            repair: None,
            repaired: false,
            stop: None,
            ended: None,
            usage: Usage::default(),
            calls_sent: 0,
            is_driven: false,
            compaction: None,
            compacted_at: None,
            overflowed_at: None,
            reserved: None,
        }
    }

    /// Folds one event and gives it back, to be appended.
    pub fn apply(&mut self, event: Event) -> Event {
        self.fold(&event);
        event
    }

    /// Folds one event of a stored journal.
    pub fn fold(&mut self, event: &Event) {
        match event {
            Event::Adopted { deadline, alone, .. } => self.adopt(*deadline, *alone),
            Event::RunStarted(inputs) => self.inputs = Some((**inputs).clone()),
            Event::EffectStarted { id, effect } => self.begin(*id, effect),
            Event::Answered { answer, .. } => self.answered(answer),
            Event::AskFailed { failure, sentence, hint, .. } => {
                self.asking = None;
                self.failed =
                    Some(Failed { failure: *failure, sentence: sentence.clone(), hint: hint.clone() });
            }
            // What became of the request is told by the event behind it.
            Event::AskRetried { .. } => {}
            Event::Sampled { answer, .. } => self.count(answer),
            // Their server was told, and what it made of that is in the result of its call.
            Event::SampleFailed { .. } | Event::SampleRefused { .. } => {}
            Event::ModelSwitched { to, .. } => {
                self.failed = None;
                self.choice = *to;
            }
            Event::Compacted(compaction) => self.compacted(compaction),
            Event::Returned { .. }
            | Event::Refused { .. }
            | Event::OutcomeUnknown { .. }
            | Event::NotSent { .. }
            | Event::EffectPlanned { .. }
            | Event::EffectApproved { .. }
            | Event::EffectDenied { .. }
            | Event::ApprovalVoided { .. }
            | Event::EffectSettled { .. }
            | Event::ChildEnded { .. } => self.fold_call(event),
            Event::BudgetReserved { .. }
            | Event::BudgetSettled { .. }
            | Event::BudgetReached { .. }
            | Event::BudgetRaised { .. } => self.fold_budget(event),
            Event::CancelRequested { .. } => {
                self.stop.get_or_insert(Outcome::Cancelled);
            }
            Event::DeadlinePassed => {
                self.stop.get_or_insert(Outcome::TimedOut);
            }
            Event::RunEnded { outcome } => self.ended = Some(outcome.clone()),
        }
    }

    /// What to do now. To be asked when nothing but sub-agents is in flight.
    #[must_use]
    pub fn next(&self) -> Next {
        if let Some(outcome) = &self.ended {
            return Next::End(outcome.clone());
        }
        if let Some(outcome) = &self.stop {
            // Sub-agents are stopped too; a parent that ended first would leave their runs behind.
            let children = self.children();
            let end = Next::End(outcome.clone());
            return if children.is_empty() { end } else { Next::Park(Waiting::Children(children)) };
        }
        let Some(inputs) = &self.inputs else {
            return Next::End(failed(Failure::Setup, "the run was never prepared"));
        };
        if let Some(Failed { sentence, hint, .. }) = &self.failed {
            let hints = hint.iter().cloned().collect();
            return Next::End(Outcome::Failed { failure: Failure::Model, sentence: sentence.clone(), hints });
        }
        let Some(turn) = self.turns.last() else {
            return self.ask(inputs);
        };
        if turn.answer.calls.is_empty() {
            return self.conclude(inputs, &turn.answer);
        }
        self.act(inputs, turn)
    }

    /// After a failed request: the switch to the next model that can do what the run needs and is not `cooling`, if
    /// the failure is one that another model may not have. Models that cool down are taken where no other is left.
    #[must_use]
    pub fn fallback(&self, cooling: &dyn Fn(&ModelRef) -> bool) -> Option<Event> {
        let Failed { failure, sentence, .. } = self.failed.as_ref()?;
        let inputs = self.inputs.as_ref().filter(|_| failure.falls_back())?;
        let to = self.able_after(inputs, self.choice, cooling)?;
        Some(self.switch(inputs, to, sentence))
    }

    /// Before the first request: the switch away from a first model that lacks what the run needs or is `cooling`.
    #[must_use]
    pub fn first_choice(&self, cooling: &dyn Fn(&ModelRef) -> bool) -> Option<Event> {
        let inputs = self.inputs.as_ref().filter(|_| self.turns.is_empty())?;
        let first = inputs.models.get(self.choice)?;
        let reason = if self.able(first) {
            cooling(&first.model).then_some("it failed a moment ago and is left to cool down")?
        } else {
            "it cannot do what this agent needs (tools, output schema)"
        };
        let to = self.able_after(inputs, self.choice, cooling)?;
        Some(self.switch(inputs, to, reason))
    }

    /// Whether somebody, or the end of its time, has stopped the run already.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some() || self.ended.is_some()
    }

    /// The bodies behind the run's inputs.
    #[must_use]
    pub fn prepared(&self) -> &Arc<Prepared> {
        &self.prepared
    }

    /// The run's inputs, once it has started.
    #[must_use]
    pub fn inputs(&self) -> Option<&Inputs> {
        self.inputs.as_ref()
    }

    /// The model in use.
    #[must_use]
    pub fn model(&self) -> Option<&ModelRef> {
        self.inputs.as_ref().and_then(|inputs| inputs.models.get(self.choice)).map(|choice| &choice.model)
    }

    /// What the model in use reads at most, in tokens.
    pub(super) fn choice_window(&self) -> Option<u64> {
        self.inputs.as_ref()?.models.get(self.choice)?.window
    }

    /// How the last request failed, where it did and nothing came of it yet.
    pub(super) fn ask_failure(&self) -> Option<AskFailure> {
        self.failed.as_ref().map(|failed| failed.failure)
    }

    /// What stands in place of the oldest part of the conversation.
    #[must_use]
    pub fn compaction_in_force(&self) -> Option<&Compaction> {
        self.compaction.as_ref()
    }

    /// When the run's time is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Micros> {
        self.inputs.as_ref().map(|inputs| inputs.deadline)
    }

    /// Model turns so far.
    #[must_use]
    pub fn steps(&self) -> u32 {
        u32::try_from(self.turns.len()).unwrap_or(u32::MAX)
    }

    /// Tool calls and sub-agents started so far, repeats not counted.
    #[must_use]
    pub fn calls_sent(&self) -> u32 {
        self.calls_sent
    }

    /// Tokens of this run's own answers, and of those that were given to its tool servers.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    fn answered(&mut self, answer: &Answer) {
        self.asking = None;
        self.failed = None;
        self.count(answer);
        let note = self.note();
        self.repaired |= self.repair.take().is_some();
        let depth = self.inputs.as_ref().map_or(0, |inputs| inputs.depth);
        self.turns.push(Turn::new(note, answer.clone(), &self.prepared.tools, depth));
        self.repair = Flaw::of(answer, self.prepared.output_schema.as_ref());
    }

    /// What a fork has of the run before it was paid for there.
    fn count(&mut self, answer: &Answer) {
        if self.is_driven {
            self.usage += answer.usage;
        }
    }

    fn compacted(&mut self, compaction: &Compaction) {
        self.compacted_at = Some(self.steps());
        if compaction.reason == CompactionReason::Overflow {
            self.overflowed_at = self.compacted_at;
            self.failed = None;
        }
        self.compaction = Some(compaction.clone());
    }

    fn ask(&self, inputs: &Inputs) -> Next {
        match inputs.models.get(self.choice) {
            Some(choice) => Next::Do(vec![Todo::Ask { choice: self.choice, model: choice.model.clone() }]),
            None => Next::End(failed(Failure::Setup, "the run has no model")),
        }
    }

    /// The model called: start what is not out yet, wait for sub-agents, or ask on.
    fn act(&self, inputs: &Inputs, turn: &Turn) -> Next {
        if self.steps() >= inputs.steps.steps {
            let sentence = format!(
                "the model still wanted to call tools after its last step ({} steps: {})",
                inputs.steps.steps, inputs.steps.reason
            );
            return Next::End(failed(Failure::Steps, sentence));
        }
        let todos = turn.todos(&self.prepared.tools);
        if !todos.is_empty() {
            return Next::Do(todos);
        }
        if let Some(waiting) = turn.waiting() {
            return Next::Park(waiting);
        }
        if self.repeats() {
            let calls: Vec<&str> = turn.answer.calls.iter().map(|call| call.name.as_str()).collect();
            let sentence = format!(
                "the run repeats itself: `{}` was called {REPETITIONS_MAX} times with the same arguments and the same result",
                calls.join("`, `")
            );
            return Next::End(failed(Failure::Repetition, sentence));
        }
        self.ask(inputs)
    }

    /// The model answered without calls: the end, or one more turn to mend the answer.
    fn conclude(&self, inputs: &Inputs, answer: &Answer) -> Next {
        if answer.stop == Stop::Refused {
            return Next::End(failed(Failure::Refused, "the model refused to answer"));
        }
        match &self.repair {
            None => Next::End(Outcome::Completed { answer: self.final_text(answer) }),
            Some(_) if !self.repaired => self.ask(inputs),
            Some(Flaw { sentence, hints, .. }) => {
                let (sentence, hints) = (sentence.clone(), hints.clone());
                Next::End(Outcome::Failed { failure: Failure::Output, sentence, hints })
            }
        }
    }

    fn final_text(&self, answer: &Answer) -> String {
        let fitted =
            self.prepared.output_schema.as_ref().and_then(|s| schema::check_text(s, &answer.text).ok());
        fitted.map_or_else(|| answer.text.clone(), |value| value.to_string())
    }

    fn repeats(&self) -> bool {
        let Some(recent) = self.turns.len().checked_sub(REPETITIONS_MAX).map(|from| &self.turns[from..])
        else {
            return false;
        };
        recent.windows(2).all(|pair| pair[0].same_as(&pair[1]))
    }

    /// Whether another model of its list can be asked where the one at hand fails.
    #[must_use]
    pub fn has_fallback(&self) -> bool {
        self.inputs.as_ref().is_some_and(|inputs| self.able_after(inputs, self.choice, &|_| false).is_some())
    }

    fn able(&self, choice: &super::ModelChoice) -> bool {
        (choice.tools || self.prepared.tools.is_empty())
            && (choice.schema || self.prepared.output_schema.is_none())
    }

    fn able_after(&self, inputs: &Inputs, from: usize, cooling: &dyn Fn(&ModelRef) -> bool) -> Option<usize> {
        let later =
            || inputs.models.iter().enumerate().skip(from + 1).filter(|(_, choice)| self.able(choice));
        later().find(|(_, choice)| !cooling(&choice.model)).or_else(|| later().next()).map(|(index, _)| index)
    }

    fn switch(&self, inputs: &Inputs, to: usize, reason: &str) -> Event {
        Event::ModelSwitched {
            to,
            from_model: inputs.models[self.choice].model.clone(),
            to_model: inputs.models[to].model.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn failed(failure: Failure, sentence: impl Into<String>) -> Outcome {
    Outcome::Failed { failure, sentence: sentence.into(), hints: Vec::new() }
}
