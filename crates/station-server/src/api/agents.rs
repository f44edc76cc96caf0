//! Agents.

use super::environments;
use super::operation::{Operation, Reply, Verb};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk, Kind, Parameter, found};
use crate::wire;
use futures::FutureExt as _;
use station_core::{Caller, Result};
use station_engine::AgentRef;

/// The parameter that names one.
pub(super) const AGENT: Parameter = Parameter::required(
    "agent",
    Kind::Ref,
    "An agent: its id, or its name in `environment`, or in `default` where that is left out.",
);

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_agents",
        verb: Verb::Get,
        path: "/agents",
        summary: "List agents",
        says: "Agents by environment and name, of one environment or of all.",
        parameters: &[
            environments::OPTIONAL,
            Parameter::optional(
                "enabled",
                Kind::Truth(false),
                "Only those that may be run, or only those that may not.",
            ),
            LIMIT_GIVEN,
            CURSOR,
        ],
        status: 200,
        output: |generator| page::shape::<wire::Agent>("agents", generator),
        sends: "",
        answers: r#"{"agents": [{"id": 7, "name": "triage", "description": "Finds out why", "environment": "default",
            "environment_id": 1, "model": null, "tags": [], "origin": "file", "enabled": true,
            "created_at": "2026-11-26T09:30:00Z", "updated_at": "2026-11-26T09:30:00Z"}], "count": 1, "next": null}"#,
        call: |desk, by, arguments| list_agents(desk, by, arguments).boxed(),
    },
    Operation {
        id: "show_agent",
        verb: Verb::Get,
        path: "/agents/{agent}",
        summary: "Show an agent",
        says: "An agent with its prompt, its grants and the servers behind them, its schemas and its schedule.",
        parameters: &[AGENT, environments::OPTIONAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::AgentDetails>(),
        sends: "",
        answers: r#"{"agent": {"id": 7, "name": "triage", "description": "Finds out why", "environment": "default",
            "environment_id": 1, "model": null, "tags": [], "origin": "file", "enabled": true,
            "created_at": "2026-11-26T09:30:00Z", "updated_at": "2026-11-26T09:30:00Z"}, "models": [], "max_steps": 8,
            "timeout_ms": null, "tools": [{"written": "read_text_file", "server": "files", "tool": "read_text_file"}],
            "agents": [], "input_schema": null, "output_schema": null, "schedule": null, "prompt": "You find out why.",
            "path": null}"#,
        call: |desk, by, arguments| show_agent(desk, by, arguments).boxed(),
    },
];

async fn list_agents(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let environment = environments::chosen(desk, by, &arguments).await?.map(|it| it.name);
    if let Some(environment) = &environment {
        desk.apply(environment).await?;
    }
    let mut all = desk.station.list_agents(by, environment.as_ref()).await?;
    if let Some(enabled) = arguments.truth("enabled") {
        all.retain(|agent| agent.enabled == enabled);
    }
    let environments = desk.station.list_environments_with_agents(by).await?;
    let key = |agent: &wire::Agent| format!("{}/{}", agent.environment, agent.name);
    let all = wire::Agent::all(&all, &environments);
    Ok(Reply::Body(page::of("agents", all, &arguments, key, Clone::clone)))
}

async fn show_agent(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let agent = named(desk, by, &arguments).await?;
    let id = found(desk, by, &agent).await?.agent.id;
    let details = desk.station.show_agent(by, &AgentRef::Id(id)).await?;
    Ok(Reply::of(&wire::AgentDetails::from(&details)))
}

/// The agent that `agent` names, in the environment that `environment` does.
///
/// # Errors
/// `Invalid`; `NotFound` where there is no such environment.
pub(super) async fn named(desk: &Desk, by: &Caller, arguments: &Arguments) -> Result<AgentRef> {
    let environment = environments::chosen(desk, by, arguments).await?.map(|it| it.name);
    Ok(AgentRef::parse(arguments.must("agent"), environment))
}
