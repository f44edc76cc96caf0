//! Waiting for a turn at a provider or a tool server that may not be asked so often.
//!
//! Waited for before the gate and before `EffectStarted`: nothing is said to be sent while it only waits, and rights are
//! asked when the turn has come. The buckets are this process's own: several instances share a provider's limit by having
//! each a part of it configured. A wait is shown in the run's row, holds its slot, and ends with a cancel, the end of the
//! run's time or of this process.

use crate::Seen;
use crate::drive::Drive;
use crate::journal::Standing;
use crate::lease::millis;
use station_core::file::config::RateLimits;
use station_core::rate::Bucket;
use station_core::run::{Target, Todo};
use station_core::{EnvironmentId, ModelRef, Result, budget, plural};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A shorter wait than this is over before anybody could look.
const SHOWN_FROM: Duration = Duration::from_millis(500);

/// The buckets of this process: one per configured rate, and per environment for a server's.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<Key, Bucket>>);

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
}

impl Rates {
    /// Takes `n` at `now`, since boot.
    fn take(&self, now: Duration, key: Key, per_min: u32, n: u64) -> Duration {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert_with(|| Bucket::new(per_min));
        Duration::from_millis(bucket.take(n, millis(now)))
    }
}

impl Drive<'_> {
    /// Waits until all of `todos` have their turn.
    pub(crate) async fn pace(&mut self, todos: &[Todo]) -> Result<Paced> {
        let limits = &self.station.config().rate_limits;
        if limits.providers.is_empty() && limits.servers.is_empty() {
            return Ok(Paced::Go);
        }
        let turns = todos.iter().filter_map(|todo| self.turn(limits, todo));
        let Some(Turn { wait, on }) = turns.max_by_key(|turn| turn.wait).filter(|turn| !turn.wait.is_zero())
        else {
            return Ok(Paced::Go);
        };
        if wait >= SHOWN_FROM {
            self.flush(Standing::Paced(on.clone())).await?;
            self.journal.tell(Seen::Paced { on, wait });
        }
        let (left, signals) = (self.time_left(), self.signals);
        tokio::select! {
            biased;
            () = signals.cancelled() => Ok(Paced::Stopped),
            () = signals.draining() => Ok(Paced::Stopped),
            () = tokio::time::sleep(left.min(wait)) => {
                Ok(if left > wait { Paced::Go } else { Paced::Stopped })
            }
        }
    }

    fn turn(&self, limits: &RateLimits, todo: &Todo) -> Option<Turn> {
        match todo {
            Todo::Ask { model, .. } => self.turn_at_provider(limits, model),
            Todo::Call { tool, .. } | Todo::Verify { tool, .. } => match &tool.target {
                Target::Tool { server_name, .. } => self.turn_at_server(limits, server_name),
                Target::Agent { .. } | Target::Own { .. } => None,
            },
            Todo::Spawn { .. } => None,
        }
    }

    fn turn_at_provider(&self, limits: &RateLimits, model: &ModelRef) -> Option<Turn> {
        let provider = &model.provider;
        let limit = limits.providers.get(provider)?;
        let (rates, now) = (self.station.rates(), self.station.since_boot());
        let requests = limit.requests_per_min.map(|per_min| Turn {
            wait: rates.take(now, Key::Requests(provider.clone()), per_min, 1),
            on: format!("rate limit of provider `{provider}`: {} a minute", plural(per_min, "request")),
        });
        let tokens = limit.tokens_per_min.map(|per_min| {
            let usage = budget::estimate(&self.machine.messages(), self.machine.prepared());
            let n = usage.input.saturating_add(usage.output);
            Turn {
                wait: rates.take(now, Key::Tokens(provider.clone()), per_min, n),
                on: format!("rate limit of provider `{provider}`: {} a minute", plural(per_min, "token")),
            }
        });
        requests.into_iter().chain(tokens).max_by_key(|turn| turn.wait)
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
