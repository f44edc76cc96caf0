//! A run with its descendants, as whoever follows it needs them: where each stands, and how far its journal goes.

use crate::db::Row;
use crate::runs::read_status;
use crate::{ROWS_MAX, Store};
use station_core::run::Status;
use station_core::{Result, RunId};

/// A run of a tree of sub-agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relative {
    /// Its row.
    pub id: RunId,
    /// The agent's name.
    pub agent_name: String,
    /// How deep in the whole tree it is.
    pub depth: u32,
    /// Where it stands.
    pub status: Status,
    /// Whether it is parked and comes back by itself in a moment: it waits for its turn, or for others to settle.
    pub comes_back: bool,
    /// The last place of its journal.
    pub journal_seq: i64,
}

impl Store {
    /// `run` and all its descendants, oldest first; nothing where there is no such run.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn family(&self, run: RunId) -> Result<Vec<Relative>> {
        const SQL: &str = "with recursive tree (id) as (select id from agent_runs where id = $1
                union all select child.id from agent_runs child join tree on child.parent_id = tree.id)
            select r.id, a.name, r.depth, r.status, r.journal_seq,
                cast(exists (select 1 from budget_waits w where w.run_id = r.id
                    and (w.scope = 'turn' or w.crowded = 1)) as integer)
            from tree join agent_runs r on r.id = tree.id join agents a on a.id = r.agent_id
            order by r.id limit $2";
        let rows = self.read().await?.rows(SQL, vec![run.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(read).collect()
    }
}

fn read(mut row: Row) -> Result<Relative> {
    Ok(Relative {
        id: RunId(row.int()?),
        agent_name: row.text()?,
        depth: row.count()?,
        status: read_status(&row.text()?)?,
        journal_seq: row.int()?,
        comes_back: row.int()? == 1,
    })
}
