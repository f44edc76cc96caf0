//! What a run waits for while its driver has nothing else to write.

use crate::Store;
use crate::db::storable;
use crate::turns::Reach;
use station_core::{Fence, Micros, Result, RunId};

impl Store {
    /// Says on a run's row what its driver waits for, without an entry in the journal. Nothing where the run has
    /// another driver by now.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn note_waiting(&self, run: RunId, fence: Fence, on: &str, since: Micros) -> Result<()> {
        const SQL: &str = "update agent_runs set waiting_on = $3, waiting_since = $4
            where id = $1 and fence = $2 and status = 'running'";
        let input = (run, fence, storable(on), since);
        self.write_reaching(Reach::Run(run), input, |conn, (run, fence, on, since)| {
            Box::pin(async move {
                let values = vec![run.0.into(), fence.0.into(), on.as_str().into(), since.0.into()];
                conn.exec(SQL, values).await.map(drop)
            })
        })
        .await
    }
}
