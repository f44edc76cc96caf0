//! Agents and what they may coordinate.

use crate::db::{Conn, Row, unreadable};
use crate::environments::read_origin;
use crate::turns::Reach;
use crate::{ROWS_MAX, Store, audit, grants};
use serde_json::json;
use station_core::sync::AgentRow;
use station_core::{Actor, Agent, AgentId, AgentName, Caller, EnvironmentId, Error, Micros, Origin, Result};
use std::collections::BTreeMap;

/// An agent that another one may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAgent {
    /// Its name as written.
    pub written: String,
    /// The agent of the same environment that bears it now.
    pub agent: Option<AgentId>,
}

impl Store {
    /// Agents that were not removed, of one environment or of all but the built-in one, by environment and name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn agents(&self, env: Option<EnvironmentId>) -> Result<Vec<Agent>> {
        // A cross join, which SQLite takes as an order: from the agents, and not from ten thousand environments.
        const SQL: &str = "select a.id, a.environment_id, a.name, a.description, a.model, a.tags, a.origin,
                a.enabled, a.created_at, a.updated_at
            from agents a cross join environments e
            where e.id = a.environment_id and a.removed_at is null and e.removed_at is null
                and case when cast($1 as bigint) is null then e.name not like '@%' else a.environment_id = $1 end
            order by e.name, a.name limit $2";
        let rows = self.read().await?.rows(SQL, vec![env.map(|env| env.0).into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(read_agent).collect()
    }

    /// The agent of this id, where there is one that was not removed.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn agent(&self, id: AgentId) -> Result<Option<Agent>> {
        const SQL: &str = "select a.id, a.environment_id, a.name, a.description, a.model, a.tags, a.origin,
                a.enabled, a.created_at, a.updated_at
            from agents a join environments e on e.id = a.environment_id
            where a.removed_at is null and e.removed_at is null and a.id = $1";
        let row = self.read().await?.row(SQL, vec![id.0.into()]).await?;
        row.map(read_agent).transpose()
    }

    /// Agents of this name, of one environment or of all but the built-in one, by environment: a name is unique in each.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn agents_named(&self, name: &str, env: Option<EnvironmentId>) -> Result<Vec<Agent>> {
        const SQL: &str = "select a.id, a.environment_id, a.name, a.description, a.model, a.tags, a.origin,
                a.enabled, a.created_at, a.updated_at
            from agents a join environments e on e.id = a.environment_id
            where a.removed_at is null and e.removed_at is null and a.name = $1
                and case when cast($2 as bigint) is null then e.name not like '@%' else a.environment_id = $2 end
            order by e.name limit $3";
        let values = vec![name.into(), env.map(|env| env.0).into(), ROWS_MAX.into()];
        let rows = self.read().await?.rows(SQL, values).await?;
        rows.into_iter().map(read_agent).collect()
    }

    /// The text of an agent's definition.
    ///
    /// # Errors
    /// `NotFound` where there is no such agent.
    pub async fn agent_source(&self, id: AgentId) -> Result<String> {
        const SQL: &str = "select s.source from agent_sources s join agents a on a.id = s.agent_id
            where a.removed_at is null and a.id = $1";
        let row = self.read().await?.row(SQL, vec![id.0.into()]).await?;
        row.ok_or_else(|| Error::not_found(format!("agent {id} does not exist")))?.text()
    }

    /// The texts of the definitions of all agents of an environment.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn agent_sources(&self, env: EnvironmentId) -> Result<BTreeMap<AgentId, String>> {
        const SQL: &str = "select a.id, s.source from agent_sources s join agents a on a.id = s.agent_id
            where a.removed_at is null and a.environment_id = $1 limit $2";
        let rows = self.read().await?.rows(SQL, vec![env.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(|mut row| Ok((AgentId(row.int()?), row.text()?))).collect()
    }

    /// Makes an agent of the store one of files, of the workspace `workspace_id`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn export_agent(
        &self,
        env: EnvironmentId,
        row: &AgentRow,
        workspace_id: &str,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<AgentId> {
        let owner = Ownership { env, origin: Origin::File, workspace_id: workspace_id.to_owned(), now };
        let input = (self.shared_context(), owner, row.clone(), actor.into());
        self.write_reaching(Reach::Audit(None), input, |conn, (context, owner, row, actor)| {
            Box::pin(async move {
                let id = put(conn, owner, row).await?;
                link_sub_agents(conn, owner.env).await?;
                let (by, subject) = ((actor, owner.now), format!("agent {id}"));
                let detail = json!({ "name": row.name.as_str(), "path": row.path });
                audit::note(conn, &context.sealer, by, "export_agent", subject, detail).await?;
                Ok(id)
            })
        })
        .await
    }

    /// Says whether an agent may be run. A row's own state: no file says it, and no sync changes it.
    ///
    /// # Errors
    /// `NotFound` where there is no such agent.
    pub async fn enable_agent(
        &self,
        id: AgentId,
        enabled: bool,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        const SQL: &str = "update agents set enabled = $2, updated_at = $3
            where id = $1 and removed_at is null";
        let input = (self.shared_context(), id, enabled, actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, id, enabled, actor, now)| {
            Box::pin(async move {
                let values = vec![id.0.into(), i64::from(*enabled).into(), now.0.into()];
                if conn.exec(SQL, values).await? == 0 {
                    return Err(Error::not_found(format!("agent {id} does not exist")));
                }
                let action = if *enabled { "enable_agent" } else { "disable_agent" };
                audit::note(conn, &context.sealer, (actor, *now), action, format!("agent {id}"), json!({}))
                    .await
            })
        })
        .await
    }

    /// The agents that an agent may call, in the order of its file.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sub_agents(&self, agent: AgentId) -> Result<Vec<SubAgent>> {
        const SQL: &str = "select written, child_id from agent_agents
            where agent_id = $1 order by position limit $2";
        let rows = self.read().await?.rows(SQL, vec![agent.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter()
            .map(|mut row| Ok(SubAgent { written: row.text()?, agent: row.opt_int()?.map(AgentId) }))
            .collect()
    }
}

/// Whose a row becomes when it is put.
pub(crate) struct Ownership {
    pub(crate) env: EnvironmentId,
    pub(crate) origin: Origin,
    pub(crate) workspace_id: String,
    pub(crate) now: Micros,
}

pub(crate) async fn put(conn: &mut Conn, owner: &Ownership, row: &AgentRow) -> Result<AgentId> {
    const SQL: &str = "insert into agents (environment_id, name, description, model, tags, path,
            origin, workspace_id, enabled, user_id, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $10)
        on conflict (environment_id, name) do update set description = excluded.description,
            model = excluded.model, tags = excluded.tags, path = excluded.path,
            origin = excluded.origin, workspace_id = excluded.workspace_id,
            updated_at = excluded.updated_at, removed_at = null
        returning id";
    let tags = serde_json::to_string(&row.tags).map_err(|cause| Error::internal("storing tags", cause))?;
    let values = vec![
        owner.env.0.into(),
        row.name.as_str().into(),
        row.description.as_str().into(),
        row.model.as_deref().into(),
        tags.into(),
        row.path.as_deref().into(),
        owner.origin.as_str().into(),
        owner.workspace_id.as_str().into(),
        Caller::LOCAL_USER.0.into(),
        owner.now.0.into(),
    ];
    let stored = conn.row(SQL, values).await?;
    let id = AgentId(stored.ok_or_else(|| unreadable("an agent was not stored"))?.int()?);
    const SOURCE: &str = "insert into agent_sources (agent_id, source) values ($1, $2)
        on conflict (agent_id) do update set source = excluded.source";
    conn.exec(SOURCE, vec![id.0.into(), row.source.as_str().into()]).await?;
    grants::replace(conn, id, &row.tools).await?;
    replace_sub_agents(conn, id, &row.agents).await?;
    Ok(id)
}

/// Puts an agent under another name. Where the name is taken by now, the plan was late: then it is a removal and a new row.
pub(crate) async fn rename(conn: &mut Conn, owner: &Ownership, id: AgentId, row: &AgentRow) -> Result<()> {
    const SQL: &str = "update agents set name = $4, updated_at = $5
        where id = $1 and environment_id = $2 and origin = $6 and workspace_id = $3 and removed_at is null
            and not exists (select 1 from agents other where other.environment_id = $2 and other.name = $4)";
    let values = vec![
        id.0.into(),
        owner.env.0.into(),
        owner.workspace_id.as_str().into(),
        row.name.as_str().into(),
        owner.now.0.into(),
        owner.origin.as_str().into(),
    ];
    if conn.exec(SQL, values).await? == 0 {
        remove(conn, owner, id).await?;
    }
    put(conn, owner, row).await.map(drop)
}

async fn replace_sub_agents(conn: &mut Conn, agent: AgentId, written: &[String]) -> Result<()> {
    const CLEAR: &str = "delete from agent_agents where agent_id = $1";
    const INSERT: &str = "insert into agent_agents (agent_id, position, written) values ($1, $2, $3)";
    conn.exec(CLEAR, vec![agent.0.into()]).await?;
    for (position, written) in (0_i64..).zip(written) {
        conn.exec(INSERT, vec![agent.0.into(), position.into(), written.as_str().into()]).await?;
    }
    Ok(())
}

/// Links every written name of an environment to the agent that bears it now. Never into another environment.
pub(crate) async fn link_sub_agents(conn: &mut Conn, env: EnvironmentId) -> Result<()> {
    const SQL: &str = "update agent_agents set child_id = (
            select child.id from agents child
            where child.environment_id = $1 and child.removed_at is null and child.name = agent_agents.written)
        where agent_id in (select id from agents where environment_id = $1)";
    conn.exec(SQL, vec![env.0.into()]).await.map(drop)
}

/// Marks an agent as removed, if it is a file's and of this workspace: sync removes nothing else, whatever it is told.
pub(crate) async fn remove(conn: &mut Conn, owner: &Ownership, id: AgentId) -> Result<()> {
    const SQL: &str = "update agents set removed_at = $4, updated_at = $4
        where id = $1 and environment_id = $2 and origin = 'file' and workspace_id = $3 and removed_at is null";
    let values =
        vec![id.0.into(), owner.env.0.into(), owner.workspace_id.as_str().into(), owner.now.0.into()];
    conn.exec(SQL, values).await.map(drop)
}

fn read_agent(mut row: Row) -> Result<Agent> {
    Ok(Agent {
        id: AgentId(row.int()?),
        environment: EnvironmentId(row.int()?),
        name: AgentName::parse(&row.text()?)?,
        description: row.text()?,
        model: row.opt_text()?,
        tags: serde_json::from_str(&row.text()?).map_err(|_| unreadable("tags that are no list"))?,
        origin: read_origin(&row.text()?)?,
        enabled: row.int()? == 1,
        created_at: Micros(row.int()?),
        updated_at: Micros(row.int()?),
    })
}
