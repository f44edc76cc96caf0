//! Waiting for a turn at a provider or a tool server that may not be asked so often.
//!
//! Waited for before the gate and before `EffectStarted`: nothing is said to be sent while it only waits, and rights are
//! asked when the turn has come. The buckets are this process's own: several instances share a provider's limit by having
//! each a part of it configured. A wait is shown in the run's row, and ends with a cancel, the end of the run's time or of
//! this process. A long one parks a run that a worker drives, so that it keeps no slot from others; its turn is kept for it
//! here, and it is in the queue again when that has come.

use crate::Seen;
use crate::drive::Drive;
use crate::journal::Standing;
use crate::lease::millis;
use station_core::file::config::RateLimits;
use station_core::rate::Bucket;
use station_core::run::{Target, Todo, WaitKind, WaitsOn};
use station_core::{EnvironmentId, ModelRef, Result, RunId, Usage, budget, plural};
use station_store::Wait;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A shorter wait than this is over before anybody could look.
pub(crate) const SHOWN_FROM: Duration = Duration::from_millis(500);

/// A longer wait than this gives the slot to others: parking and coming back cost two commits and a claim.
const PARKED_FROM: Duration = Duration::from_secs(3);

/// A turn that nobody came back for is forgotten so long after it came: its run has ended, or is driven elsewhere.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The buckets of this process: one per configured rate, and per environment for a server's; and the turns of parked runs.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<Key, Bucket>>,
    kept: Mutex<HashMap<RunId, Kept>>,
}

/// A turn that a parked run waits for.
#[derive(Clone, Debug)]
struct Kept {
    /// When it comes, since boot.
    at: Duration,
    on: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Requests(String),
    Tokens(String),
    Calls(EnvironmentId, String),
}

/// A wait for a turn.
struct Turn {
    wait: Duration,
    /// For what, in words.
    on: String,
}

/// Whether the turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paced {
    Go,
    /// Something happened that the run has to heed first.
    Stopped,
    /// It comes later, and the run was let go of until then.
    Parked,
}

impl Rates {
    /// Takes `n` at `now`, since boot.
    fn take(&self, now: Duration, key: Key, per_min: u32, n: u64) -> Duration {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert_with(|| Bucket::new(per_min));
        Duration::from_millis(bucket.take(n, millis(now)))
    }

    /// Takes a turn for one request to a model, and says how long to wait for it.
    pub(crate) fn request(
        &self,
        limits: &RateLimits,
        model: &ModelRef,
        usage: &Usage,
        now: Duration,
    ) -> Duration {
        self.turn_at_provider(limits, model, now, || *usage).map_or(Duration::ZERO, |turn| turn.wait)
    }

    fn turn_at_provider(
        &self,
        limits: &RateLimits,
        model: &ModelRef,
        now: Duration,
        usage: impl FnOnce() -> Usage,
    ) -> Option<Turn> {
        let provider = &model.provider;
        let limit = limits.providers.get(provider)?;
        let requests = limit.requests_per_min.map(|per_min| Turn {
            wait: self.take(now, Key::Requests(provider.clone()), per_min, 1),
            on: format!("rate limit of provider `{provider}`: {} a minute", plural(per_min, "request")),
        });
        let tokens = limit.tokens_per_min.map(|per_min| {
            let usage = usage();
            let n = usage.input.saturating_add(usage.output);
            Turn {
                wait: self.take(now, Key::Tokens(provider.clone()), per_min, n),
                on: format!("rate limit of provider `{provider}`: {} a minute", plural(per_min, "token")),
            }
        });
        requests.into_iter().chain(tokens).max_by_key(|turn| turn.wait)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<RunId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, run: RunId, kept: Kept, now: Duration) {
        let mut all = self.kept();
        all.retain(|_, kept| now.saturating_sub(kept.at) < FORGOTTEN_AFTER);
        all.insert(run, kept);
    }
}

impl Drive<'_> {
    /// Waits until all of `todos` have their turn.
    pub(crate) async fn pace(&mut self, todos: &[Todo]) -> Result<Paced> {
        let limits = &self.station.config().rate_limits;
        if limits.providers.is_empty() && limits.servers.is_empty() {
            return Ok(Paced::Go);
        }
        let now = self.station.since_boot();
        let kept = self.station.rates().kept().remove(&self.run.id);
        let turn = match kept {
            Some(Kept { at, on }) => Some(Turn { wait: at.saturating_sub(now), on }),
            None => todos.iter().filter_map(|todo| self.turn(limits, todo)).max_by_key(|turn| turn.wait),
        };
        let Some(Turn { wait, on }) = turn.filter(|turn| !turn.wait.is_zero()) else {
            return Ok(Paced::Go);
        };
        let (left, signals) = (self.time_left(), self.signals);
        let is_parked = wait >= PARKED_FROM && signals.is_in_slot() && signals.cancelled_by().is_none();
        if wait >= SHOWN_FROM {
            let wakes_at = self.station.now().plus_ms(millis(left.min(wait)));
            let standing = if is_parked {
                self.journal.wait(Wait::Until(wakes_at));
                self.station.rates().keep(self.run.id, Kept { at: now + wait, on: on.clone() }, now);
                Standing::Parked(WaitsOn::new(WaitKind::Rate, &on))
            } else {
                Standing::Paced(WaitsOn::new(WaitKind::Rate, &on))
            };
            self.flush(standing).await?;
            self.journal.tell(Seen::Paced { on, wait });
        }
        if is_parked {
            return Ok(Paced::Parked);
        }
        tokio::select! {
            biased;
            () = signals.stopped() => Ok(Paced::Stopped),
            () = tokio::time::sleep(left.min(wait)) => {
                Ok(if left > wait { Paced::Go } else { Paced::Stopped })
            }
        }
    }

    fn turn(&mut self, limits: &RateLimits, todo: &Todo) -> Option<Turn> {
        match todo {
            Todo::Ask { model, .. } => self.turn_at_provider(limits, model),
            Todo::Call { slot, tool, .. } | Todo::Verify { slot, tool, .. } => match &tool.target {
                // One that found its server busy then is not counted anew.
                Target::Tool { .. } if !self.paced.insert(*slot) => None,
                Target::Tool { server_name, .. } => self.turn_at_server(limits, server_name),
                Target::Agent { .. } | Target::Own { .. } => None,
            },
            Todo::Spawn { .. } => None,
        }
    }

    fn turn_at_provider(&self, limits: &RateLimits, model: &ModelRef) -> Option<Turn> {
        let usage = || budget::estimate(&self.machine.messages(), self.machine.prepared());
        self.station.rates().turn_at_provider(limits, model, self.station.since_boot(), usage)
    }

    fn turn_at_server(&self, limits: &RateLimits, server: &str) -> Option<Turn> {
        let environment = &self.run.environment_name;
        let exact = limits.servers.get(&format!("{environment}/{server}"));
        let per_min = *exact.or_else(|| limits.servers.get(server))?;
        let key = Key::Calls(self.run.environment, server.to_owned());
        Some(Turn {
            wait: self.station.rates().take(self.station.since_boot(), key, per_min, 1),
            on: format!("rate limit of server `{server}`: {} a minute", plural(per_min, "call")),
        })
    }
}
