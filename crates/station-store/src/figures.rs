//! How much there is of what: numbers for whoever watches a Station from outside.

use crate::Store;
use crate::db::{Row, unreadable};
use station_core::Result;

/// Names that are told of environments, and of servers: more are not told apart by whoever counts by them.
const NAMES_MAX: i64 = 200;

/// What the store has at a moment, in all environments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Names of environments, those that were made first.
    pub environment_names: Vec<String>,
    /// Names of tool servers, in order; one name may be that of several.
    pub server_names: Vec<String>,
}

impl Store {
    /// Counts what there is.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn figures(&self) -> Result<Figures> {
        // Runs that are open are in an index of their own, however many there are.
        const SQL: &str = "select
            (select count(*) from agents where removed_at is null),
            (select count(*) from mcp_servers where removed_at is null),
            (select count(*) from agent_runs where status = 'queued'),
            (select count(*) from agent_runs where status = 'running'),
            (select count(*) from agent_runs where status = 'waiting')";
        const ENVIRONMENTS: &str =
            "select name from environments where removed_at is null order by id limit $1";
        const SERVERS: &str =
            "select distinct name from mcp_servers where removed_at is null order by name limit $1";
        let mut reader = self.read().await?;
        let row = reader.row(SQL, Vec::new()).await?;
        let mut row = row.ok_or_else(|| unreadable("numbers are missing"))?;
        let environments = reader.rows(ENVIRONMENTS, vec![NAMES_MAX.into()]).await?;
        let servers = reader.rows(SERVERS, vec![NAMES_MAX.into()]).await?;
        let names = |rows: Vec<Row>| rows.into_iter().map(|mut row| row.text()).collect::<Result<_>>();
        Ok(Figures {
            agents: row.count()?,
            servers: row.count()?,
            queued: row.count()?,
            running: row.count()?,
            waiting: row.count()?,
            environment_names: names(environments)?,
            server_names: names(servers)?,
        })
    }
}
