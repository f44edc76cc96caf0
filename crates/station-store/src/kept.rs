//! An append whose answer was lost with the connection: whether it was committed all the same.
//!
//! Written again, it would be refused where its entries are there already, and counted twice where it has none. What has
//! no entries lets its run go, so that is what it is known by.

use crate::{Append, Store};
use station_core::Result;
use station_core::run::Status;

impl Store {
    /// Whether `append` is in the store, as far as its driver can know: nobody else writes under its fence.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_appended(&self, append: &Append) -> Result<bool> {
        if let Some(first) = append.entries.first() {
            let stored = self.journal(append.run, first.seq - 1, 1).await?;
            return Ok(stored.first() == Some(first));
        }
        if !append.row.as_ref().is_some_and(|row| row.release) {
            return Ok(false);
        }
        let run = self.run(append.run).await?;
        Ok(run.is_some_and(|run| run.fence == append.fence && run.status != Status::Running))
    }
}
