//! What a run waits for while its driver has nothing else to write, and a driver that cannot go on.

use crate::Store;
use crate::db::storable;
use crate::turns::Reach;
use station_core::run::{Status, WaitKind, WaitsOn};
use station_core::{Fence, Micros, Result, RunId};

impl Store {
    /// Says on a run's row what its driver waits for, without an entry in the journal. Nothing where the run has
    /// another driver by now.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn note_waiting(&self, run: RunId, fence: Fence, on: &WaitsOn, since: Micros) -> Result<()> {
        const SQL: &str = "update agent_runs set waiting_on = $3, waiting_since = $4, waiting_kind = $5
            where id = $1 and fence = $2 and status = 'running'";
        let input = (run, fence, (storable(&on.words), on.kind), since);
        self.write_reaching(Reach::Run(run), input, |conn, (run, fence, (on, kind), since)| {
            Box::pin(async move {
                let on = on.as_str().into();
                let values = vec![run.0.into(), fence.0.into(), on, since.0.into(), kind.as_str().into()];
                conn.exec(SQL, values).await.map(drop)
            })
        })
        .await
    }

    /// Lets go of a run whose driver cannot go on: parked for what `on` says, or back in the queue. `false` where the run
    /// has another driver by now, or was let go of already.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn let_go(&self, run: RunId, fence: Fence, on: Option<&WaitsOn>, now: Micros) -> Result<bool> {
        const SQL: &str =
            "update agent_runs set status = $3, waiting_on = $4, waiting_since = $5, waiting_kind = $6,
                lease_until = null
            where id = $1 and fence = $2 and status = 'running'";
        let input = (run, fence, on.map(|on| (storable(&on.words), on.kind)), now);
        self.write_reaching(Reach::Run(run), input, |conn, (run, fence, on, now)| {
            Box::pin(async move {
                let status = if on.is_some() { Status::Waiting } else { Status::Queued };
                let values = vec![
                    run.0.into(),
                    fence.0.into(),
                    status.as_str().into(),
                    on.as_ref().map(|(words, _)| words.as_str()).into(),
                    now.0.into(),
                    on.as_ref().map(|(_, kind)| kind.as_str()).into(),
                ];
                let is_gone = conn.exec(SQL, values).await? > 0;
                conn.news().freed |= is_gone;
                conn.news().queued |= is_gone && on.is_none();
                Ok(is_gone)
            })
        })
        .await
    }

    /// Puts runs back in the queue that are parked for something of this kind; how many. An older Station that shares the
    /// store says it in words alone, and then the words count.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn call_back(&self, on: WaitKind, now: Micros) -> Result<u64> {
        const WAIT: &str = "select count(*) from agent_runs where status = 'waiting'
            and (waiting_kind = $1 or (waiting_kind is null and waiting_on like $2))";
        const SQL: &str = "update agent_runs set status = 'queued', waiting_on = null, waiting_kind = null, waiting_since = $2,
                waits_for_children = 0
            where status = 'waiting' and (waiting_kind = $1 or (waiting_kind is null and waiting_on like $3))";
        // Of a kind without words of its own nothing is told by them.
        let words = Some(on.prefix()).filter(|words| !words.is_empty()).map(|words| format!("{words}%"));
        let row = self.read().await?.row(WAIT, vec![on.as_str().into(), words.as_deref().into()]).await?;
        if row.map(|mut row| row.int()).transpose()?.unwrap_or(0) == 0 {
            return Ok(0);
        }
        self.write_reaching(Reach::Queue, (on, now, words), |conn, (on, now, words)| {
            Box::pin(async move {
                let values = vec![on.as_str().into(), now.0.into(), words.as_deref().into()];
                let n = conn.exec(SQL, values).await?;
                conn.news().queued |= n > 0;
                Ok(n)
            })
        })
        .await
    }
}
