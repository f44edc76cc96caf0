//! A call's turn at its server: one of those that the server takes at a time.
//!
//! Taken before a call is said to be started, so that what only waits for its turn is not in doubt after a kill, and given
//! back when the call has ended, or was not begun after all. Whoever waits for a turn holds no other, so that no two runs
//! wait for each other.

use super::{InUse, Key, Pool, Reach};
use station_core::RunId;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// A turn, until it is dropped.
pub(crate) struct CallTurn {
    key: Key,
    pub(super) slot: InUse,
    _permit: OwnedSemaphorePermit,
}

impl CallTurn {
    /// Whether it is one for a call of `run` at this server.
    pub(crate) fn is_for(&self, pool: &Pool, reach: &Reach, run: Option<RunId>) -> bool {
        self.key == pool.key(reach, run)
    }
}

/// Whether there is a turn right now.
pub(crate) enum Turn {
    Taken(CallTurn),
    /// All are with other calls.
    Busy,
    /// The server has no place for this configuration at all; the call itself will say why.
    Never,
}

impl Pool {
    /// Takes a turn if there is one.
    pub(crate) fn try_turn(&self, reach: &Reach, run: Option<RunId>) -> Turn {
        let key = self.key(reach, run);
        let Ok(slot) = self.slot_of(key.clone(), reach) else { return Turn::Never };
        match Arc::clone(&slot.calls).try_acquire_owned() {
            Ok(permit) => Turn::Taken(CallTurn { key, slot, _permit: permit }),
            Err(_) => Turn::Busy,
        }
    }

    /// Waits for a turn, after those who waited before.
    ///
    /// # Errors
    /// Where the server has no place for this configuration at all: why.
    pub(crate) async fn turn(&self, reach: &Reach, run: Option<RunId>) -> Result<CallTurn, String> {
        let key = self.key(reach, run);
        let slot = self.slot_of(key.clone(), reach).map_err(|error| error.sentence().to_owned())?;
        let permit = Arc::clone(&slot.calls).acquire_owned().await;
        let permit = permit.expect("the turns of a server are never closed");
        Ok(CallTurn { key, slot, _permit: permit })
    }
}
