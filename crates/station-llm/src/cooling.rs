//! Models that failed a moment ago and are left alone for a while.
//!
//! Kept per process: a model that is overloaded for one run is so for the next, and asking it first again would cost
//! every run its time-outs.

use station_core::ModelRef;
use station_core::run::AskFailure;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How long a model is left alone that did not say for how long.
const COOL: Duration = Duration::from_secs(30);
/// How long a model is left alone at most, whatever it said: a wrong `Retry-After` must not switch it off for a day.
const COOL_MAX: Duration = Duration::from_secs(600);

/// Until when each model is left alone. One entry per configured model, so it needs no limit of its own.
#[derive(Debug, Default)]
pub(crate) struct Cooling(Mutex<HashMap<ModelRef, Instant>>);

impl Cooling {
    /// How long `model` is still left alone.
    pub(crate) fn left(&self, model: &ModelRef) -> Option<Duration> {
        let until = *self.entries().get(model)?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Notes a failure: one that another request would meet as well cools the model down.
    pub(crate) fn failed(&self, model: &ModelRef, failure: AskFailure, after: Option<Duration>) {
        let cools = match failure {
            AskFailure::RateLimited
            | AskFailure::Unavailable
            | AskFailure::TimedOut
            | AskFailure::Unreachable => true,
            AskFailure::Truncated
            | AskFailure::ContextOverflow
            | AskFailure::BadKey
            | AskFailure::Rejected
            | AskFailure::Garbled => false,
        };
        if cools {
            let until = Instant::now() + after.unwrap_or(COOL).min(COOL_MAX);
            self.entries().insert(model.clone(), until);
        }
    }

    /// Notes an answer.
    pub(crate) fn answered(&self, model: &ModelRef) {
        self.entries().remove(model);
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<ModelRef, Instant>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
