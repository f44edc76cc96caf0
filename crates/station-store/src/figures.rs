//! How much there is of what: numbers for whoever watches a Station from outside.

use crate::Store;
use crate::db::unreadable;
use station_core::Result;

/// What the store has at a moment, in all environments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Agents.
    pub agents: u64,
    /// Tool servers.
    pub servers: u64,
    /// Runs that wait for a worker.
    pub queued: u64,
    /// Runs that a worker has.
    pub running: u64,
    /// Runs that are parked: for a person, a sub-agent or a budget.
    pub waiting: u64,
}

impl Store {
    /// Counts what there is.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn figures(&self) -> Result<Figures> {
        // Runs that are open are in an index of their own, however many there are.
        const SQL: &str = "select
            (select count(*) from agents),
            (select count(*) from mcp_servers),
            (select count(*) from agent_runs where status = 'queued'),
            (select count(*) from agent_runs where status = 'running'),
            (select count(*) from agent_runs where status = 'waiting')";
        let row = self.read().await?.row(SQL, Vec::new()).await?;
        let mut row = row.ok_or_else(|| unreadable("numbers are missing"))?;
        Ok(Figures {
            agents: row.count()?,
            servers: row.count()?,
            queued: row.count()?,
            running: row.count()?,
            waiting: row.count()?,
        })
    }
}
