//! Environments.

use super::operation::{Operation, Reply, Verb};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use station_core::{Caller, Environment, Result};
use station_engine::EnvironmentRef;

/// The parameter that names one.
pub(super) const ENVIRONMENT: Parameter =
    Parameter::required("environment", Kind::Ref, "An environment, by id or name.");

/// The same, where it may be left out.
pub(super) const OPTIONAL: Parameter =
    Parameter::optional("environment", Kind::Ref, "An environment, by id or name.");

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_environments",
        verb: Verb::Get,
        path: "/environments",
        summary: "List environments",
        says: "Environments by name.",
        parameters: &[LIMIT_GIVEN, CURSOR],
        status: 200,
        output: |generator| page::shape::<wire::Environment>("environments", generator),
        sends: "",
        answers: r#"{"environments": [{"id": 1, "name": "default", "description": "", "origin": "file",
            "created_at": "2026-11-26T09:30:00Z"}], "count": 1, "next": null}"#,
        call: |desk, by, arguments| list_environments(desk, by, arguments).boxed(),
    },
    Operation {
        id: "show_environment",
        verb: Verb::Get,
        path: "/environments/{environment}",
        summary: "Show an environment",
        says: "An environment with the names of what is in it. Values of variables are not told.",
        parameters: &[ENVIRONMENT],
        status: 200,
        output: |generator| generator.subschema_for::<wire::EnvironmentDetails>(),
        sends: "",
        answers: r#"{"environment": {"id": 1, "name": "default", "description": "", "origin": "file",
            "created_at": "2026-11-26T09:30:00Z"}, "agents": ["triage"], "servers": ["files"], "variables": ["TOKEN"],
            "folder": null, "files": [], "runs_count": 7}"#,
        call: |desk, by, arguments| show_environment(desk, by, arguments).boxed(),
    },
];

async fn list_environments(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let all = desk.station.list_environments(by).await?;
    let key = |it: &Environment| it.name.to_string();
    Ok(Reply::Body(page::of("environments", all, &arguments, key, |it| wire::Environment::from(it))))
}

async fn show_environment(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let named = EnvironmentRef::parse(arguments.must("environment"))?;
    let details = desk.station.show_environment(by, &named).await?;
    Ok(Reply::of(&wire::EnvironmentDetails::from(&details)))
}

/// The environment that the arguments name, where they name one.
///
/// # Errors
/// `Invalid`; `NotFound` where there is no such environment.
pub(super) async fn chosen(desk: &Desk, by: &Caller, arguments: &Arguments) -> Result<Option<Environment>> {
    match arguments.text("environment") {
        Some(named) => desk.station.environment(by, &EnvironmentRef::parse(named)?).await.map(Some),
        None => Ok(None),
    }
}
