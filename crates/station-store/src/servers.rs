//! MCP servers and the catalog of what they offer: read without starting any of them.

use crate::configs::place;
use crate::db::{Row, unreadable};
use crate::{ROWS_MAX, Store};
use serde_json::{Map, Value as Json};
use station_core::discovery::{DiscoveredPrompt, DiscoveredResource};
use station_core::{
    EnvironmentId, Era, Error, Micros, Result, Secret, Server, ServerId, Tool, ToolId, ToolName, ToolNames,
    Transport,
};
use std::collections::BTreeMap;

/// The file that defines a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSource {
    /// Its name without `.json`.
    pub name: String,
    /// Its path, relative to the workspace.
    pub path: String,
    /// Its text; it may hold secrets.
    pub source: Secret,
}

/// What a server offers beside its tools.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// Its capabilities as it declared them.
    pub capabilities: Json,
    /// How it says it should be used.
    pub instructions: Option<String>,
    /// Its resources and templates, in its order.
    pub resources: Vec<DiscoveredResource>,
    /// Its prompts, in its order.
    pub prompts: Vec<DiscoveredPrompt>,
    /// When the last discovery failed; `None` where it worked or never ran.
    pub problem_at: Option<Micros>,
}

impl Store {
    /// Servers that were not removed, of one environment or of all but the built-in one, in file order.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn servers(&self, env: Option<EnvironmentId>) -> Result<Vec<Server>> {
        const SQL: &str =
            "select s.id, s.environment_id, s.name, c.name, s.transport, s.definition_hash, s.era,
                s.discovered_at, s.problem, s.problem_at, s.down_since
            from mcp_servers s join mcp_configs c on c.id = s.config_id
            join environments e on e.id = s.environment_id
            where s.removed_at is null and e.removed_at is null
                and case when cast($1 as bigint) is null then e.name not like '@%' else s.environment_id = $1 end
            order by e.name, c.name, s.position, s.name limit $2";
        let rows = self.read().await?.rows(SQL, vec![env.map(|env| env.0).into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(read_server).collect()
    }

    /// The server of this id, where there is one that was not removed.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn server(&self, id: ServerId) -> Result<Option<Server>> {
        const SQL: &str =
            "select s.id, s.environment_id, s.name, c.name, s.transport, s.definition_hash, s.era,
                s.discovered_at, s.problem, s.problem_at, s.down_since
            from mcp_servers s join mcp_configs c on c.id = s.config_id
            join environments e on e.id = s.environment_id
            where s.removed_at is null and e.removed_at is null and s.id = $1";
        let row = self.read().await?.row(SQL, vec![id.0.into()]).await?;
        row.map(read_server).transpose()
    }

    /// The file that defines a server.
    ///
    /// # Errors
    /// `NotFound` where there is no such server, `Conflict` where the text does not open under this key.
    pub async fn config_source(&self, server: ServerId) -> Result<ConfigSource> {
        const SQL: &str = "select c.environment_id, c.name, c.path, c.source
            from mcp_servers s join mcp_configs c on c.id = s.config_id
            where s.removed_at is null and s.id = $1";
        let row = self.read().await?.row(SQL, vec![server.0.into()]).await?;
        let mut row = row.ok_or_else(|| no_such(server))?;
        let (env, name, path, sealed) = (row.int()?, row.text()?, row.text()?, row.bytes()?);
        let source = self.context().sealer.open(place(&[&env.to_string(), &name]), &sealed)?;
        Ok(ConfigSource { name, path, source })
    }

    /// The tools of an environment in file order, those of removed servers and removed ones left out.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn catalog(&self, env: EnvironmentId) -> Result<Vec<Tool>> {
        const SQL: &str = "select t.id, t.server_id, s.name, t.name, t.title, t.description, t.input_schema,
                t.output_schema, t.annotations
            from mcp_tools t join mcp_servers s on s.id = t.server_id
            join mcp_configs c on c.id = s.config_id
            where s.environment_id = $1 and s.removed_at is null and t.removed_at is null
            order by c.name, s.position, s.name, t.position, t.name limit $2";
        let rows = self.read().await?.rows(SQL, vec![env.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(read_tool).collect()
    }

    /// The same tools by name: what grants are linked to.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tool_names(&self, env: EnvironmentId) -> Result<ToolNames> {
        const SQL: &str = "select t.id, t.server_id, s.name, t.name
            from mcp_tools t join mcp_servers s on s.id = t.server_id
            join mcp_configs c on c.id = s.config_id
            where s.environment_id = $1 and s.removed_at is null and t.removed_at is null
            order by c.name, s.position, s.name, t.position, t.name limit $2";
        let rows = self.read().await?.rows(SQL, vec![env.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter()
            .map(|mut row| {
                Ok(ToolName {
                    id: ToolId(row.int()?),
                    server: ServerId(row.int()?),
                    server_name: row.text()?,
                    name: row.text()?,
                })
            })
            .collect()
    }

    /// The tools of one server, in its order, removed ones left out.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tools_of(&self, server: ServerId) -> Result<Vec<Tool>> {
        const SQL: &str = "select t.id, t.server_id, s.name, t.name, t.title, t.description, t.input_schema,
                t.output_schema, t.annotations
            from mcp_tools t join mcp_servers s on s.id = t.server_id
            where s.id = $1 and s.removed_at is null and t.removed_at is null
            order by t.position, t.name limit $2";
        let rows = self.read().await?.rows(SQL, vec![server.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(read_tool).collect()
    }

    /// What servers of an environment say of their tools besides: of those alone of which they say anything.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn more_of_tools(&self, env: EnvironmentId) -> Result<BTreeMap<ToolId, Map<String, Json>>> {
        const SQL: &str = "select t.id, t.more from mcp_tools t join mcp_servers s on s.id = t.server_id
            where s.environment_id = $1 and s.removed_at is null and t.removed_at is null and t.more is not null
            order by t.id limit $2";
        let rows = self.read().await?.rows(SQL, vec![env.0.into(), ROWS_MAX.into()]).await?;
        rows.into_iter().map(|mut row| Ok((ToolId(row.int()?), read_more(row.opt_text()?)?))).collect()
    }

    /// What each server of an environment offers beside its tools, as it said when it was listed: three questions, whatever
    /// their number.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn offered_by_all(&self, env: EnvironmentId) -> Result<BTreeMap<ServerId, Offered>> {
        const SERVERS: &str = "select id, capabilities, instructions, problem_at from mcp_servers
            where removed_at is null and environment_id = $1 order by id limit $2";
        const RESOURCES: &str = "select s.id, r.uri, r.name, r.description, r.mime, r.is_template, r.more
            from mcp_resources r join mcp_servers s on s.id = r.server_id
            where s.removed_at is null and s.environment_id = $1 order by s.id, r.position limit $2";
        const PROMPTS: &str = "select s.id, p.name, p.description, p.arguments, p.more
            from mcp_prompts p join mcp_servers s on s.id = p.server_id
            where s.removed_at is null and s.environment_id = $1 order by s.id, p.position limit $2";
        let mut reader = self.read().await?;
        let mut all = BTreeMap::new();
        for mut row in reader.rows(SERVERS, vec![env.0.into(), ROWS_MAX.into()]).await? {
            let (id, offered) = (
                ServerId(row.int()?),
                Offered {
                    capabilities: read_json(&row.text()?)?,
                    instructions: row.opt_text()?,
                    problem_at: row.opt_int()?.map(Micros),
                    resources: Vec::new(),
                    prompts: Vec::new(),
                },
            );
            all.insert(id, offered);
        }
        for mut row in reader.rows(RESOURCES, vec![env.0.into(), ROWS_MAX.into()]).await? {
            if let Some(offered) = all.get_mut(&ServerId(row.int()?)) {
                offered.resources.push(read_resource(row)?);
            }
        }
        for mut row in reader.rows(PROMPTS, vec![env.0.into(), ROWS_MAX.into()]).await? {
            if let Some(offered) = all.get_mut(&ServerId(row.int()?)) {
                offered.prompts.push(read_prompt(row)?);
            }
        }
        Ok(all)
    }
}

fn read_resource(mut row: Row) -> Result<DiscoveredResource> {
    Ok(DiscoveredResource {
        uri: row.text()?,
        name: row.text()?,
        description: row.text()?,
        mime: row.opt_text()?,
        is_template: row.int()? == 1,
        more: read_more(row.opt_text()?)?,
    })
}

fn read_prompt(mut row: Row) -> Result<DiscoveredPrompt> {
    Ok(DiscoveredPrompt {
        name: row.text()?,
        description: row.text()?,
        arguments: read_json(&row.text()?)?,
        more: read_more(row.opt_text()?)?,
    })
}

/// What is said besides; nothing of an entry that an older Station listed.
fn read_more(text: Option<String>) -> Result<Map<String, Json>> {
    Ok(match text.map(|text| read_json(&text)).transpose()? {
        Some(Json::Object(more)) => more,
        _ => Map::new(),
    })
}

pub(crate) fn no_such(server: ServerId) -> Error {
    Error::not_found(format!("MCP server {server} does not exist"))
        .with_hint("`stn mcp list` shows those that do")
}

fn read_server(mut row: Row) -> Result<Server> {
    Ok(Server {
        id: ServerId(row.int()?),
        environment: EnvironmentId(row.int()?),
        name: row.text()?,
        config: row.text()?,
        transport: read_transport(&row.text()?)?,
        definition_hash: row.text()?,
        era: row.opt_text()?.as_deref().and_then(Era::from_word),
        discovered_at: row.opt_int()?.map(Micros),
        problem: row.opt_text()?,
        problem_at: row.opt_int()?.map(Micros),
        down_since: row.opt_int()?.map(Micros),
    })
}

fn read_transport(word: &str) -> Result<Transport> {
    [Transport::Stdio, Transport::Http]
        .into_iter()
        .find(|transport| transport.as_str() == word)
        .ok_or_else(|| unreadable("an unknown transport"))
}

fn read_tool(row: Row) -> Result<Tool> {
    read_tool_behind(row)?.ok_or_else(|| unreadable("a tool without an id"))
}

/// A tool of an outer join, where there is one.
pub(crate) fn read_tool_behind(mut row: Row) -> Result<Option<Tool>> {
    let Some(id) = row.opt_int()?.map(ToolId) else { return Ok(None) };
    Ok(Some(Tool {
        id,
        server: ServerId(row.int()?),
        server_name: row.text()?,
        name: row.text()?,
        title: row.text()?,
        description: row.text()?,
        input_schema: read_json(&row.text()?)?,
        output_schema: row.opt_text()?.map(|text| read_json(&text)).transpose()?,
        annotations: serde_json::from_str(&row.text()?).map_err(|_| unreadable("broken annotations"))?,
    }))
}

fn read_json(text: &str) -> Result<Json> {
    serde_json::from_str(text).map_err(|_| unreadable("broken JSON"))
}
