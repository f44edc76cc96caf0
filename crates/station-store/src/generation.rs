//! How often anything changed that says what agents are and may do: environments with their rules, variables, agents,
//! grants, servers and tools. Counted by triggers (migration 3), so that no writer can forget to.

use crate::Store;
use crate::db::unreadable;
use station_core::Result;

impl Store {
    /// The number of definitions: whoever read some, and finds this number as it was before, has read what is there.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn generation(&self) -> Result<i64> {
        const SQL: &str = "select generation from store where id = 1";
        let row = self.read().await?.row(SQL, Vec::new()).await?;
        row.ok_or_else(|| unreadable("a store that says nothing of itself"))?.int()
    }
}
