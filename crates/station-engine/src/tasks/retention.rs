//! Removes runs that ended longer ago than `runs.keep_days`, and what is kept of requests that are over.

use crate::Station;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it looks: days are counted, so an hour more does not matter.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// Looks now and then until `stop`.
pub(crate) async fn retention(station: Station, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        if let Err(error) = station.prune_requests().await {
            tracing::error!(%error, causes = ?error.causes(), "old requests were not removed; tried again later");
        }
        // Where it is not said for how long, runs are kept for ever.
        let Some(keep_days) = station.config().keep_days else { continue };
        match station.prune(keep_days, &stop).await {
            Ok(pruned) if pruned.runs > 0 => {
                tracing::info!(runs = pruned.runs, bodies = pruned.blobs, keep_days, "removed old runs");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, causes = ?error.causes(), "old runs were not removed; tried again later");
            }
        }
    }
}
