//! Refusals, on their way into the audit: what somebody may not do, and a credential that is nobody's.
//!
//! Whoever is refused may ask again at once, and a thousand times; a row for each would be a way to fill the disk. So the first is
//! written, and what follows within a minute is counted and told by the next one after it. **What may be lost:** the count of those
//! that were not followed by another. What this is not: it refuses nobody, it is told of it.

use crate::Station;
use serde_json::json;
use station_core::Caller;
use station_store::Deed;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long one row stands for all that are like it.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// Refusals that are told apart at a time; beyond that all are one.
const APART_MAX: usize = 1_000;

/// What was refused within the last minute.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<String, Told>>);

struct Told {
    /// Since boot.
    at: Duration,
    /// Since then.
    untold: u64,
}

impl Refusals {
    /// How many like `refusal` a row is to tell of; `None` where one has told of it a moment ago.
    fn count(&self, refusal: String, now: Duration) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !told.contains_key(&refusal);
        if is_new && told.len() >= APART_MAX {
            told.retain(|_, it| now.saturating_sub(it.at) < TOLD_FOR);
        }
        let refusal = if is_new && told.len() >= APART_MAX { String::new() } else { refusal };
        let Some(before) = told.get_mut(&refusal) else {
            told.insert(refusal, Told { at: now, untold: 0 });
            return Some(1);
        };
        before.untold = before.untold.saturating_add(1);
        if now.saturating_sub(before.at) < TOLD_FOR {
            return None;
        }
        before.at = now;
        Some(std::mem::take(&mut before.untold))
    }
}

impl Station {
    /// Puts into the audit that `by` was refused `what`, and why: a sentence that names no secret. Where that cannot be written, the log
    /// says so, and the refusal stays one.
    pub async fn note_refusal(&self, by: &Caller, what: &str, why: &str) {
        let actor = by.actor();
        let from = actor.from.as_deref().unwrap_or_default();
        let refusal = format!("{}\n{from}\n{what}\n{why}", actor.name);
        let Some(times) = self.refusals().count(refusal, self.since_boot()) else { return };
        let detail = json!({ "why": why, "times": times }).to_string();
        let deed = Deed { at: self.now(), actor, action: "refuse_request", subject: what.to_owned(), detail };
        if let Err(error) = self.deeds().note(self.store(), deed).await {
            tracing::error!(%error, causes = ?error.causes(), "a refusal is not in the audit");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_again_and_again_is_counted() {
        let refusals = Refusals::default();
        let check = |refusal: &str, at_s: u64, expected: Option<u64>| {
            let found = refusals.count(refusal.to_owned(), Duration::from_secs(at_s));
            assert_eq!(found, expected, "{refusal} at {at_s} s");
        };
        check("a", 0, Some(1));
        check("a", 1, None);
        check("b", 1, Some(1));
        check("a", 59, None);
        check("a", 60, Some(3));
        check("a", 61, None);
        check("a", 500, Some(2));
    }

    #[test]
    fn whoever_varies_what_is_refused_fills_nothing() {
        let refusals = Refusals::default();
        let told = (0..5_000).filter(|n| refusals.count(n.to_string(), Duration::ZERO).is_some()).count();
        assert_eq!(told, APART_MAX + 1);
        assert!(refusals.0.lock().unwrap().len() <= APART_MAX + 1);
        // A minute later there is room again.
        assert_eq!(refusals.count("new".to_owned(), TOLD_FOR), Some(1));
    }
}
