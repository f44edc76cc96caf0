//! Grants: the written name is kept; what it is linked to comes and goes.

use crate::db::Conn;
use crate::servers::read_tool_behind;
use crate::{ROWS_MAX, Store};
use station_core::sync::Grant;
use station_core::{AgentId, EnvironmentId, Result, ServerId, Tool, ToolId};
use std::collections::BTreeMap;

impl Store {
    /// What an agent was granted, in the order of its file.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn grants(&self, agent: AgentId) -> Result<Vec<Grant>> {
        const SQL: &str = "select written, tool_id from agent_tools
            where agent_id = $1 order by position limit $2";
        let rows = self.read().await?.rows(SQL, vec![agent.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter()
            .map(|mut row| Ok(Grant { written: row.text()?, tool: row.opt_int()?.map(ToolId) }))
            .collect()
    }

    /// What an agent was granted, in the order of its file, each with the tool that stands behind it now, where one does.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn granted(&self, agent: AgentId) -> Result<Vec<(String, Option<Tool>)>> {
        const SQL: &str = "select g.written, t.id, t.server_id, s.name, t.name, t.title, t.description,
                t.input_schema, t.output_schema, t.annotations
            from agent_tools g left join (mcp_tools t
                join mcp_servers s on s.id = t.server_id and s.removed_at is null)
                on t.id = g.tool_id and t.removed_at is null
            where g.agent_id = $1 order by g.position limit $2";
        let rows = self.read().await?.rows(SQL, vec![agent.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(|mut row| Ok((row.text()?, read_tool_behind(row)?))).collect()
    }

    /// What an agent was granted, in the order of its file, each with the server that offers it now, where one does.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn granted_servers(&self, agent: AgentId) -> Result<Vec<(String, Option<ServerId>)>> {
        const SQL: &str = "select g.written, s.id
            from agent_tools g left join (mcp_tools t
                join mcp_servers s on s.id = t.server_id and s.removed_at is null)
                on t.id = g.tool_id and t.removed_at is null
            where g.agent_id = $1 order by g.position limit $2";
        let rows = self.read().await?.rows(SQL, vec![agent.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(|mut row| Ok((row.text()?, row.opt_int()?.map(ServerId)))).collect()
    }

    /// The grants of every agent of an environment, by agent name, each in the order of its file.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn grants_by_agent(&self, env: EnvironmentId) -> Result<BTreeMap<String, Vec<Grant>>> {
        const SQL: &str =
            "select a.name, g.written, g.tool_id from agent_tools g join agents a on a.id = g.agent_id
            where a.environment_id = $1 and a.removed_at is null order by a.name, g.position limit $2";
        let rows = self.read().await?.rows(SQL, vec![env.0.into(), ROWS_MAX.into()]).await?;
        let mut by_agent: BTreeMap<String, Vec<Grant>> = BTreeMap::new();
        for mut row in rows {
            let name = row.text()?;
            let grant = Grant { written: row.text()?, tool: row.opt_int()?.map(ToolId) };
            by_agent.entry(name).or_default().push(grant);
        }
        Ok(by_agent)
    }

    /// Gives agents of one environment new links, all or none. Agents of another environment are left alone, and a
    /// link to a tool of another environment is stored as no link.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn relink(&self, env: EnvironmentId, links: &[(AgentId, Vec<Grant>)]) -> Result<()> {
        self.write((env, links.to_vec()), |conn, (env, links)| {
            Box::pin(async move {
                for (agent, grants) in links {
                    if belongs(conn, *agent, *env).await? {
                        replace(conn, *agent, grants).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }
}

async fn belongs(conn: &mut Conn, agent: AgentId, env: EnvironmentId) -> Result<bool> {
    const SQL: &str = "select 1 from agents where id = $1 and environment_id = $2";
    Ok(conn.row(SQL, vec![agent.0.into(), env.0.into()]).await?.is_some())
}

/// Writes an agent's grants anew. A tool of another environment cannot be linked: the subquery does not find it.
pub(crate) async fn replace(conn: &mut Conn, agent: AgentId, grants: &[Grant]) -> Result<()> {
    const CLEAR: &str = "delete from agent_tools where agent_id = $1";
    const INSERT: &str = "insert into agent_tools (agent_id, position, written, tool_id)
        values ($1, $2, $3, (select t.id from mcp_tools t join mcp_servers s on s.id = t.server_id
            join agents a on a.environment_id = s.environment_id where a.id = $1 and t.id = $4))";
    conn.exec(CLEAR, vec![agent.0.into()]).await?;
    for (position, grant) in (0_i64..).zip(grants) {
        let tool = grant.tool.map(|tool| tool.0);
        let values = vec![agent.0.into(), position.into(), grant.written.as_str().into(), tool.into()];
        conn.exec(INSERT, values).await?;
    }
    Ok(())
}
