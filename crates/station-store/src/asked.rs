//! Questions to people, found by what they are of and told page by page. What becomes of them is in `approvals`.

use crate::Store;
use crate::approvals::{Approval, read_approval, select_approvals};
use station_core::approval::Status;
use station_core::{AgentId, EnvironmentId, Result, RunId, UserId};

/// Which questions are wanted; `None` means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// In this status.
    pub status: Option<Status>,
    /// Of calls in this environment.
    pub environment: Option<EnvironmentId>,
    /// Of this agent.
    pub agent: Option<AgentId>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Behind this one, in the order in which they are told: the next page.
    pub behind: Option<i64>,
    /// In the environments assigned to this user.
    pub seen_by: Option<UserId>,
}

impl ApprovalFilter {
    /// Those that wait.
    #[must_use]
    pub fn pending() -> Self {
        Self { status: Some(Status::Pending), ..Self::default() }
    }
}

impl Store {
    /// Questions, at most `limit`: those that wait, oldest first; others, newest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn approvals(&self, filter: &ApprovalFilter, limit: u32) -> Result<Vec<Approval>> {
        const OLDEST: &str = select_approvals!(
            "where p.status = $1 and (cast($2 as bigint) is null or p.environment_id = $2)
                and (cast($3 as bigint) is null or p.agent_id = $3)
                and (cast($4 as bigint) is null or p.run_id = $4)
                and (cast($5 as bigint) is null or p.environment_id in
                    (select environment_id from user_environments where user_id = $5))
                and (cast($6 as bigint) is null or p.id > $6)
            order by p.id limit $7"
        );
        const NEWEST: &str = select_approvals!(
            "where (cast($1 as text) is null or p.status = $1)
                and (cast($2 as bigint) is null or p.environment_id = $2)
                and (cast($3 as bigint) is null or p.agent_id = $3)
                and (cast($4 as bigint) is null or p.run_id = $4)
                and (cast($5 as bigint) is null or p.environment_id in
                    (select environment_id from user_environments where user_id = $5))
                and (cast($6 as bigint) is null or p.id < $6)
            order by p.id desc limit $7"
        );
        let sql = if filter.status == Some(Status::Pending) { OLDEST } else { NEWEST };
        let values = vec![
            filter.status.map(Status::as_str).into(),
            filter.environment.map(|id| id.0).into(),
            filter.agent.map(|id| id.0).into(),
            filter.run.map(|id| id.0).into(),
            filter.seen_by.map(|user| user.0).into(),
            filter.behind.into(),
            i64::from(limit).into(),
        ];
        let rows = self.read().await?.rows(sql, values).await?;
        rows.into_iter().map(read_approval).collect()
    }
}
