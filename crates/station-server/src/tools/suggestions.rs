//! `suggest_agent_config`: an agent for a request in words, with the reason for every tool, and nothing changed.

use super::arguments::{Arguments, Kind, Parameter};
use super::management::Desk;
use super::row::{Effect, Row, done};
use super::schema::{list, number, object, text, text_or_null, truth};
use serde_json::{Value, json};
use station_core::{Action, EnvironmentName, Result};
use station_engine::{AgentSuggestion, AgentWish, Planner};
use station_mcp::serve::Asked;

pub(super) const ROWS: &[Row] = &[Row {
    name: "suggest_agent_config",
    title: "Suggest an agent",
    description: "Proposes an agent for a request in words: name, prompt, and the tools of its environment that fit, with a reason for \
        each. The configured model plans it; `planner` says `ranking` where none can, and `planner_note` why. Changes nothing. Show it to the user, then make it with create_agent.",
    needs: Action::EditAgents,
    effect: Effect::Reads,
    parameters: &[
        Parameter::required("user_request", Kind::Text, "What the agent is to do, in the user's words."),
        Parameter::optional("domain", Kind::Text, "What it works in, e.g. devops, security, data."),
        Parameter::optional(
            "environment_name",
            Kind::Text,
            "The environment whose tools it may use; `default` if left out.",
        ),
        Parameter::optional(
            "include_tool_details",
            Kind::Truth(true),
            "Whether each tool comes with its server, description and parameters.",
        ),
    ],
    output: || {
        let tool = object(&[("name", text()), ("reason", text())]);
        let config = object(&[
            ("name", text()),
            ("description", text()),
            ("prompt", text()),
            ("environment", text()),
            ("environment_id", number()),
            ("tool_names", list(&text())),
            ("max_steps", number()),
            ("domain", text_or_null()),
        ]);
        object(&[
            ("success", truth()),
            ("suggestion", config),
            ("tools", list(&tool)),
            ("planner", text()),
            ("planner_note?", text_or_null()),
            ("message", text()),
        ])
    },
    call: |desk, asked, arguments| done(suggest(desk, asked, arguments)),
}];

async fn suggest(desk: &Desk, asked: &Asked, arguments: Arguments) -> Result<Value> {
    let environment = match arguments.text("environment_name") {
        Some(name) => EnvironmentName::parse(name)?,
        None => EnvironmentName::default(),
    };
    desk.apply(&asked.by, &environment).await?;
    let wish = AgentWish {
        request: arguments.must("user_request").to_owned(),
        domain: arguments.text("domain").map(str::to_owned),
        environment: environment.clone(),
    };
    let stop = asked.gone.child_token();
    let suggestion = desk.station.suggest_agent_config(&asked.by, wish, stop).await?;
    let details = arguments.truth("include_tool_details").unwrap_or(true);
    let of = station_engine::EnvironmentRef::Name(environment);
    let id = desk.station.environment(&asked.by, &of).await?.id;
    let AgentSuggestion { agent, prompt, tools, steps, planner } = &suggestion;
    let shown: Vec<Value> = tools
        .iter()
        .map(|(reasoned, tool)| {
            let mut shown = json!({ "name": reasoned.tool, "reason": reasoned.reason });
            if details {
                shown["server"] = tool.server_name.as_str().into();
                shown["description"] = tool.description.as_str().into();
                shown["input_schema"] = tool.input_schema.clone();
            }
            shown
        })
        .collect();
    let message = if tools.is_empty() {
        "no tool that is known in this environment fits: look with list_tools, or ask the servers with discover_tools"
    } else {
        "nothing was changed: make it with create_agent"
    };
    let (planner, note) = match planner {
        Planner::Model(model) => (model.as_str(), None),
        Planner::Ranking { because } => ("ranking", Some(because)),
    };
    Ok(json!({
        "success": true,
        "suggestion": {
            "name": agent.name.as_str(),
            "description": agent.description,
            "prompt": prompt,
            "environment": agent.environment.as_str(),
            "environment_id": id.0,
            "tool_names": agent.tools,
            "max_steps": steps.steps,
            "max_steps_reason": steps.reason,
            "domain": agent.domain,
            "schedule": agent.schedule,
            "input_schema": agent.input_schema,
            "output_schema": agent.output_schema,
        },
        "tools": shown,
        "planner": planner,
        "planner_note": note,
        "message": message,
    }))
}
