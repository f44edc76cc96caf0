//! Agents.

use super::environments;
use super::forms;
use super::operation::{Needs, Operation, Reply, Verb};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk, Kind, Parameter, edit_of, found, new_agent};
use crate::wire;
use futures::FutureExt as _;
use station_core::file::edit::{AgentEdit, Unset};
use station_core::{Action, AgentId, AgentName, Caller, Environment, Error, Result};
use station_engine::{AgentDetails, AgentImport, AgentRef, OnConflict};
use std::path::PathBuf;

/// The parameter that names one.
pub(super) const AGENT: Parameter = Parameter::required(
    "agent",
    Kind::Ref,
    "An agent: its id, or its name in `environment`, or in `default` where that is left out.",
);

/// An agent in an example.
macro_rules! example {
    () => {
        r#"{"id": 7, "name": "triage", "description": "Finds out why", "environment": "default", "environment_id": 1,
            "model": null, "tags": [], "origin": "file", "enabled": true,
            "created_at": "2026-11-26T09:30:00Z", "updated_at": "2026-11-26T09:30:00Z"}"#
    };
}

/// An agent with all that is told of it, in an example.
macro_rules! details_example {
    () => {
        details_example!("}")
    };
    ($end:literal) => {
        concat!(r#"{"agent": "#, example!(), r#", "models": [], "max_steps": 8,
            "timeout_ms": null, "tools": [{"written": "read_text_file", "server": "files", "tool": "read_text_file"}],
            "agents": [], "input_schema": null, "output_schema": null, "schedule": null, "prompt": "You find out why.",
            "path": null"#, $end)
    };
}

/// What an agent is made of, and what changes of it.
macro_rules! fields {
    ($($before:expr),*) => {
        &[
            $($before,)*
            Parameter::optional("prompt", Kind::Text, "Its instructions: the system prompt."),
            Parameter::optional("model", Kind::Text, "Model to ask, e.g. openai/gpt-4o-mini."),
            Parameter::optional("max_steps", Kind::Whole(1, 25), "Most model turns of one run."),
            Parameter::optional("tools", Kind::Texts, "Exactly the tools to grant; `server__tool` where a name is not unique."),
            Parameter::optional("agents", Kind::Texts, "Exactly the other agents that it may call."),
            Parameter::optional("schedule", Kind::Text, "When it runs by itself, as cron of 5 or 6 fields.").like(forms::cron),
            Parameter::optional("enabled", Kind::Truth(true), "Whether it may be run."),
            environments::OPTIONAL,
        ]
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_agents",
        verb: Verb::Get,
        path: "/agents",
        needs: Needs::Right(Action::ReadAgents),
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
        answers: concat!(r#"{"agents": ["#, example!(), r#"], "count": 1, "next": null}"#),
        call: |desk, by, arguments| list_agents(desk, by, arguments).boxed(),
    },
    Operation {
        id: "show_agent",
        verb: Verb::Get,
        path: "/agents/{agent}",
        needs: Needs::Right(Action::ReadAgents),
        summary: "Show an agent",
        says: "An agent with its prompt, its grants and the servers behind them, its schemas and its schedule.",
        parameters: &[AGENT, environments::OPTIONAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::AgentDetails>(),
        sends: "",
        answers: details_example!(),
        call: |desk, by, arguments| show_agent(desk, by, arguments).boxed(),
    },
    Operation {
        id: "read_agent",
        verb: Verb::Get,
        path: "/agents/{agent}/definition",
        needs: Needs::Right(Action::ReadAgents),
        summary: "Read an agent's definition",
        says: "The text of an agent's definition as it is stored, byte for byte; `import_agent` takes it in elsewhere.",
        parameters: &[AGENT, environments::OPTIONAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::AgentDefinition>(),
        sends: "",
        answers: concat!(
            r#"{"agent": "#,
            example!(),
            r#", "source": "---\nmetadata:\n  description: Finds out why\n---\nYou find out why.\n",
                "path": "environments/default/agents/triage.prompt"}"#
        ),
        call: |desk, by, arguments| read_agent(desk, by, arguments).boxed(),
    },
    Operation {
        id: "export_agent",
        verb: Verb::Post,
        path: "/agents/{agent}/export",
        needs: Needs::Right(Action::EditAgents),
        summary: "Make an agent a file",
        says: "Writes an agent that lives in the store alone as a file of the workspace, which is what counts from then on. One that has a file \
            stays as it is. Refused with 409 where files are read-only, or a file of its name is there.",
        parameters: &[AGENT, environments::OPTIONAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::ExportedAgent>(),
        sends: "{}",
        answers: concat!(
            r#"{"agent": "#,
            example!(),
            r#", "path": "environments/default/agents/triage.prompt", "made": true}"#
        ),
        call: |desk, by, arguments| export_agent(desk, by, arguments).boxed(),
    },
    Operation {
        id: "import_agent",
        verb: Verb::Post,
        path: "/environments/{environment}/agents/import",
        needs: Needs::Right(Action::EditAgents),
        summary: "Take in an agent",
        says: "Takes in an agent by its definition, which is kept byte for byte. What it names and this environment does not have is told in \
            `missing`. Refused with 409 where an agent of its name is there with another definition, unless that is to be replaced.",
        parameters: &[
            environments::ENVIRONMENT,
            Parameter::required(
                "definition",
                Kind::Text,
                "The text of a `.prompt` file, or the JSON of an older export.",
            ),
            Parameter::optional(
                "file",
                Kind::Text,
                "The name of the file that it is of: `triage.prompt` names the agent.",
            ),
            Parameter::optional("rename", Kind::Text, "Its name here, instead of its own.")
                .like(forms::agent),
            Parameter::optional(
                "replace",
                Kind::Truth(false),
                "Whether it takes the place of an agent of its name, whose id and runs stay.",
            ),
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::ImportedAgent>(),
        sends: r#"{"definition": "---\nmetadata:\n  name: triage3\n---\nYou find out why.\n"}"#,
        answers: concat!(
            r#"{"agent": "#,
            example!(),
            r#", "path": "environments/default/agents/triage.prompt",
                "missing": {"tools": ["read"], "servers": [], "agents": [], "variables": []}, "problems": []}"#
        ),
        call: |desk, by, arguments| import_agent(desk, by, arguments).boxed(),
    },
    Operation {
        id: "create_agent",
        verb: Verb::Post,
        path: "/agents",
        needs: Needs::Right(Action::EditAgents),
        summary: "Make an agent",
        says: "Makes an agent, as a file of its environment, or in the store where files are read-only. Where no `tools` are named, those that \
            fit best are chosen.",
        parameters: fields![
            Parameter::required("name", Kind::Text, "Its name: unique in its environment, not all digits.")
                .like(forms::agent),
            Parameter::required("description", Kind::Text, "What it is for, in one line."),
            Parameter::optional(
                "domain",
                Kind::Text,
                "What it works in, e.g. devops: enters the choice of tools."
            ),
            Parameter::optional("input_schema", Kind::Object, "JSON Schema of its input variables."),
            Parameter::optional("output_schema", Kind::Object, "JSON Schema that its answer must fit.")
        ],
        status: 201,
        output: |generator| generator.subschema_for::<wire::CreatedAgent>(),
        sends: r#"{"name": "triage2", "description": "Finds out why", "prompt": "You find out why.", "tools": ["read"]}"#,
        answers: concat!(
            details_example!(", "),
            r#""reasons": [{"tool": "read_text_file", "offered": true, "reason": "named"}]}"#
        ),
        call: |desk, by, arguments| create_agent(desk, by, arguments).boxed(),
    },
    Operation {
        id: "update_agent",
        verb: Verb::Patch,
        path: "/agents/{agent}",
        needs: Needs::Right(Action::EditAgents),
        summary: "Change an agent",
        says: "Changes what is given; the rest of its file stays byte for byte. Runs that are under way keep the definition they began with.",
        parameters: fields![
            AGENT,
            Parameter::optional("name", Kind::Text, "Another name: the agent keeps its id.")
                .like(forms::agent),
            Parameter::optional("description", Kind::Text, "What it is for, in one line."),
            Parameter::optional("add_tools", Kind::Texts, "Tools to grant besides."),
            Parameter::optional("remove_tools", Kind::Texts, "Grants to take away, as they are written."),
            Parameter::optional("add_agents", Kind::Texts, "Agents that it may call besides."),
            Parameter::optional("remove_agents", Kind::Texts, "Agents that it may call no more."),
            Parameter::optional("tags", Kind::Texts, "Exactly its tags."),
            Parameter::optional(
                "unset",
                Kind::Texts,
                "Fields to take out: model, max_steps, tools, agents, tags, schedule."
            )
            .like(forms::unset)
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::AgentDetails>(),
        sends: r#"{"description": "Finds out why, quicker", "max_steps": 8}"#,
        answers: details_example!(),
        call: |desk, by, arguments| update_agent(desk, by, arguments).boxed(),
    },
    Operation {
        id: "delete_agent",
        verb: Verb::Delete,
        path: "/agents/{agent}",
        needs: Needs::Right(Action::EditAgents),
        summary: "Delete an agent",
        says: "Deletes an agent with its file; its runs are kept. Refused with 409 while a run of it has not ended.",
        parameters: &[AGENT, environments::OPTIONAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Deletion>(),
        sends: "",
        answers: r#"{"noun": "agent", "id": 7, "name": "triage", "environment": "default", "files": ["environments/default/agents/triage.prompt"],
            "runs_kept": 3}"#,
        call: |desk, by, arguments| delete_agent(desk, by, arguments).boxed(),
    },
];

async fn list_agents(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let environment = environments::chosen(desk, by, &arguments).await?.map(|it| it.name);
    if let Some(environment) = &environment {
        desk.apply(by, environment).await?;
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

async fn read_agent(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let read = desk.station.read_agent(by, &named(desk, by, &arguments).await?).await?;
    Ok(Reply::of(&wire::AgentDefinition::from(&read)))
}

async fn export_agent(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let exported = desk.station.export_agent(by, &named(desk, by, &arguments).await?).await?;
    Ok(Reply::of(&wire::ExportedAgent::from(&exported)))
}

async fn import_agent(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let import = AgentImport {
        text: arguments.must("definition").to_owned(),
        path: arguments.text("file").map(PathBuf::from),
        environment: environments::named(desk, by, &arguments).await?,
        rename: arguments.text("rename").map(AgentName::parse).transpose()?,
        on_conflict: match arguments.truth("replace") {
            Some(true) => OnConflict::Replace,
            Some(false) | None => OnConflict::Refuse,
        },
    };
    Ok(Reply::of(&wire::ImportedAgent::from(&desk.station.import_agent(by, import).await?)))
}

async fn create_agent(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let environment = environments::named(desk, by, &arguments).await?;
    desk.apply(by, &environment).await?;
    let new = new_agent(&arguments, "tools", environment.clone())?;
    if new.tools.is_none() {
        // The choice is only as good as what is known of the servers.
        desk.station.refresh_catalog(&environment).await?;
    }
    let (made, reasons) = desk.station.create_agent(by, new).await?;
    let details = wire::AgentDetails::from(&enabled(desk, by, &arguments, made).await?);
    let reasons = reasons.iter().map(wire::ReasonedTool::from).collect();
    Ok(Reply::of(&wire::CreatedAgent { details, reasons }))
}

async fn update_agent(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let named = named(desk, by, &arguments).await?;
    let mut details = found(desk, by, &named).await?;
    let agent = AgentRef::Id(details.agent.id);
    let edit = edit(&arguments)?;
    let name = arguments.text("name").map(AgentName::parse).transpose()?;
    if edit.is_empty() && name.is_none() && arguments.truth("enabled").is_none() {
        return Err(Error::invalid("nothing is named that is to change"));
    }
    if !edit.is_empty() {
        details = desk.station.update_agent(by, &agent, &edit).await?.agent;
    }
    if let Some(name) = name.filter(|name| *name != details.agent.name) {
        details = desk.station.rename_agent(by, &agent, &name).await?.agent;
    }
    let details = enabled(desk, by, &arguments, details).await?;
    Ok(Reply::of(&wire::AgentDetails::from(&details)))
}

/// What the arguments change of an agent.
fn edit(arguments: &Arguments) -> Result<AgentEdit> {
    let texts = |name: &str| arguments.texts(name).unwrap_or_default();
    let mut edit = edit_of(arguments, "tools");
    (edit.tools.add, edit.tools.remove) = (texts("add_tools"), texts("remove_tools"));
    (edit.agents.add, edit.agents.remove) = (texts("add_agents"), texts("remove_agents"));
    edit.tags.be = arguments.texts("tags");
    let unset = |word: &String| {
        Unset::from_word(word).map_err(|words| {
            Error::invalid(format!("`{word}` in `unset` is no field that can be taken out: {words}"))
        })
    };
    edit.unset = texts("unset").iter().map(unset).collect::<Result<_>>()?;
    Ok(edit)
}

/// An agent, once it is enabled or not as the arguments say.
async fn enabled(
    desk: &Desk,
    by: &Caller,
    arguments: &Arguments,
    agent: AgentDetails,
) -> Result<AgentDetails> {
    match arguments.truth("enabled") {
        Some(enabled) if enabled != agent.agent.enabled => {
            desk.station.enable_agent(by, &AgentRef::Id(agent.agent.id), enabled).await
        }
        _ => Ok(agent),
    }
}

async fn delete_agent(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let gone = desk.station.delete_agent(by, &named(desk, by, &arguments).await?).await?;
    Ok(Reply::of(&wire::Deletion::from(&gone)))
}

/// The agent that `agent` names, in the environment that `environment` does.
///
/// # Errors
/// `Invalid`; `NotFound` where there is no such environment.
pub(super) async fn named(desk: &Desk, by: &Caller, arguments: &Arguments) -> Result<AgentRef> {
    let environment = environments::chosen(desk, by, arguments).await?.map(|it| it.name);
    Ok(AgentRef::parse(arguments.must("agent"), environment))
}

/// The agent that `agent` names for a filter: by its id, or its name in `environment`.
///
/// # Errors
/// `NotFound` where there is none.
pub(super) async fn chosen(
    desk: &Desk,
    by: &Caller,
    arguments: &Arguments,
    environment: Option<&Environment>,
) -> Result<Option<AgentId>> {
    let Some(named) = arguments.text("agent") else { return Ok(None) };
    let named = AgentRef::parse(named, environment.map(|it| it.name.clone()));
    Ok(Some(desk.station.show_agent(by, &named).await?.agent.id))
}
