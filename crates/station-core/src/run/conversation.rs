//! The conversation that a model is sent, rebuilt from the fold.

use super::compaction::{Compaction, Telling};
use super::machine::Machine;
use crate::Message;

impl Machine {
    /// The conversation to send: byte-stable from turn to turn, but for a compaction in between.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.conversation(self.compaction_in_force())
    }

    /// The conversation as it is, or would be, under `compaction`.
    pub(super) fn conversation(&self, compaction: Option<&Compaction>) -> Vec<Message> {
        let mut messages = Vec::new();
        if !self.prepared().system.is_empty() {
            messages.push(Message::System { text: self.prepared().system.clone() });
        }
        if let Some(inputs) = self.inputs() {
            messages.extend(inputs.opening.iter().cloned());
        }
        if let Some(text) = compaction.and_then(|it| it.summary.clone()) {
            messages.push(Message::User { text });
        }
        let summed_up = compaction.map_or(0, |it| it.summed_up_through);
        for (n, turn) in (1..).zip(&self.turns) {
            if n > summed_up {
                let telling = compaction.map_or(Telling::Whole, |it| it.telling(n));
                turn.say(&mut messages, n, telling, self.reader_name());
            }
        }
        if let Some(text) = self.note() {
            messages.push(Message::User { text });
        }
        messages
    }

    /// Station's own words before the next request, if any.
    pub(super) fn note(&self) -> Option<String> {
        if let Some(flaw) = &self.repair {
            return Some(format!("[Station] {}", flaw.told));
        }
        let last = self.steps() > 0 && self.steps() + 1 >= self.inputs()?.steps.steps;
        last.then(|| {
            "[Station] This is your last step: answer now with what you have, without calling a tool."
                .to_owned()
        })
    }
}
