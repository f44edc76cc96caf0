//! Tool servers: ask them anew, list their tools, list the files that define them.

use super::arguments::{Arguments, Kind, Parameter};
use super::environments;
use super::management::Desk;
use super::row::{Effect, Row, done};
use super::schema::{any, list, number, number_or_null, object, text, text_or_null, truth};
use crate::wire;
use serde_json::{Value, json};
use station_core::{Action, Environment, Result, plural};
use station_mcp::serve::Asked;

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "discover_tools",
        title: "Ask tool servers for their tools",
        description: "Connects to the tool servers of an environment (`default` if none is named), or of one server file, and lists \
            their tools anew. Says for each server whether that worked and why not. Use it after a server was added or \
            repaired; list_tools alone starts nothing.",
        needs: Action::CallTools,
        effect: Effect::Acts,
        parameters: &[
            Parameter::optional(
                "config_id",
                Kind::Whole(1, i64::MAX),
                "Id of a server file, from list_mcp_configs.",
            ),
            environments::OPTIONAL,
        ],
        output: || {
            let server = object(&[
                ("server", text()),
                ("status", json!({ "enum": ["ok", "failed"] })),
                ("tools", number_or_null()),
                ("error", text_or_null()),
            ]);
            object(&[
                ("success", truth()),
                ("servers", list(&server)),
                ("count", number()),
                ("warnings", list(&text())),
            ])
        },
        call: |desk, asked, arguments| done(discover_tools(desk, asked, arguments)),
    },
    Row {
        name: "list_tools",
        title: "List tools",
        description: "Lists the tools that the servers of an environment offer, as they were found last; of all environments if none is \
            named. `search` ranks them by words, best first. These are the names that agents are granted.",
        needs: Action::ReadServers,
        effect: Effect::Reads,
        parameters: &[
            environments::OPTIONAL,
            Parameter::optional(
                "search",
                Kind::Text,
                "Words that the tool should fit, e.g. \"read a file\".",
            ),
        ],
        output: || {
            let tool = object(&[
                ("id", number()),
                ("name", text()),
                ("server", text()),
                ("description", text()),
                ("environment", text()),
                ("input_schema", any()),
            ]);
            object(&[("success", truth()), ("tools", list(&tool)), ("count", number())])
        },
        call: |desk, asked, arguments| done(list_tools(desk, asked, arguments)),
    },
    Row {
        name: "list_mcp_configs",
        title: "List server files",
        description: "Lists the files that define tool servers (MCP), of one environment or of all, with the names of their servers. \
            No secret is shown.",
        needs: Action::ReadServers,
        effect: Effect::Reads,
        parameters: &[environments::OPTIONAL],
        output: || {
            let file = object(&[
                ("id", number()),
                ("name", text()),
                ("environment", text()),
                ("environment_id", number()),
                ("path", text()),
                ("servers", list(&text())),
            ]);
            object(&[("success", truth()), ("configs", list(&file)), ("count", number())])
        },
        call: |desk, asked, arguments| done(list_mcp_configs(desk, asked, arguments)),
    },
];

async fn discover_tools(desk: &Desk, asked: &Asked, arguments: Arguments) -> Result<Value> {
    let station = &desk.station;
    let mut broken = Vec::new();
    let discovery = match arguments.whole("config_id") {
        Some(id) => station.discover_server_file(&asked.by, id).await?,
        None => {
            let named = environments::named(desk, asked, &arguments).await?;
            let name = named.map(|it| it.name).unwrap_or_default();
            broken = desk.apply(&asked.by, &name).await?;
            station.discover_tools(&asked.by, &name).await?
        }
    };
    let discovery = wire::Discovery::from(&discovery);
    let servers: Vec<Value> = discovery
        .servers
        .iter()
        .map(|it| {
            json!({
                "server": it.server,
                "status": it.status,
                "tools": it.tools_count,
                "error": it.error,
                "duration_ms": it.duration_ms,
            })
        })
        .collect();
    let n_failed = discovery.servers.iter().filter(|it| it.error.is_some()).count();
    // One that works is no failure of the call; each server says how it went.
    let success = n_failed == 0 || n_failed < servers.len();
    Ok(json!({
        "success": success,
        "message": format!("{} answered, {n_failed} did not", plural(servers.len() - n_failed, "server")),
        "count": servers.len(),
        "servers": servers,
        "warnings": broken.iter().chain(&discovery.warnings).collect::<Vec<_>>(),
    }))
}

async fn list_tools(desk: &Desk, asked: &Asked, arguments: Arguments) -> Result<Value> {
    let environments: Vec<Environment> = match environments::named(desk, asked, &arguments).await? {
        Some(environment) => vec![environment],
        None => desk.station.list_environments(&asked.by).await?,
    };
    let mut tools = Vec::new();
    for environment in environments {
        let search = arguments.text("search");
        for tool in desk.station.list_tools(&asked.by, &environment.name, None, search).await? {
            let mut shown = serde_json::to_value(wire::Tool::from(&tool)).expect("wire structs serialize");
            shown["environment"] = environment.name.as_str().into();
            tools.push(shown);
        }
    }
    Ok(json!({ "success": true, "count": tools.len(), "tools": tools }))
}

async fn list_mcp_configs(desk: &Desk, asked: &Asked, arguments: Arguments) -> Result<Value> {
    let named = environments::named(desk, asked, &arguments).await?;
    let files = desk.station.list_server_files(&asked.by, named.map(|it| it.name).as_ref()).await?;
    let environments = desk.station.list_environments(&asked.by).await?;
    let files: Vec<wire::ServerFile> =
        files.iter().map(|(file, servers)| wire::ServerFile::new(file, servers, &environments)).collect();
    Ok(json!({ "success": true, "count": files.len(), "configs": files }))
}
