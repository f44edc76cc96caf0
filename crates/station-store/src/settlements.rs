//! What persons said became of calls whose outcome was unknown; read by the next driver of their run.

use crate::approvals::{effect, lock_run};
use crate::audit;
use crate::db::{Conn, storable};
use crate::queue::requeue;
use crate::sealer::Sealer;
use crate::turns::Reach;
use crate::{ROWS_MAX, Store};
use serde_json::json;
use station_core::{Actor, EffectId, Error, Micros, Result, RunId};

/// What a person said became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The call.
    pub effect: EffectId,
    /// Whether it took effect.
    pub done: bool,
    /// What the model is told besides.
    pub note: String,
    /// Who said so.
    pub by: Actor,
}

impl Store {
    /// Keeps what became of a call, and puts its run back in the queue where it waits.
    ///
    /// # Errors
    /// `Conflict` where it was settled already, or its run does not wait.
    pub async fn settle(&self, run: RunId, settlement: Settlement, now: Micros) -> Result<()> {
        let effect = settlement.effect;
        let input = (self.shared_context(), run, settlement, now);
        let settled = self
            .write_reaching(Reach::Audit(Some(run)), input, |conn, (context, run, it, now)| {
                Box::pin(settle(conn, &context.sealer, *run, it, *now))
            })
            .await?;
        if settled { Ok(()) } else { Err(Error::conflict(format!("effect `{effect}` was settled already"))) }
    }

    /// What was settled of a run and is not in its journal yet.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn settlements(&self, run: RunId) -> Result<Vec<Settlement>> {
        const SQL: &str = "select effect_id, done, note, settled_by from settlements
            where run_id = $1 and heard = 0 order by settled_at, effect_id limit $2";
        let rows = self.read().await?.rows(SQL, vec![run.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter()
            .map(|mut row| {
                let (effect, done) = (effect(&row.text()?)?, row.int()? == 1);
                Ok(Settlement { effect, done, note: row.text()?, by: row.text()?.into() })
            })
            .collect()
    }
}

async fn settle(conn: &mut Conn, sealer: &Sealer, run: RunId, it: &Settlement, now: Micros) -> Result<bool> {
    const SQL: &str = "insert into settlements (effect_id, run_id, done, note, settled_at, settled_by)
        values ($1, $2, $3, $4, $5, $6) on conflict (effect_id) do update set done = excluded.done,
            note = excluded.note, settled_at = excluded.settled_at, settled_by = excluded.settled_by, heard = 0
        where settlements.heard = 1";
    const WAITS: &str = "select 1 from agent_runs where id = $1 and status = 'waiting'";
    lock_run(conn, run).await?;
    // A word about an attempt that is over must not be heard after the next.
    if conn.row(WAITS, vec![run.0.into()]).await?.is_none() {
        return Ok(false);
    }
    let values = vec![
        it.effect.to_string().into(),
        run.0.into(),
        i64::from(it.done).into(),
        storable(&it.note).into(),
        now.0.into(),
        storable(&it.by.name).into(),
    ];
    if conn.exec(SQL, values).await? == 0 {
        return Ok(false);
    }
    requeue(conn, run, now).await?;
    let detail = json!({"run": run.0, "done": it.done, "note": it.note});
    audit::note(conn, sealer, (&it.by, now), "settle_effect", format!("effect {}", it.effect), detail)
        .await?;
    Ok(true)
}
