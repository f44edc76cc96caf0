//! Variables of an environment: their names. A value is told to nobody.

use super::environments::{ENVIRONMENT, named};
use super::forms;
use super::operation::{Needs, Operation, Reply, Verb};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use schemars::json_schema;
use serde_json::json;
use station_core::{Action, Caller, EnvironmentName, Result, Secret};
use station_engine::Variable;

const NAME: Parameter = Parameter::required("name", Kind::Text, "Its name.").like(forms::variable);

/// What is told of one that was set or taken out.
macro_rules! told {
    () => {
        |_| {
            json_schema!({
                "type": "object",
                "properties": {
                    "name": { "type": "string" },
                    "environment": { "type": "string" },
                    "stored": { "type": "boolean", "description": "Whether it is set now." },
                },
                "required": ["name", "environment", "stored"],
            })
        }
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_variables",
        verb: Verb::Get,
        path: "/environments/{environment}/variables",
        needs: Needs::Right(Action::ReadVariables),
        summary: "List variables",
        says: "Names of an environment's variables, those that are set and those that servers ask for. Values are told nowhere.",
        parameters: &[ENVIRONMENT, LIMIT_GIVEN, CURSOR],
        status: 200,
        output: |generator| page::shape::<wire::EnvironmentVariable>("variables", generator),
        sends: "",
        answers: r#"{"variables": [{"name": "TOKEN", "from": "variables.yml", "stored": true, "asked_by": ["github"]}],
            "count": 1, "next": null}"#,
        call: |desk, by, arguments| list_variables(desk, by, arguments).boxed(),
    },
    Operation {
        id: "set_variable",
        verb: Verb::Post,
        path: "/environments/{environment}/variables",
        needs: Needs::Right(Action::SetVariables),
        summary: "Set a variable",
        says: "Sets a variable in the environment's variables.yml, or in the store. A server's command may be made of it: an \
            administrator's right.",
        parameters: &[
            ENVIRONMENT,
            NAME,
            Parameter::required("value", Kind::Text, "Its value: it is told nowhere."),
        ],
        status: 200,
        output: told!(),
        sends: r#"{"name": "TOKEN", "value": "…"}"#,
        answers: r#"{"name": "TOKEN", "environment": "default", "stored": true}"#,
        call: |desk, by, arguments| set_variable(desk, by, arguments).boxed(),
    },
    Operation {
        id: "unset_variable",
        verb: Verb::Delete,
        path: "/environments/{environment}/variables/{name}",
        needs: Needs::Right(Action::SetVariables),
        summary: "Take a variable out",
        says: "Takes a variable out of an environment.",
        parameters: &[ENVIRONMENT, NAME],
        status: 200,
        output: told!(),
        sends: "",
        answers: r#"{"name": "TOKEN", "environment": "default", "stored": false}"#,
        call: |desk, by, arguments| unset_variable(desk, by, arguments).boxed(),
    },
];

async fn list_variables(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let all = desk.station.list_variables(by, &named(desk, by, &arguments).await?).await?;
    let key = |it: &Variable| it.name.clone();
    Ok(Reply::Body(page::of("variables", all, &arguments, key, |it| wire::EnvironmentVariable::from(it))))
}

async fn set_variable(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let (environment, name) = (named(desk, by, &arguments).await?, arguments.must("name"));
    desk.station.set_variable(by, &environment, name, &Secret::new(arguments.must("value"))).await?;
    Ok(told(name, &environment, true))
}

async fn unset_variable(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let (environment, name) = (named(desk, by, &arguments).await?, arguments.must("name"));
    desk.station.unset_variable(by, &environment, name).await?;
    Ok(told(name, &environment, false))
}

fn told(name: &str, environment: &EnvironmentName, stored: bool) -> Reply {
    Reply::Body(json!({ "name": name, "environment": environment.as_str(), "stored": stored }))
}
