//! Agents: make, change, delete, list and show them.

use super::arguments::{Arguments, Kind, Parameter};
use super::environments;
use super::management::Desk;
use super::row::{Effect, Row, done};
use super::schema::{any, list, number, number_or_null, object, text, text_or_null, truth};
use crate::wire;
use serde_json::{Value, json};
use station_core::file::edit::{AgentEdit, Names};
use station_core::{Action, AgentName, EnvironmentName, Error, Result};
use station_engine::{AgentDetails, AgentRef, EnvironmentRef, NewAgent, ReasonedTool};
use station_mcp::serve::Asked;

/// The parameter that names an agent.
pub(super) const AGENT: Parameter = Parameter::required(
    "agent_id",
    Kind::Ref,
    "Id of the agent, from list_agents, or its name (in environment `default` unless environment_id says another).",
);

const MAX_STEPS: Parameter = Parameter::optional(
    "max_steps",
    Kind::Whole(1, 25),
    "Most model turns of one run, 1 to 25. Left out, it is computed for each run.",
);
const TOOL_NAMES: Parameter = Parameter::optional(
    "tool_names",
    Kind::Texts,
    "Tools to grant, as list_tools names them; `server__tool` where a name is not unique; [\"*\"] grants all. \
     Left out when an agent is made, tools are chosen by ranking and the reasons are told.",
);
const REASONS: Parameter = Parameter::optional(
    "tool_reasons",
    Kind::Object,
    "For each of tool_names, by its name, why the agent needs it: shown to whoever approves, and kept in the run's journal.",
);
const MODEL: Parameter = Parameter::optional(
    "model",
    Kind::Text,
    "Model to ask, e.g. openai/gpt-4o-mini. Left out, the configured one.",
);
const SCHEDULE: Parameter =
    Parameter::optional("schedule", Kind::Text, "When it runs by itself, as cron of 5 or 6 fields.");

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "create_agent",
        title: "Create an agent",
        description: "Makes an AI agent in an environment: a prompt with granted tools, kept as a file. Without `tool_names` the \
            tools that fit name, description and prompt best are chosen, each with a reason. Returns the agent and which tools \
            it was given. Run it with call_agent.",
        needs: Action::EditAgents,
        effect: Effect::Adds,
        parameters: &[
            Parameter::required("name", Kind::Text, "Its name: unique in its environment, not all digits."),
            Parameter::required("description", Kind::Text, "What it is for, in one line."),
            Parameter::required("prompt", Kind::Text, "Its instructions: the system prompt."),
            Parameter::required(
                "environment_id",
                Kind::Ref,
                "Id of the environment it is to live in, from list_environments, or its name.",
            ),
            MAX_STEPS,
            Parameter::optional("enabled", Kind::Truth(true), "Whether it may be run."),
            TOOL_NAMES,
            MODEL,
            SCHEDULE,
            Parameter::optional(
                "agents",
                Kind::Texts,
                "Names of other agents of its environment that it may call.",
            ),
            Parameter::optional(
                "domain",
                Kind::Text,
                "What it works in, e.g. devops: enters the choice of tools.",
            ),
            Parameter::optional("input_schema", Kind::Object, "JSON Schema of its input variables."),
            Parameter::optional("output_schema", Kind::Object, "JSON Schema that its answer must fit."),
            REASONS,
        ],
        output: || {
            object(&[
                ("success", truth()),
                ("agent", agent_schema()),
                ("message", text()),
                ("tool_assignment", assignment_schema()),
            ])
        },
        call: |desk, asked, arguments| done(create_agent(desk, asked, arguments)),
    },
    Row {
        name: "update_agent",
        title: "Change an agent",
        description: "Changes fields of an agent; what is left out stays, and the rest of its file is kept as it is. \
            `tool_names` replaces all of its grants. Runs that are under way keep the definition they began with.",
        needs: Action::EditAgents,
        effect: Effect::Changes,
        parameters: &[
            AGENT,
            environments::OPTIONAL,
            Parameter::optional("name", Kind::Text, "Its name; another one renames it, and its file."),
            Parameter::optional("description", Kind::Text, "What it is for, in one line."),
            Parameter::optional("prompt", Kind::Text, "Its instructions, whole."),
            MAX_STEPS,
            Parameter::optional(
                "enabled",
                Kind::Truth(true),
                "Whether it may be run. Left out, it stays as it is.",
            ),
            TOOL_NAMES,
            MODEL,
            SCHEDULE,
            Parameter::optional("agents", Kind::Texts, "Exactly the agents that it may call."),
            REASONS,
        ],
        output: || {
            object(&[
                ("success", truth()),
                ("agent", agent_schema()),
                ("message", text()),
                ("tools_without_a_server", list(&text())),
            ])
        },
        call: |desk, asked, arguments| done(update_agent(desk, asked, arguments)),
    },
    Row {
        name: "delete_agent",
        title: "Delete an agent",
        description: "Deletes an agent and its file. Its runs are kept. Refused while it has runs that have not ended.",
        needs: Action::EditAgents,
        effect: Effect::Destroys,
        parameters: &[AGENT, environments::OPTIONAL],
        output: || object(&[("success", truth()), ("message", text()), ("deleted", any())]),
        call: |desk, asked, arguments| done(delete_agent(desk, asked, arguments)),
    },
    Row {
        name: "list_agents",
        title: "List agents",
        description: "Lists agents, of one environment or of all, with what each is for. Use get_agent_details for an agent's \
            prompt and tools.",
        needs: Action::ReadAgents,
        effect: Effect::Reads,
        parameters: &[
            environments::OPTIONAL,
            Parameter::optional("enabled_only", Kind::Truth(false), "Only agents that may be run."),
        ],
        output: || object(&[("success", truth()), ("agents", list(&listed_schema())), ("count", number())]),
        call: |desk, asked, arguments| done(list_agents(desk, asked, arguments)),
    },
    Row {
        name: "get_agent_details",
        title: "Show an agent",
        description: "Shows one agent: its prompt, models, schemas and schedule, its environment, and each granted tool with the \
            server behind it.",
        needs: Action::ReadAgents,
        effect: Effect::Reads,
        parameters: &[AGENT, environments::OPTIONAL],
        output: || {
            let tool = object(&[("name", text()), ("server", text_or_null()), ("tool", text_or_null())]);
            object(&[
                ("success", truth()),
                ("agent", agent_schema()),
                ("environment", environments::environment_schema()),
                ("tools", list(&tool)),
                ("tools_count", number()),
            ])
        },
        call: |desk, asked, arguments| done(get_agent_details(desk, asked, arguments)),
    },
];

fn listed_schema() -> Value {
    object(&[
        ("id", number()),
        ("name", text()),
        ("description", text()),
        ("environment", text()),
        ("environment_id", number()),
        ("enabled", truth()),
        ("model", text_or_null()),
        ("tags", list(&text())),
    ])
}

fn agent_schema() -> Value {
    object(&[
        ("id", number()),
        ("name", text()),
        ("description", text()),
        ("max_steps", number_or_null()),
        ("environment_id", number()),
        ("enabled", truth()),
        ("prompt", text()),
    ])
}

fn assignment_schema() -> Value {
    let reason = object(&[("tool", text()), ("offered", truth()), ("reason", text())]);
    object(&[
        ("requested_tools", list(&text())),
        ("assigned_tools", list(&text())),
        ("assigned_count", number()),
        ("skipped_tools", list(&text())),
        ("skipped_count", number()),
        ("status", json!({ "enum": ["success", "partial", "failed"] })),
        ("reasons", list(&reason)),
    ])
}

/// The agent that `agent_id` names.
pub(super) async fn named(desk: &Desk, asked: &Asked, arguments: &Arguments) -> Result<AgentRef> {
    let environment = environments::named(desk, asked, arguments).await?;
    Ok(AgentRef::parse(arguments.must("agent_id"), environment.map(|it| it.name)))
}

/// An agent with all that its definition says.
pub(super) fn shown(details: &AgentDetails) -> Value {
    let whole = wire::AgentDetails::from(details);
    let mut agent = serde_json::to_value(&whole.agent).expect("wire structs serialize");
    for (key, value) in [
        ("models", json!(whole.models)),
        ("max_steps", json!(whole.max_steps)),
        ("timeout_ms", json!(whole.timeout_ms)),
        ("agents", json!(whole.agents)),
        ("input_schema", json!(whole.input_schema)),
        ("output_schema", json!(whole.output_schema)),
        ("schedule", json!(whole.schedule)),
        ("prompt", json!(whole.prompt)),
    ] {
        agent[key] = value;
    }
    agent
}

/// The agent that `arguments` describe; `tools` names the argument that lists them.
///
/// # Errors
/// `Invalid` where its name is none.
pub(crate) fn new_agent(
    arguments: &Arguments,
    tools: &str,
    environment: EnvironmentName,
) -> Result<NewAgent> {
    let text = |name: &str| arguments.text(name).map(str::to_owned);
    let schema = |name: &str| arguments.object(name).cloned().map(Value::Object);
    Ok(NewAgent {
        name: AgentName::parse(arguments.must("name"))?,
        description: arguments.must("description").to_owned(),
        prompt: text("prompt"),
        domain: text("domain"),
        model: text("model"),
        max_steps: arguments.whole("max_steps"),
        tools: arguments.texts(tools),
        agents: arguments.texts("agents").unwrap_or_default(),
        schedule: text("schedule"),
        input_schema: schema("input_schema"),
        output_schema: schema("output_schema"),
        environment,
    })
}

/// What `arguments` change of an agent, as [`new_agent`].
pub(crate) fn edit_of(arguments: &Arguments, tools: &str) -> AgentEdit {
    let text = |name: &str| arguments.text(name).map(str::to_owned);
    let be = |name: &str| Names { be: arguments.texts(name), ..Names::default() };
    AgentEdit {
        description: text("description"),
        prompt: text("prompt"),
        model: text("model"),
        max_steps: arguments.whole("max_steps"),
        tools: be(tools),
        agents: be("agents"),
        schedule: text("schedule"),
        ..AgentEdit::default()
    }
}

async fn create_agent(desk: &Desk, asked: &Asked, arguments: Arguments) -> Result<Value> {
    let of = EnvironmentRef::parse(arguments.must("environment_id"))?;
    let environment = desk.station.environment(&asked.by, &of).await?.name;
    desk.apply(&asked.by, &environment).await?;
    let new = new_agent(&arguments, "tool_names", environment.clone())?;
    if new.tools.is_none() {
        // The choice is only as good as what is known of the servers.
        asked.tell(&format!("asking the servers of `{environment}` for their tools")).await;
        desk.station.refresh_catalog(&environment).await?;
    }
    let (mut details, mut reasons) = desk.station.create_agent(&asked.by, new).await?;
    if let Some(said) = arguments.object("tool_reasons") {
        for reasoned in reasons.iter_mut().filter(|it| it.offered) {
            if let Some(reason) = said.get(&reasoned.tool).and_then(Value::as_str) {
                reason.clone_into(&mut reasoned.reason);
            }
        }
    }
    if arguments.truth("enabled") == Some(false) {
        let agent = AgentRef::Id(details.agent.id);
        details = desk.station.enable_agent(&asked.by, &agent, false).await?;
    }
    let message = format!("created agent `{}` in environment `{environment}`", details.agent.name);
    Ok(json!({
        "success": true,
        "agent": shown(&details),
        "message": message,
        "tool_assignment": assignment(&details, &reasons),
    }))
}

/// Which of the tools that were asked for, or chosen, a server stands behind.
fn assignment(details: &AgentDetails, reasons: &[ReasonedTool]) -> Value {
    let requested: Vec<&str> = reasons.iter().map(|it| it.tool.as_str()).collect();
    let (assigned, skipped): (Vec<&str>, Vec<&str>) =
        requested.iter().partition(|name| details.has_tool(name));
    let status = match (assigned.len(), skipped.len()) {
        (_, 0) => "success",
        (0, _) => "failed",
        _ => "partial",
    };
    let reasons: Vec<wire::ReasonedTool> = reasons.iter().map(wire::ReasonedTool::from).collect();
    json!({
        "requested_tools": requested,
        "assigned_tools": assigned,
        "assigned_count": assigned.len(),
        "skipped_tools": skipped,
        "skipped_count": skipped.len(),
        "status": status,
        "reasons": reasons,
    })
}

async fn update_agent(desk: &Desk, asked: &Asked, arguments: Arguments) -> Result<Value> {
    let agent = named(desk, asked, &arguments).await?;
    let before = desk.station.show_agent(&asked.by, &agent).await?;
    let name = arguments.text("name").map(AgentName::parse).transpose()?;
    let name = name.filter(|name| *name != before.agent.name);
    let edit = edit_of(&arguments, "tool_names");
    let enabled = arguments.truth("enabled");
    if edit.is_empty() && enabled.is_none() && name.is_none() {
        return Err(Error::invalid("nothing is named that is to change"));
    }
    let agent = AgentRef::Id(before.agent.id);
    let mut details = before;
    if !edit.is_empty() {
        details = desk.station.update_agent(&asked.by, &agent, &edit).await?.agent;
    }
    if let Some(name) = &name {
        details = desk.station.rename_agent(&asked.by, &agent, name).await?.agent;
    }
    if let Some(enabled) = enabled {
        details = desk.station.enable_agent(&asked.by, &agent, enabled).await?;
    }
    let loose: Vec<&str> = details
        .tools
        .iter()
        .filter(|(_, tool)| tool.is_none())
        .map(|(written, _)| written.as_str())
        .collect();
    let message = format!("changed agent `{}`", details.agent.name);
    Ok(json!({
        "success": true, "agent": shown(&details), "message": message, "tools_without_a_server": loose,
    }))
}

async fn delete_agent(desk: &Desk, asked: &Asked, arguments: Arguments) -> Result<Value> {
    let agent = named(desk, asked, &arguments).await?;
    let gone = desk.station.delete_agent(&asked.by, &agent).await?;
    let message = format!("deleted agent `{}` of environment `{}`", gone.agent.name, gone.environment.name);
    Ok(json!({ "success": true, "message": message, "deleted": wire::Deletion::from(&gone) }))
}

async fn list_agents(desk: &Desk, asked: &Asked, arguments: Arguments) -> Result<Value> {
    let environment = environments::named(desk, asked, &arguments).await?.map(|it| it.name);
    let agents = desk.station.list_agents(&asked.by, environment.as_ref()).await?;
    let environments = desk.station.list_environments(&asked.by).await?;
    let enabled_only = arguments.truth("enabled_only") == Some(true);
    let agents: Vec<wire::Agent> = wire::Agent::all(&agents, &environments)
        .into_iter()
        .filter(|it| it.enabled || !enabled_only)
        .collect();
    Ok(json!({ "success": true, "count": agents.len(), "agents": agents }))
}

async fn get_agent_details(desk: &Desk, asked: &Asked, arguments: Arguments) -> Result<Value> {
    let agent = named(desk, asked, &arguments).await?;
    let details = desk.station.show_agent(&asked.by, &agent).await?;
    let tools: Vec<Value> = details
        .tools
        .iter()
        .map(|(written, tool)| {
            json!({
                "name": written,
                "server": tool.as_ref().map(|tool| &tool.server_name),
                "tool": tool.as_ref().map(|tool| &tool.name),
                "description": tool.as_ref().map(|tool| &tool.description),
            })
        })
        .collect();
    Ok(json!({
        "success": true,
        "agent": shown(&details),
        "environment": wire::Environment::from(&details.environment),
        "tools_count": tools.len(),
        "tools": tools,
    }))
}
