//! Calls take their turn at their server before they are said to be started.
//!
//! The calls of one turn of a model that find one are begun together; the others stay as they were, planned and nothing in
//! the journal, and are begun when those have come back. Where none finds one, the run waits here for the first, holding no
//! other, and then passes the gate anew: rights are asked when the turn has come. What it waits for is shown in its row.
//! A cancel, the end of the run's time or of this process ends the wait, and nothing was sent.

use crate::call::Permit;
use crate::drive::Drive;
use crate::journal::Standing;
use crate::pace::SHOWN_FROM;
use crate::pool::{CallTurn, Turn};
use station_core::Result;
use station_core::run::{WaitKind, WaitsOn};

/// What a driver knows of the turns of its calls.
#[derive(Default)]
pub(crate) struct Turns {
    /// A turn that was waited for, for the next call that it is good for.
    kept: Option<CallTurn>,
    /// The first call that found none.
    lacking: Option<Box<Permit>>,
}

impl Turns {
    /// Gives `permit` its turn; `None` where it has to wait.
    pub(crate) fn give(&mut self, station: &crate::Station, mut permit: Box<Permit>) -> Option<Box<Permit>> {
        let (reach, run) = permit.place();
        let pool = station.pool();
        let turn = match self.kept.take_if(|kept| kept.is_for(pool, reach, run)) {
            Some(kept) => Turn::Taken(kept),
            None => pool.try_turn(reach, run),
        };
        match turn {
            Turn::Taken(turn) => permit.take(turn),
            Turn::Never => {}
            Turn::Busy => {
                self.lacking.get_or_insert(permit);
                return None;
            }
        }
        Some(permit)
    }

    /// Before the gate is passed anew.
    pub(crate) fn begin(&mut self) {
        self.lacking = None;
    }

    /// After all calls passed the gate: a turn that none of them took is another's.
    pub(crate) fn end(&mut self) {
        self.kept = None;
    }
}

impl Drive<'_> {
    /// Waits for a turn of the call that found none, where nothing else could be begun.
    pub(crate) async fn wait_for_turn(&mut self) -> Result<()> {
        let Some(permit) = self.turns.lacking.take() else { return Ok(()) };
        let (reach, run) = permit.place();
        let signals = self.signals;
        let stopped = signals.stopped();
        let (turn, left) = (self.station.pool().turn(reach, run), self.time_left());
        let over = tokio::time::sleep(left);
        tokio::pin!(turn, stopped, over);
        let shown = tokio::time::sleep(SHOWN_FROM);
        tokio::pin!(shown);
        let mut is_shown = false;
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                () = &mut over => return Ok(()),
                turn = &mut turn => {
                    // Where there will never be one, the call itself says why.
                    self.turns.kept = turn.ok();
                    return Ok(());
                }
                () = &mut shown, if !is_shown => {
                    is_shown = true;
                    let words = format!("its turn at server `{}`", reach.name);
                    let on = WaitsOn::new(WaitKind::Tool, words);
                    self.journal.flush(&self.machine, Standing::Paced(on), self.lease).await?;
                }
            }
        }
    }
}
