//! When a conversation is shortened, and how far.

use super::digest::{Telling, sum_up};
use super::window::{of_messages, of_prepared, of_text};
use crate::run::machine::Machine;
use crate::run::{AskFailure, Event};
use serde::{Deserialize, Serialize};

/// Turns at the end that stay whole: what the model did last, and what came of it. After a refusal only the last one.
const KEPT: u32 = 2;
const KEPT_AFTER_OVERFLOW: u32 = 1;

/// Bytes to which the results of turns that stay are cut where nothing else helps, one after the other.
const CUTS: [u64; 4] = [16_384, 4_096, 1_024, 256];

/// Room kept for the answer where the agent's file does not say, if that is not too much of the window.
const ANSWER_TOKENS: u64 = 4_096;

/// Longest summary: it is sent with every request, and what is older can still be read by handle.
const SUMMARY_BYTES_MAX: u64 = 32 * 1024;

/// What a model is sent from here on, in place of the oldest part of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// Why.
    pub reason: CompactionReason,
    /// Results of turns up to this one are told as one line each.
    pub left_out_through: u32,
    /// Turns up to this one are told by `summary` alone.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub summed_up_through: u32,
    /// What happened in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// How far the results of later turns are cut, where they alone were too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// The conversation before, in tokens as Station estimates them.
    pub tokens_before: u64,
    /// And after.
    pub tokens_after: u64,
    /// What the model reads at most, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
}

/// Results that are told as their beginning and their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Of turns up to this one.
    pub through: u32,
    /// In so many bytes each.
    pub bytes_max: u64,
}

/// Why a conversation was shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionReason {
    /// The next request would have filled the model's window.
    Window,
    /// The provider refused the request as too long.
    Overflow,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Compaction {
    /// How the results of turn `n` (from 1 on) are told.
    pub(in crate::run) fn telling(&self, n: u32) -> Telling {
        match self.cut {
            _ if n <= self.left_out_through => Telling::LeftOut,
            Some(Cut { through, bytes_max }) if n <= through => Telling::Cut(bytes_max),
            Some(_) | None => Telling::Whole,
        }
    }
}

/// What there is room for, in tokens.
struct Room {
    reason: CompactionReason,
    window: Option<u64>,
    /// Turns at the end that stay.
    kept: u32,
    /// What should be left, so that the next compaction is some turns away: each costs the prompt cache.
    aim: u64,
    /// What may be left.
    most: u64,
}

impl Machine {
    /// Before a request: the compaction without which it would fill the model's window.
    #[must_use]
    pub fn compaction(&self) -> Option<Event> {
        let window = self.choice_window()?;
        let answer = self.prepared().settings.max_output_tokens.map_or(ANSWER_TOKENS, u64::from);
        let room = window - answer.min(window / 4);
        // A tenth is kept for what an estimate cannot know.
        if self.tokens() <= room / 10 * 9 {
            return None;
        }
        let (reason, kept) = (CompactionReason::Window, KEPT);
        self.compact(&Room { reason, window: Some(window), kept, aim: room / 2, most: room / 4 * 3 })
    }

    /// After a provider refused a request as too long: a harder compaction, once for each turn. The same model is then
    /// asked again; the next of its list only where that does not help.
    #[must_use]
    pub fn compaction_after_overflow(&self) -> Option<Event> {
        if self.ask_failure() != Some(AskFailure::ContextOverflow) || self.overflowed_at == Some(self.steps())
        {
            return None;
        }
        let (window, tokens) = (self.choice_window(), self.tokens());
        // The window is smaller than was believed, or the conversation is longer.
        let believed = window.unwrap_or(tokens).min(tokens);
        let (reason, kept) = (CompactionReason::Overflow, KEPT_AFTER_OVERFLOW);
        self.compact(&Room { reason, window, kept, aim: believed / 2, most: believed / 2 })
    }

    /// Tokens of the next request, about: as Station estimates them, or as the provider counted the last one, whichever
    /// is more.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let estimated = self.estimated(self.compaction_in_force());
        let counted = self.turns.last().filter(|_| self.compacted_at != Some(self.steps())).map(|turn| {
            let usage = turn.answer.usage;
            let results = turn.results().map(of_text);
            usage.input.saturating_add(usage.output).saturating_add(results.sum())
        });
        estimated.max(counted.unwrap_or(0))
    }

    fn estimated(&self, compaction: Option<&Compaction>) -> u64 {
        of_messages(&self.conversation(compaction)) + of_prepared(self.prepared())
    }

    /// The first step that leaves what is aimed at, else the first that leaves what may be left, else the last; `None`
    /// where even that gains next to nothing.
    fn compact(&self, room: &Room) -> Option<Event> {
        let before = self.tokens();
        let estimated = self.estimated(self.compaction_in_force()).max(1);
        // Where the provider counts more than we do, it does so afterwards too.
        let scaled =
            |tokens: u64| u64::try_from(u128::from(tokens) * u128::from(before) / u128::from(estimated));
        let mut last: Option<Compaction> = None;
        for mut step in self.steps_of(room) {
            step.tokens_before = before;
            step.tokens_after = scaled(self.estimated(Some(&step))).unwrap_or(u64::MAX);
            let is_enough = step.tokens_after <= if step.cut.is_some() { room.most } else { room.aim };
            let was_enough = last.as_ref().is_some_and(|last| last.tokens_after <= room.most);
            if was_enough && step.cut.is_some() {
                break;
            }
            last = Some(step);
            if is_enough {
                break;
            }
        }
        last.filter(|step| step.tokens_after < before / 20 * 19).map(|step| Event::Compacted(Box::new(step)))
    }

    /// Ever harder compactions, none softer than the one in force.
    fn steps_of<'a>(&'a self, room: &'a Room) -> impl Iterator<Item = Compaction> + 'a {
        let now = self.compaction_in_force();
        let through = self.steps().saturating_sub(room.kept);
        let (left_out, summed_up) = now.map_or((0, 0), |now| (now.left_out_through, now.summed_up_through));
        let cut = now.and_then(|now| now.cut);
        let summary_bytes = room.most.clamp(1_024, SUMMARY_BYTES_MAX);
        let step = move |left_out: u32, summed_up: u32, cut: Option<Cut>| {
            let turns = &self.turns[..usize::try_from(summed_up).unwrap_or(0)];
            Compaction {
                reason: room.reason,
                left_out_through: left_out,
                summed_up_through: summed_up,
                summary: (summed_up > 0).then(|| sum_up(turns, summary_bytes, self.reader_name())),
                cut,
                tokens_before: 0,
                tokens_after: 0,
                window: room.window,
            }
        };
        let (left_out_max, summed_up_max) = (through.max(left_out), through.max(summed_up));
        let leave_out = (left_out..=left_out_max).map(move |n| step(n, summed_up, cut));
        let sum_up = (summed_up..=summed_up_max).map(move |n| step(left_out_max, n, cut));
        let cuts = CUTS.into_iter().map(move |bytes_max| {
            step(left_out_max, summed_up_max, Some(Cut { through: self.steps(), bytes_max }))
        });
        leave_out.chain(sum_up).chain(cuts)
    }
}
