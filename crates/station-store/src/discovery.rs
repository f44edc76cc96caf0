//! What a discovery found, or why it failed, into the catalog.
//!
//! A tool that vanished is marked removed and keeps its id, so that grants and approvals find it when it returns.
//! **Invariant:** a failed discovery removes nothing.

use crate::Store;
use crate::db::{Conn, storable};
use crate::servers::no_such;
use serde_json::{Map, Value as Json};
use station_core::discovery::{DiscoveredTool, Discovery};
use station_core::{Error, Micros, Result, ServerId, Tool, ToolId, tool};

impl Store {
    /// Replaces what the catalog says of a server by what was found.
    ///
    /// # Errors
    /// `NotFound` where there is no such server.
    pub async fn record_discovery(&self, server: ServerId, found: &Discovery, now: Micros) -> Result<()> {
        self.write((server, found.clone(), now), |conn, (server, found, now)| {
            Box::pin(record(conn, *server, found, *now))
        })
        .await
    }

    /// Keeps why a server could not be listed, or not be reached by a call; the catalog stays as it is.
    ///
    /// # Errors
    /// `NotFound` where there is no such server.
    pub async fn record_discovery_failure(&self, server: ServerId, problem: &str, now: Micros) -> Result<()> {
        const SQL: &str = "update mcp_servers set problem = $2, problem_at = $3,
                down_since = coalesce(down_since, $3)
            where id = $1 and removed_at is null";
        self.write((server, storable(problem), now), |conn, (server, problem, now)| {
            Box::pin(async move {
                let values = vec![server.0.into(), problem.as_str().into(), now.0.into()];
                if conn.exec(SQL, values).await? == 0 { Err(no_such(*server)) } else { Ok(()) }
            })
        })
        .await
    }
}

impl Store {
    /// A server that was down has answered a call.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn record_reached(&self, server: ServerId) -> Result<()> {
        const SQL: &str = "update mcp_servers set problem = null, problem_at = null, down_since = null
            where id = $1 and problem is not null";
        self.write(server, |conn, server| {
            Box::pin(async move { conn.exec(SQL, vec![server.0.into()]).await.map(drop) })
        })
        .await
    }
}

async fn record(conn: &mut Conn, server: ServerId, found: &Discovery, now: Micros) -> Result<()> {
    const SQL: &str =
        "update mcp_servers set era = $2, discovered_at = $3, problem = null, problem_at = null,
            down_since = null, capabilities = $4, instructions = $5
        where id = $1 and removed_at is null";
    let values = vec![
        server.0.into(),
        found.era.as_str().into(),
        now.0.into(),
        found.capabilities.to_string().into(),
        found.instructions.as_deref().map(storable).into(),
    ];
    if conn.exec(SQL, values).await? == 0 {
        return Err(no_such(server));
    }
    record_tools(conn, server, &found.tools, now).await?;
    record_resources(conn, server, found).await?;
    record_prompts(conn, server, found).await
}

/// All are marked removed first; those that were found come back in the same transaction.
async fn record_tools(
    conn: &mut Conn,
    server: ServerId,
    tools: &[DiscoveredTool],
    now: Micros,
) -> Result<()> {
    const CLEAR: &str = "update mcp_tools set removed_at = $2 where server_id = $1 and removed_at is null";
    const PUT: &str = "insert into mcp_tools (server_id, position, name, title, description, input_schema,
            output_schema, annotations, definition_hash, more)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (server_id, name) do update set position = excluded.position, title = excluded.title,
            description = excluded.description, input_schema = excluded.input_schema,
            output_schema = excluded.output_schema, annotations = excluded.annotations,
            definition_hash = excluded.definition_hash, more = excluded.more, removed_at = null";
    conn.exec(CLEAR, vec![server.0.into(), now.0.into()]).await?;
    for (position, found) in (0_i64..).zip(tools) {
        let values = vec![
            server.0.into(),
            position.into(),
            storable(&found.name).into(),
            storable(&found.title).into(),
            storable(&found.description).into(),
            found.input_schema.to_string().into(),
            found.output_schema.as_ref().map(Json::to_string).into(),
            serde_json::to_string(&found.annotations)
                .map_err(|cause| Error::internal("storing a tool", cause))?
                .into(),
            definition_hash(server, found).into(),
            more(&found.more).into(),
        ];
        conn.exec(PUT, values).await?;
    }
    Ok(())
}

fn definition_hash(server: ServerId, found: &DiscoveredTool) -> String {
    tool::definition_hash(&Tool {
        // Neither id nor server is part of what a tool promises.
        id: ToolId(0),
        server,
        server_name: String::new(),
        name: found.name.clone(),
        title: found.title.clone(),
        description: found.description.clone(),
        input_schema: found.input_schema.clone(),
        output_schema: found.output_schema.clone(),
        annotations: found.annotations,
    })
}

async fn record_resources(conn: &mut Conn, server: ServerId, found: &Discovery) -> Result<()> {
    const CLEAR: &str = "delete from mcp_resources where server_id = $1";
    const PUT: &str =
        "insert into mcp_resources (server_id, position, uri, name, description, mime, is_template, more)
        values ($1, $2, $3, $4, $5, $6, $7, $8)";
    conn.exec(CLEAR, vec![server.0.into()]).await?;
    for (position, resource) in (0_i64..).zip(&found.resources) {
        let values = vec![
            server.0.into(),
            position.into(),
            storable(&resource.uri).into(),
            storable(&resource.name).into(),
            storable(&resource.description).into(),
            resource.mime.as_deref().map(storable).into(),
            i64::from(resource.is_template).into(),
            more(&resource.more).into(),
        ];
        conn.exec(PUT, values).await?;
    }
    Ok(())
}

async fn record_prompts(conn: &mut Conn, server: ServerId, found: &Discovery) -> Result<()> {
    const CLEAR: &str = "delete from mcp_prompts where server_id = $1";
    const PUT: &str = "insert into mcp_prompts (server_id, position, name, description, arguments, more)
        values ($1, $2, $3, $4, $5, $6)";
    conn.exec(CLEAR, vec![server.0.into()]).await?;
    for (position, prompt) in (0_i64..).zip(&found.prompts) {
        let values = vec![
            server.0.into(),
            position.into(),
            storable(&prompt.name).into(),
            storable(&prompt.description).into(),
            prompt.arguments.to_string().into(),
            more(&prompt.more).into(),
        ];
        conn.exec(PUT, values).await?;
    }
    Ok(())
}

/// What is said besides, as it is stored.
fn more(said: &Map<String, Json>) -> Option<String> {
    (!said.is_empty()).then(|| Json::Object(said.clone()).to_string())
}
