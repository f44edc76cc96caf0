//! What lies ahead of a worker that has nothing to do.

use crate::Store;
use crate::db::unreadable;
use station_core::looking::Ahead;
use station_core::{Micros, Result};

impl Store {
    /// When something is due next, and how many runs are driven, here and elsewhere. Read from indexes, whatever waits.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn ahead(&self) -> Result<Ahead> {
        const SQL: &str = "select (select min(wakes_at) from budget_waits where wakes_at is not null),
            (select min(expires_at) from approvals where status = 'pending'),
            (select count(*) from agent_runs where status = 'running')";
        let row = self.read().await?.row(SQL, Vec::new()).await?;
        let mut row = row.ok_or_else(|| unreadable("a count is missing"))?;
        let (wakes_at, expires_at) = (row.opt_int()?, row.opt_int()?);
        let due = wakes_at.into_iter().chain(expires_at).min().map(Micros);
        Ok(Ahead { due, driven: row.count()? })
    }
}
