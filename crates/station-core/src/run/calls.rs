//! Calls in the fold: started, waiting, answered, lost, and what becomes of them then.

use super::slot::{LostTerms, Slot, State};
use super::turn::Turn;
use super::{Effect, Event, Given, Machine, OwnTool, Status, Target, Todo, UnknownPolicy, Whole, Why};
use crate::approval::Basis;
use crate::verify::LookAnswer;
use crate::{EffectId, Image, Micros};

impl Machine {
    /// The event that says `todo` is about to be sent, folded. `fresh` is the id of a new effect; a call that was
    /// out before, or that waited for a person, keeps its own.
    pub fn start(&mut self, todo: &Todo, fresh: EffectId) -> Event {
        let id = todo.id().unwrap_or(fresh);
        let effect = match todo {
            Todo::Ask { choice, model } => Effect::Ask { choice: *choice, model: model.clone() },
            Todo::Call { slot, tool, again, terms, .. } => {
                let (server, tool) = names(&tool.target);
                Effect::Call {
                    slot: *slot,
                    server,
                    tool,
                    repeatable: terms.repeatable,
                    attempt: again.map_or(1, |again| again.attempt),
                    approved: terms.approved.clone(),
                    look: terms.look.clone().map(Box::new),
                    transport: terms.transport,
                }
            }
            Todo::Verify { slot, of, tool, look } => {
                let (server, _) = names(&tool.target);
                Effect::Verify { slot: *slot, of: *of, server, tool: look.tool.clone() }
            }
            Todo::Spawn { slot, agent, name, task } => {
                Effect::Spawn { slot: *slot, agent: *agent, name: name.clone(), task: task.clone() }
            }
        };
        self.apply(Event::EffectStarted { id, effect })
    }

    /// The event that says that the call `todo` waits for a person, folded. `None` for what is no call of a tool.
    pub fn plan(&mut self, todo: &Todo, fresh: EffectId, basis: Basis) -> Option<Event> {
        let Todo::Call { slot, tool, .. } = todo else { return None };
        let Target::Tool { server_name, tool, .. } = &tool.target else { return None };
        let (server, tool) = (server_name.clone(), tool.clone());
        Some(self.apply(Event::EffectPlanned { id: fresh, slot: *slot, server, tool, basis }))
    }

    /// Sub-agents whose runs have not been joined.
    #[must_use]
    pub fn children(&self) -> Vec<EffectId> {
        self.turns.last().map(Turn::spawned).unwrap_or_default()
    }

    /// Calls that are out: sent, without an answer. Sub-agents are not among them.
    #[must_use]
    pub fn calls_out(&self) -> Vec<EffectId> {
        self.turns.last().map(Turn::calls_out).unwrap_or_default()
    }

    /// Calls that wait for a person's yes.
    #[must_use]
    pub fn awaiting(&self) -> Vec<EffectId> {
        self.turns.last().map(Turn::awaiting).unwrap_or_default()
    }

    /// Calls of which a person must say what became of them.
    #[must_use]
    pub fn unsettled(&self) -> Vec<EffectId> {
        self.turns.last().map(Turn::unsettled).unwrap_or_default()
    }

    /// Calls of the current turn that are answered already, and with what. Right after a model's answer these are the
    /// ones that cannot be made: of a tool that does not exist, with arguments that are no JSON.
    #[must_use]
    pub fn answered_here(&self) -> Vec<(usize, String)> {
        let slots = self.turns.last().map(|turn| turn.slots.as_slice()).unwrap_or_default();
        let done = slots.iter().enumerate().filter_map(|(at, slot)| match &slot.state {
            State::Done { text, is_error: true, .. } => Some((at, text.clone())),
            _ => None,
        });
        done.collect()
    }

    /// Calls of the current turn, for people: "`write` of `fs`, `read` of `fs`".
    #[must_use]
    pub fn in_words(&self, effects: &[EffectId]) -> String {
        let slots = self.turns.last().map(|turn| turn.slots.as_slice()).unwrap_or_default();
        let waiting = slots.iter().filter(|slot| slot.state.id().is_some_and(|id| effects.contains(&id)));
        let targets = waiting.filter_map(|slot| Some(&self.prepared().tools.get(slot.tool?)?.target));
        let words = targets.map(|target| match target {
            Target::Tool { server_name, tool, .. } => format!("`{tool}` of `{server_name}`"),
            Target::Agent { name, .. } => format!("agent `{name}`"),
            Target::Own { tool } => format!("`{}`", tool.name()),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// Folds what happened to a call.
    pub(super) fn fold_call(&mut self, event: &Event) {
        match event {
            Event::Returned { id, text, structured, is_error, whole, cut_bytes, images, .. } => {
                let (structured, is_cut) = (structured.as_ref(), *cut_bytes > 0 || whole.is_some());
                let answer = LookAnswer { text, structured, is_error: *is_error, is_cut };
                self.returned(*id, answer, whole.as_ref(), images);
            }
            Event::Refused { slot, sentence } => {
                let policy = self.policy();
                self.change_slot(*slot, |slot| slot.state = slot.state.after_refusal(sentence, policy));
            }
            Event::OutcomeUnknown { id, why, .. } => self.unknown(*id, *why, false),
            Event::EffectPlanned { id, slot, basis, .. } => {
                let given = Given { id: *id, basis: basis.clone() };
                self.change_slot(*slot, |slot| slot.state = State::Awaiting { given });
            }
            Event::NotSent { id, .. } => self.change(*id, |slot| slot.state = slot.state.after_not_sent()),
            Event::EffectApproved { id, .. } => self.change(*id, Slot::approve),
            Event::EffectDenied { id, by, reason } => {
                self.change(*id, |slot| slot.state = State::error(denied(by.as_deref(), reason)));
            }
            Event::ApprovalVoided { id, .. } => {
                let turn = self.turns.last_mut();
                let holds = |slot: &&mut Slot| slot.given.as_ref().is_some_and(|given| given.id == *id);
                if let Some(slot) = turn.and_then(|turn| turn.slots.iter_mut().find(holds)) {
                    slot.void();
                }
            }
            Event::EffectSettled { id, done, by, note } => {
                self.change(*id, |slot| slot.state = slot.state.after_settling(*done, by, note));
            }
            Event::ChildEnded { id, status, text, whole, .. } => {
                let (text, is_error, whole) = (text.clone(), *status != Status::Completed, whole.clone());
                let images = Vec::new();
                self.change(*id, |slot| slot.state = State::Done { text, is_error, whole, images });
            }
            _ => {}
        }
    }

    pub(super) fn adopt(&mut self, deadline: Option<Micros>, alone: bool) {
        self.is_driven = true;
        self.asking = None;
        if let (Some(inputs), Some(deadline)) = (&mut self.inputs, deadline) {
            inputs.deadline = deadline;
        }
        for id in self.calls_out() {
            self.unknown(id, Why::Interrupted, alone);
        }
    }

    pub(super) fn begin(&mut self, id: EffectId, effect: &Effect) {
        let (slot, state, counts) = match effect {
            Effect::Ask { .. } => {
                self.asking = Some(id);
                return;
            }
            Effect::Call { slot, repeatable, attempt, look, transport, .. } => {
                let (look, transport) = (look.as_deref().cloned(), *transport);
                let state = State::Out { id, repeatable: *repeatable, attempt: *attempt, look, transport };
                (*slot, state, *attempt == 1)
            }
            Effect::Verify { slot, .. } => {
                self.change_slot(*slot, |slot| {
                    if let State::Doubtful { lost, looks } = &slot.state {
                        slot.state = State::Looking { id, lost: lost.clone(), looks: *looks };
                    }
                });
                return;
            }
            Effect::Spawn { slot, .. } => (*slot, State::Spawned { id }, true),
            // The call that it is for stands where it stood: what becomes of that alone matters to the run.
            Effect::Sample { .. } => return,
        };
        self.calls_sent += u32::from(counts && self.is_driven);
        self.change_slot(slot, |slot| slot.state = state);
    }

    fn returned(&mut self, id: EffectId, answer: LookAnswer<'_>, whole: Option<&Whole>, images: &[Image]) {
        let policy = self.policy();
        self.change(id, |slot| {
            slot.state = match &slot.state {
                State::Looking { .. } => slot.state.after_look(answer, policy),
                _ => State::Done {
                    text: answer.text.to_owned(),
                    is_error: answer.is_error,
                    whole: whole.cloned(),
                    images: images.to_vec(),
                },
            };
        });
    }

    fn unknown(&mut self, id: EffectId, why: Why, gone: bool) {
        let interruptions_max = self.inputs.as_ref().map_or(1, |inputs| inputs.interruptions_max);
        let terms = LostTerms { policy: self.policy(), interruptions_max };
        self.change(id, |slot| slot.state = slot.state.after_unknown(why, gone, terms));
    }

    fn policy(&self) -> UnknownPolicy {
        self.inputs.as_ref().map(|inputs| inputs.unknown).unwrap_or_default()
    }

    fn change_slot(&mut self, index: usize, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.turns.last_mut().and_then(|turn| turn.slots.get_mut(index)) {
            change(slot);
        }
    }

    fn change(&mut self, id: EffectId, change: impl FnOnce(&mut Slot)) {
        let turn = self.turns.last_mut();
        let found = turn.and_then(|turn| turn.slots.iter_mut().find(|slot| slot.state.id() == Some(id)));
        if let Some(slot) = found {
            change(slot);
        }
    }
}

/// Server and tool, for people.
fn names(target: &Target) -> (String, String) {
    match target {
        Target::Tool { server_name, tool, .. } => (server_name.clone(), tool.clone()),
        Target::Agent { name, .. } => (String::new(), name.clone()),
        Target::Own { tool } => (OwnTool::SERVER.to_owned(), tool.name().to_owned()),
    }
}

/// What the model is told of a call that may not be sent.
fn denied(by: Option<&str>, reason: &str) -> String {
    match by {
        None => {
            "timed out: this call waited for a person's approval, and nobody decided in time. It was not sent"
                .to_owned()
        }
        Some(_) if reason.is_empty() => {
            "denied: a person did not approve this call. It was not sent".to_owned()
        }
        Some(_) => format!("denied: a person did not approve this call: {reason}. It was not sent"),
    }
}
