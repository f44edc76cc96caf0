//! Agents, servers and environments taken out by a person: marked as removed, with their ids and their history, and written into
//! the audit in the same transaction.
//!
//! What this is not: a sync's removals, which touch only what its own files defined (`sync`), and the removal of old
//! runs (`prune`).

use crate::audit::{self, Deed};
use crate::db::Conn;
use crate::sealer::Sealer;
use crate::turns::Reach;
use crate::{ROWS_MAX, Store};
use serde_json::json;
use station_core::{Actor, AgentId, EnvironmentId, Error, Micros, Result, ServerId, plural};

impl Store {
    /// Marks an agent as removed, whoever defined it. One that a sync has removed already is only written down.
    ///
    /// # Errors
    /// `Conflict` where it has runs that have not ended.
    pub async fn remove_agent(&self, id: AgentId, actor: impl Into<Actor>, now: Micros) -> Result<()> {
        self.write_reaching(
            Reach::Audit(None),
            (self.shared_context(), id, actor.into(), now),
            |conn, (context, id, actor, now)| Box::pin(remove_agent(conn, &context.sealer, *id, actor, *now)),
        )
        .await
    }

    /// Marks a server that the store defines as removed, with what defines it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn remove_server(&self, id: ServerId, actor: impl Into<Actor>, now: Micros) -> Result<()> {
        self.write_reaching(
            Reach::Audit(None),
            (self.shared_context(), id, actor.into(), now),
            |conn, (context, id, actor, now)| {
                Box::pin(remove_server(conn, &context.sealer, *id, actor, *now))
            },
        )
        .await
    }

    /// Marks an environment as removed with its agents, server files and servers, and forgets its variables.
    ///
    /// # Errors
    /// `Conflict` where it has runs that have not ended.
    pub async fn remove_environment(
        &self,
        id: EnvironmentId,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        self.write_reaching(
            Reach::Audit(None),
            (self.shared_context(), id, actor.into(), now),
            |conn, (context, id, actor, now)| {
                Box::pin(remove_environment(conn, &context.sealer, *id, actor, *now))
            },
        )
        .await
    }

    /// Names of the agents whose definitions name this one, sorted.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn callers_of(&self, agent: AgentId) -> Result<Vec<String>> {
        const SQL: &str = "select distinct a.name from agent_agents s join agents a on a.id = s.agent_id
            where s.child_id = $1 and a.removed_at is null order by a.name limit $2";
        let rows = self.read().await?.rows(SQL, vec![agent.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(|mut row| row.text()).collect()
    }

    /// Writes into the audit what a person does that no other row here tells: the call of a tool, before it is sent; a
    /// server taken out of its file, after it was.
    ///
    /// # Errors
    /// Where the database fails: then nothing may be sent.
    pub async fn note_deed(
        &self,
        action: &'static str,
        subject: &str,
        detail: serde_json::Value,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        let (actor, subject) = (actor.into(), subject.to_owned());
        self.note_deeds(vec![Deed { at: now, actor, action, subject, detail: detail.to_string() }]).await
    }

    /// As [`Store::note_deed`], several in their order and in one transaction.
    ///
    /// # Errors
    /// Where the database fails: then none is written.
    pub async fn note_deeds(&self, deeds: Vec<Deed>) -> Result<()> {
        self.write_reaching(Reach::Audit(None), (self.shared_context(), deeds), |conn, (context, deeds)| {
            Box::pin(audit::append_all(conn, &context.sealer, deeds))
        })
        .await
    }
}

async fn remove_agent(
    conn: &mut Conn,
    sealer: &Sealer,
    id: AgentId,
    actor: &Actor,
    now: Micros,
) -> Result<()> {
    const OPEN: &str = "select count(*) from agent_runs
        where agent_id = $1 and status in ('queued', 'running', 'waiting')";
    const SQL: &str =
        "update agents set removed_at = $2, updated_at = $2 where id = $1 and removed_at is null";
    const UNLINK: &str = "update agent_agents set child_id = null where child_id = $1";
    const NAME: &str = "select a.name, e.name from agents a join environments e on e.id = a.environment_id
        where a.id = $1";
    refuse_open(conn, OPEN, id.0, &format!("agent {id}")).await?;
    let gone = conn.exec(SQL, vec![id.0.into(), now.0.into()]).await?;
    conn.exec(UNLINK, vec![id.0.into()]).await?;
    // Removing its file was told already.
    if gone == 0 {
        return Ok(());
    }
    let Some(mut row) = conn.row(NAME, vec![id.0.into()]).await? else { return Ok(()) };
    let detail = json!({"name": row.text()?, "environment": row.text()?});
    audit::note(conn, sealer, (actor, now), "delete_agent", format!("agent {id}"), detail).await
}

async fn remove_server(
    conn: &mut Conn,
    sealer: &Sealer,
    id: ServerId,
    actor: &Actor,
    now: Micros,
) -> Result<()> {
    const SQL: &str = "update mcp_servers set removed_at = $2 where id = $1 and removed_at is null";
    // A definition of the store holds one server, so it goes with it.
    const CONFIG: &str = "update mcp_configs set removed_at = $2, updated_at = $2
        where id = (select config_id from mcp_servers where id = $1) and origin = 'store' and removed_at is null";
    const NAME: &str =
        "select s.name, e.name from mcp_servers s join environments e on e.id = s.environment_id
        where s.id = $1";
    for sql in [SQL, CONFIG] {
        conn.exec(sql, vec![id.0.into(), now.0.into()]).await?;
    }
    let Some(mut row) = conn.row(NAME, vec![id.0.into()]).await? else { return Ok(()) };
    let detail = json!({"name": row.text()?, "environment": row.text()?});
    audit::note(conn, sealer, (actor, now), "delete_server", format!("server {id}"), detail).await
}

async fn remove_environment(
    conn: &mut Conn,
    sealer: &Sealer,
    id: EnvironmentId,
    actor: &Actor,
    now: Micros,
) -> Result<()> {
    const OPEN: &str = "select count(*) from agent_runs
        where environment_id = $1 and status in ('queued', 'running', 'waiting')";
    const SERVERS: &str =
        "update mcp_servers set removed_at = $2 where environment_id = $1 and removed_at is null";
    const CONFIGS: &str = "update mcp_configs set removed_at = $2, updated_at = $2 where environment_id = $1 and removed_at is null";
    const AGENTS: &str =
        "update agents set removed_at = $2, updated_at = $2 where environment_id = $1 and removed_at is null";
    const SQL: &str = "update environments set removed_at = $2, updated_at = $2, files_seen = null
        where id = $1 and removed_at is null returning name";
    const VARIABLES: &str = "delete from variables where environment_id = $1";
    // One of the same name later is for whom it is assigned to then.
    const ASSIGNED: &str = "delete from user_environments where environment_id = $1";
    refuse_open(conn, OPEN, id.0, &format!("environment {id}")).await?;
    conn.exec(ASSIGNED, vec![id.0.into()]).await?;
    for sql in [SERVERS, CONFIGS, AGENTS] {
        conn.exec(sql, vec![id.0.into(), now.0.into()]).await?;
    }
    conn.exec(VARIABLES, vec![id.0.into()]).await?;
    let Some(mut row) = conn.row(SQL, vec![id.0.into(), now.0.into()]).await? else { return Ok(()) };
    let detail = json!({"name": row.text()?});
    audit::note(conn, sealer, (actor, now), "delete_environment", format!("environment {id}"), detail).await
}

async fn refuse_open(conn: &mut Conn, sql: &'static str, id: i64, what: &str) -> Result<()> {
    let open = match conn.row(sql, vec![id.into()]).await? {
        Some(mut row) => row.int()?,
        None => 0,
    };
    if open == 0 {
        return Ok(());
    }
    let sentence = format!("{what} has {} that did not end yet", plural(open, "run"));
    Err(Error::conflict(sentence)
        .with_hint("`stn runs list --waiting` shows them; `stn runs cancel` ends one"))
}
