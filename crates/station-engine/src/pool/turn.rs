//! A call's turn at its server: one of those that the server takes at a time.
//!
//! Taken before a call is said to be started, so that what only waits for its turn is not in doubt after a kill, and given
//! back when the call has ended, or was not begun after all. Whoever waits for a turn holds no other, so that no two runs
//! wait for each other.

use super::calls::OneCall;
use super::{InUse, Key, Pool, Reach};
use station_core::RunId;

/// A turn, until it is dropped.
pub(crate) struct CallTurn {
    key: Key,
    pub(super) slot: InUse,
    _call: OneCall,
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
        match slot.calls.try_one() {
            Some(call) => Turn::Taken(CallTurn { key, slot, _call: call }),
            None => Turn::Busy,
        }
    }

    /// Waits for a turn, after those who waited before.
    ///
    /// # Errors
    /// Where the server has no place for this configuration at all: why.
    pub(crate) async fn turn(&self, reach: &Reach, run: Option<RunId>) -> Result<CallTurn, String> {
        let key = self.key(reach, run);
        let slot = self.slot_of(key.clone(), reach).map_err(|error| error.sentence().to_owned())?;
        let call = slot.calls.one().await;
        Ok(CallTurn { key, slot, _call: call })
    }
}
