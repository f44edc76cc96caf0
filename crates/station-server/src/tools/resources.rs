//! Resources: what the looking tools give, under addresses that a client can read and follow.
//!
//! A resource is a tool called with fixed arguments, so that both say the same.

use super::arguments::Arguments;
use super::management::{Desk, failed, rows};
use super::row::Reply;
use crate::wire;
use serde_json::{Map, Value, json};
use station_core::{BlobHash, Error, Kind, Result};
use station_engine::{AgentRef, RunFilter};
use station_mcp::serve::{Asked, Fault};

/// Runs of one agent that its resource shows.
const RUNS_MAX: u32 = 50;

/// A resource, or, where its address holds `{id}`, a template of some.
struct Resource {
    uri: &'static str,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    shows: Shows,
}

/// What a resource holds.
#[derive(Clone, Copy)]
enum Shows {
    /// What this tool gives, called with the address's `{id}` under this name.
    Tool(&'static str, &'static str),
    /// The runs of the agent that `{id}` names.
    Runs,
}

const RESOURCES: &[Resource] = &[
    Resource {
        uri: "station://environments",
        name: "environments",
        title: "Environments",
        description: "Every environment.",
        shows: Shows::Tool("list_environments", ""),
    },
    Resource {
        uri: "station://agents",
        name: "agents",
        title: "Agents",
        description: "Every agent, with what it is for.",
        shows: Shows::Tool("list_agents", ""),
    },
    Resource {
        uri: "station://mcp-configs",
        name: "mcp-configs",
        title: "Server files",
        description: "Every file that defines tool servers, without secrets.",
        shows: Shows::Tool("list_mcp_configs", ""),
    },
    Resource {
        uri: "station://agents/{id}",
        name: "agent",
        title: "An agent",
        description: "One agent: prompt, models, schemas, schedule and granted tools. `id` is its number, or its name in `default`.",
        shows: Shows::Tool("get_agent_details", "agent_id"),
    },
    Resource {
        uri: "station://environments/{id}/tools",
        name: "environment-tools",
        title: "Tools of an environment",
        description: "The tools that the servers of one environment offer. `id` is its number or its name.",
        shows: Shows::Tool("list_tools", "environment_id"),
    },
    Resource {
        uri: "station://agents/{id}/runs",
        name: "agent-runs",
        title: "Runs of an agent",
        description: "The latest runs of one agent, newest first.",
        shows: Shows::Runs,
    },
];

impl Resource {
    fn is_template(&self) -> bool {
        self.uri.contains("{id}")
    }

    fn to_json(&self) -> Value {
        let address = if self.is_template() { "uriTemplate" } else { "uri" };
        json!({
            address: self.uri,
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "mimeType": "application/json",
        })
    }

    /// What stands for `{id}` in `uri`, where that is an address of this resource.
    fn id_in(&self, uri: &str) -> Option<String> {
        let Some((before, after)) = self.uri.split_once("{id}") else {
            return (uri == self.uri).then(String::new);
        };
        let id = uri.strip_prefix(before)?.strip_suffix(after)?;
        (!id.is_empty() && !id.contains('/')).then(|| decoded(id)).flatten()
    }
}

/// The resources as a list shows them.
pub(super) fn listed() -> Vec<Value> {
    RESOURCES.iter().filter(|it| !it.is_template()).map(Resource::to_json).collect()
}

/// The templates as a list shows them.
pub(super) fn templates() -> Vec<Value> {
    RESOURCES.iter().filter(|it| it.is_template()).map(Resource::to_json).collect()
}

/// Whether `uri` is a template of ours.
pub(super) fn is_template(uri: &str) -> bool {
    RESOURCES.iter().any(|it| it.is_template() && it.uri == uri)
}

/// What the resource at `uri` holds.
///
/// # Errors
/// There is none, or we fail.
pub(super) async fn read(desk: &Desk, asked: &Asked, uri: &str) -> Result<Value, Fault> {
    let none = || Fault::NoResource(uri.to_owned());
    let found = RESOURCES.iter().find_map(|it| Some((it, it.id_in(uri)?)));
    let (resource, id) = found.ok_or_else(none)?;
    let holds = match resource.shows {
        Shows::Runs => runs(desk, asked, &id).await,
        Shows::Tool(tool, parameter) => shown(desk, asked, tool, parameter, id).await,
    };
    match holds {
        Ok(holds) => Ok(json!({
            "contents": [{ "uri": uri, "mimeType": "application/json", "text": holds.to_string() }],
        })),
        Err(error) if error.kind() == Kind::Internal || error.kind() == Kind::Busy => Err(failed(&error)),
        Err(_) => Err(none()),
    }
}

/// A number for what `uri` holds now: another one when that has changed. Nothing where there is no such resource.
pub(super) async fn mark(desk: &Desk, asked: &Asked, uri: &str) -> Option<BlobHash> {
    let holds = read(desk, asked, uri).await.ok()?;
    Some(BlobHash::of(holds.to_string().as_bytes()))
}

async fn shown(desk: &Desk, asked: &Asked, tool: &str, parameter: &str, id: String) -> Result<Value> {
    let row = rows().find(|row| row.name == tool);
    let row = row.ok_or_else(|| Error::internal("reading a resource", "its tool is gone"))?;
    let mut given = Map::new();
    if !parameter.is_empty() {
        given.insert(parameter.to_owned(), id.into());
    }
    match (row.call)(desk, asked, Arguments::read(row.parameters, &given)?).await? {
        Reply::Done(result) => Ok(result),
        Reply::Said(_) | Reply::Asks { .. } | Reply::Task(_) => {
            Err(Error::internal("reading a resource", "a tool that only looks asked for more"))
        }
    }
}

async fn runs(desk: &Desk, asked: &Asked, id: &str) -> Result<Value> {
    let agent = desk.station.show_agent(&asked.by, &AgentRef::parse(id, None)).await?.agent;
    let filter = RunFilter { agent: Some(agent.id), ..RunFilter::default() };
    let runs = desk.station.list_runs(&asked.by, &filter, RUNS_MAX).await?;
    let runs: Vec<wire::Run> =
        runs.iter().map(|run| wire::Run::new(run, desk.station.is_interrupted(run))).collect();
    Ok(wire::list("runs", &runs))
}

/// `text` with its percent-encoded bytes decoded (RFC 3986); nothing where that is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_one_resource() {
        let check = |uri: &str, expected: Option<(&str, &str)>| {
            let found: Vec<(&str, String)> =
                RESOURCES.iter().filter_map(|it| Some((it.name, it.id_in(uri)?))).collect();
            let found: Vec<(&str, &str)> = found.iter().map(|(name, id)| (*name, id.as_str())).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{uri}");
        };
        check("station://agents", Some(("agents", "")));
        check("station://agents/7", Some(("agent", "7")));
        check("station://agents/7/runs", Some(("agent-runs", "7")));
        check("station://agents/Cost%20Spike", Some(("agent", "Cost Spike")));
        check("station://environments/default/tools", Some(("environment-tools", "default")));
        for none in
            ["station://agents/", "station://agents/7/x", "station://agents/%zz", "file:///etc/passwd", ""]
        {
            check(none, None);
        }
    }
}
