//! Where a run can be forked, and what a fork begins with.
//!
//! A fork's journal begins with its inputs and with what happened in the other run up to a complete step; from there on it
//! is driven like any run that was interrupted. What stands before its first `Adopted` is history: it counts as steps and
//! is in the conversation, but it was paid for and sent by the other run and is not counted again.

use super::{Effect, Entry, Event, Machine, Next, Prepared, StepLimit, Todo};
use crate::RunId;
use serde::{Deserialize, Serialize};

/// Where a run began that did not begin at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkedFrom {
    /// The other run; it may be gone.
    pub run: RunId,
    /// How many of its steps are this one's history.
    pub step: u32,
}

/// A place in a journal behind which a model is asked: a step is complete, and nothing is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkPoint {
    /// Steps before it; 0 is right behind the inputs.
    pub step: u32,
    /// Entries before it.
    entries: usize,
}

/// Whether the history keeps to the list of models that it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Models {
    /// It does: which of them was in use is history too.
    Same,
    /// The fork begins with the first of its own list.
    Other,
}

/// Where a run with this journal can be forked, in the order of its steps.
#[must_use]
pub fn fork_points(prepared: &Prepared, journal: &[Entry]) -> Vec<ForkPoint> {
    let mut machine = Machine::new(prepared.clone());
    let mut points: Vec<ForkPoint> = Vec::new();
    for (entry, entries) in journal.iter().zip(1..) {
        machine.fold(&unlimited(&entry.event));
        let step = machine.steps();
        let asks = matches!(machine.next(), Next::Do(todos) if matches!(todos[..], [Todo::Ask { .. }]));
        // The first place of each step: what was tried from there on, other models or a shorter conversation, the fork
        // decides anew.
        if asks && machine.calls_out().is_empty() && points.last().is_none_or(|last| last.step < step) {
            points.push(ForkPoint { step, entries });
        }
    }
    points
}

/// What a fork at `point` has behind its inputs.
#[must_use]
pub fn history(journal: &[Entry], point: ForkPoint, models: Models) -> Vec<Event> {
    let before = journal.iter().take(point.entries).map(|entry| &entry.event);
    let is_history = |event: &&Event| match event {
        Event::Adopted { .. } | Event::RunStarted(_) => false,
        // They count places of the other list.
        Event::ModelSwitched { .. } | Event::EffectStarted { effect: Effect::Ask { .. }, .. } => {
            models == Models::Same
        }
        _ => true,
    };
    before.filter(is_history).cloned().collect()
}

/// The same event without a limit of steps: a run that ended at its limit can be forked at its last step.
fn unlimited(event: &Event) -> Event {
    let mut event = event.clone();
    if let Event::RunStarted(inputs) = &mut event {
        inputs.steps = StepLimit { steps: u32::MAX, reason: String::new() };
    }
    event
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Run, answer};
    use super::super::{AskFailure, Outcome};
    use super::*;
    use crate::{Fence, Micros};
    use serde_json::json;

    fn entries(run: &Run) -> Vec<Entry> {
        (1..)
            .zip(&run.journal)
            .map(|(seq, event)| Entry { seq, at: Micros(seq), event: event.clone() })
            .collect()
    }

    fn turn(run: &mut Run, text: &str) {
        run.answers(answer(text, &[("read", json!({"of": text}))]));
        let out = run.start();
        run.returns(out[0], text);
    }

    fn steps(run: &Run) -> Vec<u32> {
        fork_points(run.machine.prepared(), &entries(run)).iter().map(|point| point.step).collect()
    }

    #[test]
    fn a_run_can_be_forked_behind_each_complete_step() {
        let mut run = Run::new(8, None);
        assert_eq!(steps(&run), [0]);
        turn(&mut run, "one");
        run.answers(answer("", &[("read", json!({})), ("write", json!({}))]));
        let out = run.start();
        run.returns(out[0], "half of it");
        assert_eq!(steps(&run), [0, 1], "a call is out");
        run.adopt();
        assert_eq!(steps(&run), [0, 1, 2], "its outcome is unknown, and the model is told");
        run.answers(answer("done", &[]));
        run.add(Event::RunEnded { outcome: Outcome::Completed { answer: "done".to_owned() } });
        assert_eq!(steps(&run), [0, 1, 2], "behind the answer there is nothing to do");
    }

    #[test]
    fn a_run_that_failed_can_be_forked_before_it_did() {
        let mut limited = Run::new(2, None);
        turn(&mut limited, "one");
        limited.answers(answer("", &[("read", json!({}))]));
        assert!(matches!(limited.machine.next(), Next::End(_)));
        assert_eq!(steps(&limited), [0, 1]);

        let mut refused = Run::new(8, None);
        turn(&mut refused, "one");
        let asked = refused.start();
        let (failure, sentence) = (AskFailure::BadKey, "no".to_owned());
        refused.add(Event::AskFailed { id: asked[0], failure, sentence, hint: None, ms: 1 });
        assert_eq!(steps(&refused), [0, 1]);

        let mut stopped = Run::new(8, None);
        turn(&mut stopped, "one");
        stopped.add(Event::CancelRequested { by: "you".to_owned() });
        assert_eq!(steps(&stopped), [0, 1]);
    }

    #[test]
    fn what_a_sub_agent_answered_is_history_and_no_run_to_wait_for() {
        let mut run = Run::new(8, None);
        run.answers(answer("", &[("__agent_sub", json!({"task": "look"}))]));
        let out = run.start();
        assert_eq!(steps(&run), [0], "it has not answered yet");
        let (status, text) = (crate::run::Status::Completed, "seen".to_owned());
        run.add(Event::ChildEnded { id: out[0], run: RunId(9), status, text, whole: None, ms: 1 });
        let journal = entries(&run);
        let points = fork_points(run.machine.prepared(), &journal);
        let mut fork = Machine::new(run.machine.prepared().clone());
        fork.fold(&run.journal[1]);
        history(&journal, points[1], Models::Same).iter().for_each(|event| fork.fold(event));
        assert_eq!(fork.messages(), run.machine.messages());
        assert_eq!((fork.children(), fork.calls_sent()), (Vec::new(), 0));
    }

    #[test]
    fn a_fork_has_the_conversation_and_not_the_bill() {
        let mut run = Run::new(8, None);
        turn(&mut run, "one");
        let asked = run.start();
        let (failure, sentence) = (AskFailure::RateLimited, "busy".to_owned());
        run.add(Event::AskFailed { id: asked[0], failure, sentence, hint: None, ms: 1 });
        let switch = run.machine.fallback(&|_| false).expect("there is another model");
        run.add(switch);
        turn(&mut run, "two");
        let journal = entries(&run);
        let points = fork_points(run.machine.prepared(), &journal);
        let inputs =
            run.journal.iter().find(|event| matches!(event, Event::RunStarted(_))).expect("it began");
        for (models, model) in [(Models::Same, "blunt"), (Models::Other, "one")] {
            let mut fork = Machine::new(run.machine.prepared().clone());
            fork.fold(inputs);
            history(&journal, points[2], models).iter().for_each(|event| fork.fold(event));
            assert_eq!(fork.messages(), run.machine.messages(), "{models:?}");
            assert_eq!((fork.steps(), fork.calls_sent(), fork.usage().input), (2, 0, 0), "{models:?}");
            assert_eq!(fork.model().map(|it| it.model.as_str()), Some(model));
            fork.fold(&Event::Adopted {
                fence: Fence(1),
                worker: "w".to_owned(),
                deadline: None,
                alone: true,
                process: None,
            });
            assert!(matches!(fork.next(), Next::Do(todos) if matches!(todos[..], [Todo::Ask { .. }])));
        }
    }
}
