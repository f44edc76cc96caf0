//! What the outside tells a driver: end this run, or let go of it.
//!
//! To cancel is a person's wish and ends the run. To drain is the process's own end: the run stays, somebody else
//! drives it on. Both are heeded between effects, and while effects are out.

use crate::spend::Raise;
use station_core::{Micros, RunId};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The signals of one driver. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    cancel: CancellationToken,
    by: Arc<OnceLock<String>>,
    drain: CancellationToken,
    drain_for: Duration,
    /// It holds a slot that others wait for.
    in_slot: bool,
    resumed_at: Option<Micros>,
    raise: Arc<Mutex<Option<Raise>>>,
}

impl Signals {
    /// For a run in front of a person: `cancel` is their Ctrl-C, `by` their name.
    pub(crate) fn of_person(cancel: CancellationToken, by: &str) -> Self {
        let signals = Self { cancel, ..Self::default() };
        signals.by.get_or_init(|| by.to_owned());
        signals
    }

    /// For a run that a worker drives: when `drain` is cancelled, calls that are out are waited for as long as
    /// `drain_for`, and then the run is let go of.
    pub(crate) fn of_worker(drain: CancellationToken, drain_for: Duration) -> Self {
        Self { drain, drain_for, in_slot: true, ..Self::default() }
    }

    /// As of a run whose driver may leave before it has ended: when `leave` is cancelled, calls that are out are waited
    /// for as long as `drain_for`, and then the run is let go of.
    pub(crate) fn leaving(self, leave: CancellationToken, drain_for: Duration) -> Self {
        Self { drain: leave, drain_for, ..self }
    }

    /// As of a run that is driven on after an interruption, from `now` on.
    pub(crate) fn resumed(self, now: Micros) -> Self {
        Self { resumed_at: Some(now), ..self }
    }

    /// As of a run to whose limits somebody adds.
    pub(crate) fn raising(self, raise: Option<Raise>) -> Self {
        Self { raise: Arc::new(Mutex::new(raise)), ..self }
    }

    /// What is to be added to the limits of `run`: once.
    pub(crate) fn take_raise(&self, run: RunId) -> Option<Raise> {
        let mut raise = self.raise.lock().unwrap_or_else(PoisonError::into_inner);
        raise.take_if(|raise| raise.run == run)
    }

    /// When the run was taken up again after an interruption.
    pub(crate) fn resumed_at(&self) -> Option<Micros> {
        self.resumed_at
    }

    /// Asks for the end of the run.
    pub(crate) fn cancel(&self, by: &str) {
        self.by.get_or_init(|| by.to_owned());
        self.cancel.cancel();
    }

    /// Who asked for the end of the run, where somebody has.
    pub(crate) fn cancelled_by(&self) -> Option<String> {
        self.cancel.is_cancelled().then(|| self.by.get().cloned().unwrap_or_default())
    }

    /// Waits until somebody asks for the end of the run.
    pub(crate) async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Whether the run holds a slot of a worker, for which others wait.
    pub(crate) fn is_in_slot(&self) -> bool {
        self.in_slot
    }

    /// Whether the process is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Waits until the process is about to end.
    pub(crate) async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Waits until the run, or this process, is to end.
    pub(crate) async fn stopped(&self) {
        tokio::select! {
            () = self.cancelled() => {}
            () = self.draining() => {}
        }
    }

    /// How long calls that are out are waited for then. Requests to a model are dropped at once: they are asked again.
    pub(crate) fn drain_for(&self) -> Duration {
        self.drain_for
    }
}
