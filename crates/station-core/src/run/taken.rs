//! The steps of a run in order: what the model answered, and what came of each of its calls.

use super::slot::State;
use super::{Effect, Entry, Event, Machine, Prepared, Target, Whole};
use crate::{Answer, EffectId};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// What the model answered.
    pub answer: Answer,
    /// Its calls, in its order.
    pub calls: Vec<Made>,
}

/// One call of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The name the model used.
    pub name: String,
    /// What stands behind it; `None` where nothing does.
    pub target: Option<Target>,
    /// The arguments; empty where they are no JSON object.
    pub arguments: Map<String, Value>,
    /// What came of it.
    pub end: MadeEnd,
    /// What the model was told of it.
    pub text: String,
    /// Whether that is an error.
    pub is_error: bool,
    /// The whole of it, where that is longer.
    pub whole: Option<Whole>,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeEnd {
    /// An answer.
    Returned,
    /// It was sent, and its outcome is not known.
    Unknown,
    /// It was not sent: there is no such tool, or it was refused.
    NotMade,
    /// Nothing yet.
    Open,
}

/// The steps of this journal.
#[must_use]
pub fn steps_taken(prepared: &Prepared, journal: &[Entry]) -> Vec<Taken> {
    let mut machine = Machine::new(prepared.clone());
    let (mut sent, mut returned) = (BTreeMap::<(usize, usize), EffectId>::new(), BTreeSet::<EffectId>::new());
    for entry in journal {
        machine.fold(&entry.event);
        let turn = machine.turns.len();
        match &entry.event {
            Event::EffectStarted { id, effect: Effect::Call { slot, .. } | Effect::Spawn { slot, .. } } => {
                sent.insert((turn, *slot), *id);
            }
            Event::Returned { id, .. } | Event::ChildEnded { id, .. } => {
                returned.insert(*id);
            }
            _ => {}
        }
    }
    let made = |turn: usize, at: usize| {
        let (call, slot) = (&machine.turns[turn].answer.calls[at], &machine.turns[turn].slots[at]);
        let id = sent.get(&(turn + 1, at));
        let (text, is_error, whole) = match &slot.state {
            State::Done { text, is_error, whole, .. } => (text.clone(), *is_error, whole.clone()),
            _ => (String::new(), true, None),
        };
        let end = match (&slot.state, id) {
            (State::Done { is_error, .. }, Some(id)) if returned.contains(id) || !is_error => {
                MadeEnd::Returned
            }
            (State::Done { .. }, Some(_)) => MadeEnd::Unknown,
            (State::Done { .. }, None) => MadeEnd::NotMade,
            _ => MadeEnd::Open,
        };
        // Of a call that was answered without being looked at, what the model wrote.
        let written = || serde_json::from_str(&call.arguments).unwrap_or_default();
        let target = slot.tool.and_then(|tool| prepared.tools.get(tool)).map(|tool| tool.target.clone());
        Made {
            name: call.name.clone(),
            target,
            arguments: if slot.tool.is_some() { slot.arguments.clone() } else { written() },
            end,
            text,
            is_error,
            whole,
        }
    };
    let steps = machine.turns.iter().enumerate();
    steps
        .map(|(n, turn)| Taken {
            answer: turn.answer.clone(),
            calls: (0..turn.slots.len()).map(|at| made(n, at)).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Run, answer};
    use super::*;
    use crate::Micros;
    use serde_json::json;

    #[test]
    fn each_call_says_what_came_of_it() {
        let mut run = Run::new(8, None);
        run.answers(answer(
            "",
            &[("read", json!({"a": 1})), ("nope", json!({})), ("write", json!({})), ("__write", json!({}))],
        ));
        let out = run.start();
        run.returns(out[0], "text");
        run.adopt();
        run.answers(answer("", &[("read", json!({}))]));
        let entry = |(seq, event): (i64, &Event)| Entry { seq, at: Micros(seq), event: event.clone() };
        let journal: Vec<Entry> = (1..).zip(&run.journal).map(entry).collect();
        let steps = steps_taken(run.machine.prepared(), &journal);
        let ends: Vec<Vec<MadeEnd>> =
            steps.iter().map(|step| step.calls.iter().map(|it| it.end).collect()).collect();
        assert_eq!(
            ends,
            [
                vec![MadeEnd::Returned, MadeEnd::NotMade, MadeEnd::Unknown, MadeEnd::Unknown],
                vec![MadeEnd::Open]
            ]
        );
        let first = &steps[0].calls[0];
        assert_eq!((first.name.as_str(), first.text.as_str(), first.is_error), ("read", "text", false));
        assert_eq!(first.arguments.get("a"), Some(&json!(1)));
        assert!(matches!(&steps[0].calls[3].target, Some(Target::Tool { tool, .. }) if tool == "write"));
    }
}
