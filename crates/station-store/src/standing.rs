//! Standing approvals: "always", until somebody takes it back or the tool is not what it was.

use crate::audit;
use crate::db::{Conn, storable};
use crate::sealer::Sealer;
use crate::turns::Reach;
use crate::{ROWS_MAX, Store};
use serde_json::json;
use station_core::{Actor, AgentId, Error, Micros, Result, ServerId, UserId};

/// A standing yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingApproval {
    /// Its row.
    pub id: i64,
    /// The agent's name.
    pub agent: String,
    /// The environment's name.
    pub environment: String,
    /// The server's name.
    pub server: String,
    /// The upstream name of the tool.
    pub tool: String,
    /// The definition it holds for.
    pub definition_hash: String,
    /// The question to which it was the answer.
    pub approval: i64,
    /// When it was given.
    pub made_at: Micros,
    /// By whom.
    pub made_by: String,
    /// How often a call was sent on it.
    pub uses: u64,
}

impl StandingApproval {
    /// What is said where none of this number holds.
    #[must_use]
    pub fn missing(id: i64) -> Error {
        Error::not_found(format!("standing approval {id} does not exist, or was revoked already"))
            .with_hint("`stn approvals list --always` shows those that hold")
    }
}

impl Store {
    /// The standing yes for calls of `tool`, defined as `definition`, by `agent`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn standing_approval(
        &self,
        agent: AgentId,
        server: ServerId,
        tool: &str,
        definition: &str,
    ) -> Result<Option<i64>> {
        const SQL: &str =
            "select id from standing_approvals where agent_id = $1 and server_id = $2 and tool = $3
            and definition_hash = $4 and revoked_at is null";
        let values = vec![agent.0.into(), server.0.into(), tool.into(), definition.into()];
        self.read().await?.row(SQL, values).await?.map(|mut row| row.int()).transpose()
    }

    /// Every standing yes, oldest first: `seen_by` a user those of the environments assigned to it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn standing_approvals(&self, seen_by: Option<UserId>) -> Result<Vec<StandingApproval>> {
        const SQL: &str =
            "select t.id, a.name, e.name, s.name, t.tool, t.definition_hash, t.approval_id, t.made_at,
                t.made_by, t.uses
            from standing_approvals t join agents a on a.id = t.agent_id
                join environments e on e.id = a.environment_id join mcp_servers s on s.id = t.server_id
            where t.revoked_at is null and (cast($1 as bigint) is null or e.id in
                (select environment_id from user_environments where user_id = $1))
            order by t.id limit $2";
        let values = vec![seen_by.map(|user| user.0).into(), ROWS_MAX.into()];
        let rows = self.read().await?.rows(SQL, values).await?;
        rows.into_iter()
            .map(|mut row| {
                let row = &mut row;
                Ok(StandingApproval {
                    id: row.int()?,
                    agent: row.text()?,
                    environment: row.text()?,
                    server: row.text()?,
                    tool: row.text()?,
                    definition_hash: row.text()?,
                    approval: row.int()?,
                    made_at: Micros(row.int()?),
                    made_by: row.text()?,
                    uses: row.count()?,
                })
            })
            .collect()
    }

    /// Takes a standing yes back; calls from then on wait for a person again.
    ///
    /// # Errors
    /// `NotFound` where there is none of this number that holds.
    pub async fn revoke_standing_approval(
        &self,
        id: i64,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        let input = (self.shared_context(), id, actor.into(), now);
        let revoked = self
            .write_reaching(Reach::Audit(None), input, |conn, (context, id, actor, now)| {
                Box::pin(revoke(conn, &context.sealer, *id, actor, *now))
            })
            .await?;
        if revoked { Ok(()) } else { Err(StandingApproval::missing(id)) }
    }
}

async fn revoke(conn: &mut Conn, sealer: &Sealer, id: i64, actor: &Actor, now: Micros) -> Result<bool> {
    const SQL: &str = "update standing_approvals set revoked_at = $2, revoked_by = $3
        where id = $1 and revoked_at is null returning tool, approval_id";
    let Some(mut row) = conn.row(SQL, vec![id.into(), now.0.into(), storable(&actor.name).into()]).await?
    else {
        return Ok(false);
    };
    let detail = json!({"tool": row.text()?, "approval": row.int()?});
    let subject = format!("standing approval {id}");
    audit::note(conn, sealer, (actor, now), "revoke_approval", subject, detail).await?;
    Ok(true)
}

/// Records that a call is sent on a standing yes, in the commit of what it appends.
///
/// # Errors
/// `Conflict` where it was revoked a moment ago: nothing is sent, and the run's next driver asks anew.
pub(crate) async fn use_standing(conn: &mut Conn, id: i64, now: Micros) -> Result<()> {
    const SQL: &str =
        "update standing_approvals set uses = uses + 1, used_at = $2 where id = $1 and revoked_at is null";
    match conn.exec(SQL, vec![id.into(), now.0.into()]).await? {
        1 => Ok(()),
        _ => Err(Error::conflict(format!("standing approval {id} was revoked"))),
    }
}
