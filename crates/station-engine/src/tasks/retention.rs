//! Removes runs that ended longer ago than `runs.keep_days`.

use crate::Station;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it looks: days are counted, so an hour more does not matter.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// Looks now and then until `stop`; nothing where runs are kept for ever.
pub(crate) async fn retention(station: Station, stop: CancellationToken) {
    let Some(keep_days) = station.config().keep_days else { return };
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
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
