//! One turn of a run: what the model answered, and where each of its calls stands.
//!
//! A call that cannot be made at all (no such tool, arguments that are not JSON) is answered here, by pure reading of
//! the answer: no event is needed, because every fold reads the same.

use super::compaction::Telling;
use super::slot::{Slot, State, task_of};
use super::{Again, GrantedTool, OwnTool, Target, Terms, Todo, Waiting};
use crate::{Answer, EffectId, Message, Stop, Transport};
use serde_json::{Map, Value};

/// What the model answered in one turn, and where each of its calls stands.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// Station's words before the request, kept so that the conversation is rebuilt byte for byte.
    note: Option<String>,
    pub(super) answer: Answer,
    pub(super) slots: Vec<Slot>,
}

impl Turn {
    pub(super) fn new(note: Option<String>, answer: Answer, tools: &[GrantedTool], depth: u32) -> Self {
        let last = answer.calls.len().saturating_sub(1);
        let slots = answer.calls.iter().enumerate().map(|(n, call)| {
            let slot = Slot::new(n, call, tools, depth);
            match answer.stop {
                // What was cut off may lack the half that makes it harmless: `delete` without its filter.
                Stop::Refused => slot.cut_off(),
                Stop::Length if n == last || slot.arguments.is_empty() => slot.cut_off(),
                Stop::Length | Stop::End => slot,
            }
        });
        let slots = slots.collect();
        Self { note, answer, slots }
    }

    /// Appends this turn, the `n`th of its run, to a conversation.
    pub(super) fn say(&self, messages: &mut Vec<Message>, n: u32, telling: Telling, reader: Option<&str>) {
        if let Some(text) = &self.note {
            messages.push(Message::User { text: text.clone() });
        }
        let Answer { text, calls, thinking, .. } = self.answer.clone();
        messages.push(Message::Assistant { text, calls, thinking });
        for (at, (call, slot)) in (1..).zip(self.answer.calls.iter().zip(&self.slots)) {
            if let State::Done { text, is_error, whole, images } = &slot.state {
                let bytes = whole.as_ref().map_or(text.len() as u64, |whole| whole.bytes);
                let mut told = telling.tell(text, &format!("r{n}.{at}"), bytes, reader);
                let shows = telling == Telling::Whole;
                if !shows && !images.is_empty() {
                    told.push_str("\n[Station: its images are left out to save room]");
                }
                let images = if shows { images.clone() } else { Vec::new() };
                messages.push(Message::Tool {
                    call: call.id.clone(),
                    name: call.name.clone(),
                    text: told,
                    is_error: *is_error,
                    images,
                });
            }
        }
    }

    /// Calls that are to be sent now, in the model's order.
    pub(super) fn todos(&self, tools: &[GrantedTool]) -> Vec<Todo> {
        let todo = |(slot, it): (usize, &Slot)| {
            let tool = it.tool.and_then(|tool| tools.get(tool))?;
            match &it.state {
                State::Planned { again } => Some(planned(slot, it, tool, *again)),
                State::Doubtful { lost, .. } => Some(Todo::Verify {
                    slot,
                    of: lost.id,
                    tool: Box::new(tool.clone()),
                    look: Box::new(lost.look.clone()?),
                }),
                _ => None,
            }
        };
        self.slots.iter().enumerate().filter_map(todo).collect()
    }

    /// What its calls returned, as far as they have.
    pub(super) fn results(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().filter_map(|slot| match &slot.state {
            State::Done { text, .. } => Some(text.as_str()),
            _ => None,
        })
    }

    pub(super) fn spawned(&self) -> Vec<EffectId> {
        self.ids(|state| matches!(state, State::Spawned { .. }))
    }

    pub(super) fn calls_out(&self) -> Vec<EffectId> {
        self.ids(|state| matches!(state, State::Out { .. } | State::Looking { .. }))
    }

    /// Calls that wait for a person's yes.
    pub(super) fn awaiting(&self) -> Vec<EffectId> {
        self.ids(|state| matches!(state, State::Awaiting { .. }))
    }

    /// Calls of which a person must say what became of them.
    pub(super) fn unsettled(&self) -> Vec<EffectId> {
        self.ids(|state| matches!(state, State::Unsettled { .. }))
    }

    /// What keeps the turn from going on. Sub-agents come first, because the last of them wakes the run by itself.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        let some = |effects: Vec<EffectId>| (!effects.is_empty()).then_some(effects);
        some(self.spawned())
            .map(Waiting::Children)
            .or_else(|| some(self.awaiting()).map(Waiting::Approval))
            .or_else(|| some(self.unsettled()).map(Waiting::Person))
    }

    fn ids(&self, pick: fn(&State) -> bool) -> Vec<EffectId> {
        self.slots.iter().filter(|slot| pick(&slot.state)).filter_map(|slot| slot.state.id()).collect()
    }

    /// Whether `other` made the same calls and got the same results.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let calls = |turn: &Self| -> Vec<(String, Map<String, Value>, State)> {
            turn.answer
                .calls
                .iter()
                .zip(&turn.slots)
                .map(|(call, slot)| (call.name.clone(), slot.arguments.clone(), slot.state.of_no_place()))
                .collect()
        };
        calls(self) == calls(other)
    }
}

fn planned(slot: usize, it: &Slot, tool: &GrantedTool, again: Option<Again>) -> Todo {
    let call = |repeatable: bool| Todo::Call {
        slot,
        tool: Box::new(tool.clone()),
        arguments: it.arguments.clone(),
        again,
        given: it.given.clone().map(Box::new),
        terms: Box::new(Terms { repeatable, approved: None, look: None, transport: Transport::Stdio }),
    };
    match &tool.target {
        Target::Tool { read_only, idempotent, .. } => call(*read_only || *idempotent),
        Target::Own { tool: OwnTool::ReadResult } => call(true),
        Target::Agent { agent, name } => {
            Todo::Spawn { slot, agent: *agent, name: name.clone(), task: task_of(&it.arguments) }
        }
    }
}
