//! Server files: their text, sealed, and the servers they define.

use crate::agents::Ownership;
use crate::db::{Conn, unreadable};
use crate::environments::read_origin;
use crate::seal::Place;
use crate::{Context, ROWS_MAX, Store};
use station_core::sync::{ServerOutline, StoredConfig};
use station_core::{EnvironmentId, Error, Origin, Result, Secret, ServerId};
use std::collections::BTreeMap;

/// A server file as a list shows it: its text may hold secrets, and is read by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFile {
    /// Its row.
    pub id: i64,
    /// The environment it belongs to.
    pub environment: EnvironmentId,
    /// Its name without `.json`.
    pub name: String,
    /// Its path, relative to the workspace.
    pub path: String,
    /// Where its definition lives.
    pub origin: Origin,
}

impl Store {
    /// Server files that were not removed, of one environment or of all, by environment and name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn server_files(&self, env: Option<EnvironmentId>) -> Result<Vec<ServerFile>> {
        const SQL: &str = "select c.id, c.environment_id, c.name, c.path, c.origin
            from mcp_configs c join environments e on e.id = c.environment_id
            where c.removed_at is null and e.removed_at is null
                and (cast($1 as bigint) is null or c.environment_id = $1)
            order by e.name, c.name limit $2";
        let rows = self.read().await?.rows(SQL, vec![env.map(|env| env.0).into(), ROWS_MAX.into()]).await?;
        rows.into_iter()
            .map(|mut row| {
                Ok(ServerFile {
                    id: row.int()?,
                    environment: EnvironmentId(row.int()?),
                    name: row.text()?,
                    path: row.text()?,
                    origin: read_origin(&row.text()?)?,
                })
            })
            .collect()
    }
}

/// What a server file holds.
pub(crate) struct Config<'a> {
    pub(crate) name: &'a str,
    pub(crate) path: &'a str,
    pub(crate) source: &'a Secret,
    pub(crate) servers: &'a [ServerOutline],
    pub(crate) dropped: &'a [String],
}

/// Where the text of a server file is sealed to.
pub(crate) fn place<'a>(row: &'a [&'a str]) -> Place<'a> {
    Place { table: "mcp_configs", column: "source", row }
}

pub(crate) async fn put(
    conn: &mut Conn,
    context: &Context,
    owner: &Ownership,
    config: Config<'_>,
) -> Result<()> {
    const SQL: &str = "insert into mcp_configs
            (environment_id, name, path, source, origin, workspace_id, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $7)
        on conflict (environment_id, name) do update set path = excluded.path, source = excluded.source,
            origin = excluded.origin, workspace_id = excluded.workspace_id,
            updated_at = excluded.updated_at, removed_at = null
        returning id";
    let sealed =
        context.sealer.seal(conn, place(&[&owner.env.to_string(), config.name]), config.source).await?;
    let values = vec![
        owner.env.0.into(),
        config.name.into(),
        config.path.into(),
        sealed.into(),
        owner.origin.as_str().into(),
        owner.workspace_id.as_str().into(),
        owner.now.0.into(),
    ];
    let stored = conn.row(SQL, values).await?;
    let id = stored.ok_or_else(|| unreadable("a server file was not stored"))?.int()?;
    for (position, server) in (0_i64..).zip(config.servers) {
        put_server(conn, owner.env, id, (position, server)).await?;
    }
    for name in config.dropped {
        drop_server(conn, owner, id, name).await?;
    }
    Ok(())
}

/// A server whose definition changed has to be listed anew, and may speak another era; its tools stay until then.
async fn put_server(
    conn: &mut Conn,
    env: EnvironmentId,
    config: i64,
    (position, server): (i64, &ServerOutline),
) -> Result<()> {
    const SQL: &str = "insert into mcp_servers (config_id, environment_id, name, position, transport,
            definition_hash, variables, capabilities)
        values ($1, $2, $3, $4, $5, $6, $7, '{}')
        on conflict (environment_id, name) do update set config_id = excluded.config_id,
            position = excluded.position, transport = excluded.transport, variables = excluded.variables,
            era = case when mcp_servers.definition_hash = excluded.definition_hash
                then mcp_servers.era end,
            discovered_at = case when mcp_servers.definition_hash = excluded.definition_hash
                then mcp_servers.discovered_at end,
            problem = case when mcp_servers.definition_hash = excluded.definition_hash
                then mcp_servers.problem end,
            problem_at = case when mcp_servers.definition_hash = excluded.definition_hash
                then mcp_servers.problem_at end,
            down_since = case when mcp_servers.definition_hash = excluded.definition_hash
                then mcp_servers.down_since end,
            definition_hash = excluded.definition_hash, removed_at = null";
    let variables = serde_json::to_string(&server.variables)
        .map_err(|cause| Error::internal("storing a server's variables", cause))?;
    let values = vec![
        config.into(),
        env.0.into(),
        server.name.as_str().into(),
        position.into(),
        server.transport.as_str().into(),
        server.definition_hash.as_str().into(),
        variables.into(),
    ];
    conn.exec(SQL, values).await.map(drop)
}

/// Only where this file still defines it: a server that moved to another file stays.
async fn drop_server(conn: &mut Conn, owner: &Ownership, config: i64, name: &str) -> Result<()> {
    const SQL: &str = "update mcp_servers set removed_at = $4
        where config_id = $1 and environment_id = $2 and name = $3 and removed_at is null";
    conn.exec(SQL, vec![config.into(), owner.env.0.into(), name.into(), owner.now.0.into()]).await.map(drop)
}

/// Marks a server file and what it defines as removed, if it is of this workspace: sync removes nothing else.
pub(crate) async fn remove(conn: &mut Conn, owner: &Ownership, name: &str) -> Result<()> {
    const SQL: &str = "update mcp_configs set removed_at = $4, updated_at = $4
        where environment_id = $1 and name = $2 and origin = 'file' and workspace_id = $3
            and removed_at is null
        returning id";
    const SERVERS: &str =
        "update mcp_servers set removed_at = $2 where config_id = $1 and removed_at is null";
    let values =
        vec![owner.env.0.into(), name.into(), owner.workspace_id.as_str().into(), owner.now.0.into()];
    if let Some(mut row) = conn.row(SQL, values).await? {
        conn.exec(SERVERS, vec![row.int()?.into(), owner.now.0.into()]).await?;
    }
    Ok(())
}

/// The server files of an environment, by name.
pub(crate) async fn stored(
    conn: &mut Conn,
    context: &Context,
    env: EnvironmentId,
    workspace_id: &str,
) -> Result<BTreeMap<String, StoredConfig>> {
    const SQL: &str = "select id, name, source, origin, workspace_id from mcp_configs
        where environment_id = $1 and removed_at is null order by name limit $2";
    let rows = conn.rows(SQL, vec![env.0.into(), crate::ROWS_MAX.into()]).await?;
    let key = env.to_string();
    let mut configs = BTreeMap::new();
    let mut names = BTreeMap::new();
    for mut row in rows {
        let (id, name, sealed) = (row.int()?, row.text()?, row.bytes()?);
        let is_file = row.text()? == Origin::File.as_str();
        let config = StoredConfig {
            source: context.sealer.open(place(&[&key, &name]), &sealed)?,
            ours: is_file && row.text()? == workspace_id,
            servers: BTreeMap::new(),
        };
        names.insert(id, name.clone());
        configs.insert(name, config);
    }
    const SERVERS: &str = "select config_id, name, id, definition_hash from mcp_servers
        where environment_id = $1 and removed_at is null order by name limit $2";
    for mut row in conn.rows(SERVERS, vec![env.0.into(), crate::ROWS_MAX.into()]).await? {
        let config = names.get(&row.int()?).and_then(|name| configs.get_mut(name));
        if let Some(config) = config {
            config.servers.insert(row.text()?, (ServerId(row.int()?), row.text()?));
        }
    }
    Ok(configs)
}
