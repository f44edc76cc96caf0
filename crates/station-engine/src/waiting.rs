//! What a driven run waits for, in words for people, and since when: the oldest of what it has sent.
//!
//! Kept on the run's row by every write, so that it costs none of its own; only a long wait before a retry is worth one.
//! What a parked run waits for is said by whoever parks it (`Standing`).

use station_core::run::{Effect, Entry, Event, WaitKind, WaitsOn};
use station_core::{EffectId, Micros, ModelRef};

/// What is out, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outstanding(Vec<(EffectId, WaitsOn, Micros)>);

impl Outstanding {
    /// Takes in what happened.
    pub(crate) fn note(&mut self, entry: &Entry) {
        match &entry.event {
            Event::EffectStarted { id, effect } => self.0.push((*id, of(effect), entry.at)),
            Event::Answered { id, .. }
            | Event::AskFailed { id, .. }
            | Event::Sampled { id, .. }
            | Event::SampleFailed { id, .. }
            | Event::Returned { id, .. }
            | Event::OutcomeUnknown { id, .. }
            | Event::NotSent { id, .. }
            | Event::ChildEnded { id, .. } => self.0.retain(|(out, ..)| out != id),
            Event::Adopted { .. }
            | Event::RunStarted(_)
            | Event::AskRetried { .. }
            | Event::SampleRefused { .. }
            | Event::ModelSwitched { .. }
            | Event::Compacted(_)
            | Event::Refused { .. }
            | Event::EffectPlanned { .. }
            | Event::EffectApproved { .. }
            | Event::EffectDenied { .. }
            | Event::ApprovalVoided { .. }
            | Event::EffectSettled { .. }
            | Event::BudgetReserved { .. }
            | Event::BudgetSettled { .. }
            | Event::BudgetReached { .. }
            | Event::BudgetRaised { .. }
            | Event::CancelRequested { .. }
            | Event::DeadlinePassed
            | Event::RunEnded { .. } => {}
        }
    }

    /// What is waited for, and since when.
    pub(crate) fn oldest(&self) -> Option<(WaitsOn, Micros)> {
        let (_, WaitsOn { kind, words }, since) = self.0.first()?;
        let others = match self.0.len() - 1 {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        Some((WaitsOn { kind: *kind, words: format!("{words}{others}") }, *since))
    }
}

fn of(effect: &Effect) -> WaitsOn {
    match effect {
        Effect::Ask { model, .. } | Effect::Sample { model, .. } => of_model(model),
        Effect::Call { server, tool, .. } | Effect::Verify { server, tool, .. } => {
            WaitsOn::new(WaitKind::Tool, format!("tool `{tool}` of `{server}`"))
        }
        Effect::Spawn { name, .. } => WaitsOn::new(WaitKind::Agent, format!("agent `{name}`")),
    }
}

/// The wait for a model's answer.
pub(crate) fn of_model(model: &ModelRef) -> WaitsOn {
    WaitsOn::new(WaitKind::Model, format!("model {model}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::AgentId;

    fn id(n: u128) -> EffectId {
        EffectId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn the_oldest_that_is_out_is_told_with_how_many_more() {
        let call = |slot| Effect::Call {
            slot,
            server: "s".to_owned(),
            tool: format!("t{slot}"),
            repeatable: true,
            attempt: 1,
            approved: None,
            look: None,
            transport: station_core::Transport::Stdio,
        };
        let model = ModelRef { provider: "p".to_owned(), model: "m".to_owned() };
        let spawn =
            Effect::Spawn { slot: 2, agent: AgentId(1), name: "helper".to_owned(), task: String::new() };
        let returned = |n| Event::Returned {
            id: id(n),
            text: String::new(),
            structured: None,
            is_error: false,
            cut_bytes: 0,
            whole: None,
            images: Vec::new(),
            ms: 0,
        };
        let ask = Effect::Ask { choice: 0, model };
        let mut out = Outstanding::default();
        assert_eq!(out.oldest(), None);
        let rows = [
            (Event::EffectStarted { id: id(1), effect: ask }, Some(("model p/m", 1))),
            (
                Event::OutcomeUnknown {
                    id: id(1),
                    why: station_core::run::Why::Stopped,
                    sentence: String::new(),
                    ms: 0,
                },
                None,
            ),
            (Event::EffectStarted { id: id(2), effect: call(0) }, Some(("tool `t0` of `s`", 3))),
            (Event::EffectStarted { id: id(3), effect: call(1) }, Some(("tool `t0` of `s` and 1 more", 3))),
            (Event::EffectStarted { id: id(4), effect: spawn }, Some(("tool `t0` of `s` and 2 more", 3))),
            (returned(2), Some(("tool `t1` of `s` and 1 more", 4))),
            (returned(3), Some(("agent `helper`", 5))),
        ];
        for (at, (event, expected)) in (1..).zip(rows) {
            out.note(&Entry { seq: at, at: Micros(at), event });
            let oldest = out.oldest();
            let oldest = oldest.as_ref().map(|(on, since)| (on.words.as_str(), since.0));
            assert_eq!(oldest, expected, "after entry {at}");
        }
    }
}
