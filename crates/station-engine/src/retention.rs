//! Old runs: what would go, and its removal.

use crate::Station;
use serde_json::json;
use station_core::budget::day_of;
use station_core::{Action, Caller, Error, Micros, Result};
use station_store::{Prunable, PruneCursor, Pruned};
use tokio_util::sync::CancellationToken;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

impl Station {
    /// What [`Station::prune_runs`] would remove.
    ///
    /// # Errors
    /// `Conflict` where nothing says how long runs are kept; the store's.
    pub async fn prunable_runs(&self, by: &Caller, keep_days: Option<u32>) -> Result<Prunable> {
        by.may(Action::ManageSettings)?;
        self.store().prunable(self.kept_since(self.keep_days(keep_days)?)).await
    }

    /// Removes runs that ended more than `keep_days` days ago (`runs.keep_days` where nothing is said), whole trees and in small
    /// transactions, and bodies that no run needs any more.
    ///
    /// # Errors
    /// As [`Station::prunable_runs`]; what was removed until then stays removed.
    pub async fn prune_runs(&self, by: &Caller, keep_days: Option<u32>) -> Result<Pruned> {
        by.may(Action::ManageSettings)?;
        let keep_days = self.keep_days(keep_days)?;
        // Before the first is removed: a kill on the way must not leave a gap that nobody answers for.
        let detail = json!({ "keep_days": keep_days });
        self.store().note_deed("prune_runs", "runs", detail, by.actor(), self.now()).await?;
        self.prune(keep_days, &CancellationToken::new()).await
    }

    fn keep_days(&self, said: Option<u32>) -> Result<u32> {
        said.or(self.config().keep_days).ok_or_else(|| {
            Error::conflict("nothing says how long runs are kept")
                .with_hint("give `--keep-days`, or set it in config.yaml: `runs: {keep_days: 90}`")
        })
    }

    /// As [`Station::prune_runs`]; cancelling `stop` ends it between two transactions.
    pub(crate) async fn prune(&self, keep_days: u32, stop: &CancellationToken) -> Result<Pruned> {
        let before = self.kept_since(keep_days);
        let (mut all, mut next) = (Pruned::default(), Some(PruneCursor::default()));
        while let Some(from) = next.filter(|_| !stop.is_cancelled()) {
            let (pruned, cursor) = self.store().prune(before, from).await?;
            all.runs += pruned.runs;
            all.blobs += pruned.blobs;
            next = cursor;
        }
        self.store().prune_accounts(day_of(before)).await?;
        Ok(all)
    }

    fn kept_since(&self, keep_days: u32) -> Micros {
        let kept_us = i64::from(keep_days).saturating_mul(DAY_MS).saturating_mul(1_000);
        Micros(self.now().0.saturating_sub(kept_us))
    }
}
