//! Environments.

use super::forms;
use super::operation::{Needs, Operation, Reply, Verb};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use station_core::{Action, Caller, Environment, EnvironmentName, Result};
use station_engine::{EnvironmentRef, SyncOptions};

/// The parameter that names one.
pub(super) const ENVIRONMENT: Parameter =
    Parameter::required("environment", Kind::Ref, "An environment, by id or name.").like(forms::environment);

/// The same, where it may be left out.
pub(super) const OPTIONAL: Parameter =
    Parameter::optional("environment", Kind::Ref, "An environment, by id or name.").like(forms::environment);

/// An environment with what is in it, in an example.
macro_rules! details_example {
    () => {
        r#"{"environment": {"id": 1, "name": "default", "description": "", "origin": "file",
            "created_at": "2026-11-26T09:30:00Z"}, "agents": ["triage"], "servers": ["files"], "variables": ["TOKEN"],
            "folder": null, "files": [], "runs_count": 7}"#
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_environments",
        verb: Verb::Get,
        path: "/environments",
        needs: Needs::Right(Action::ReadEnvironments),
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
        needs: Needs::Right(Action::ReadEnvironments),
        summary: "Show an environment",
        says: "An environment with the names of what is in it. Values of variables are not told.",
        parameters: &[ENVIRONMENT],
        status: 200,
        output: |generator| generator.subschema_for::<wire::EnvironmentDetails>(),
        sends: "",
        answers: details_example!(),
        call: |desk, by, arguments| show_environment(desk, by, arguments).boxed(),
    },
    Operation {
        id: "create_environment",
        verb: Verb::Post,
        path: "/environments",
        needs: Needs::Right(Action::ManageEnvironments),
        summary: "Make an environment",
        says: "Makes an environment, with a folder, or in the store where files are read-only. 409 where it exists.",
        parameters: &[
            Parameter::required(
                "name",
                Kind::Text,
                "Its name: letters, digits, `-`, `_`, `.`, not digits alone.",
            )
            .like(forms::environment),
            Parameter::optional("description", Kind::Text, "One line."),
        ],
        status: 201,
        output: |generator| generator.subschema_for::<wire::Environment>(),
        sends: r#"{"name": "production", "description": "What users see"}"#,
        answers: r#"{"id": 2, "name": "production", "description": "What users see", "origin": "file",
            "created_at": "2026-11-26T09:30:00Z"}"#,
        call: |desk, by, arguments| create_environment(desk, by, arguments).boxed(),
    },
    Operation {
        id: "update_environment",
        verb: Verb::Patch,
        path: "/environments/{environment}",
        needs: Needs::Right(Action::ManageEnvironments),
        summary: "Describe an environment",
        says: "Describes an environment in one line, in its environment.yml or in the store.",
        parameters: &[ENVIRONMENT, Parameter::required("description", Kind::Text, "One line.")],
        status: 200,
        output: |generator| generator.subschema_for::<wire::EnvironmentDetails>(),
        sends: r#"{"description": "What users see"}"#,
        answers: details_example!(),
        call: |desk, by, arguments| update_environment(desk, by, arguments).boxed(),
    },
    Operation {
        id: "delete_environment",
        verb: Verb::Delete,
        path: "/environments/{environment}",
        needs: Needs::Right(Action::ManageEnvironments),
        summary: "Delete an environment",
        says: "Deletes an environment: its folder with every file in it, its agents, servers and variables. Runs are kept. Refused with 409 for \
            `default`, and while a run in it has not ended.",
        parameters: &[ENVIRONMENT],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Deletion>(),
        sends: "",
        answers: r#"{"noun": "environment", "id": 2, "name": "production", "environment": "production", "files": [], "runs_kept": 7}"#,
        call: |desk, by, arguments| delete_environment(desk, by, arguments).boxed(),
    },
    Operation {
        id: "sync",
        verb: Verb::Post,
        path: "/environments/{environment}/sync",
        needs: Needs::Right(Action::Sync),
        summary: "Apply an environment's files",
        says: "Brings the store in line with the files of an environment; with `dry_run` it changes nothing and says what it would. A broken file \
            refuses itself alone, and stands in `problems`. Servers are among the files: an administrator's right.",
        parameters: &[
            ENVIRONMENT,
            Parameter::optional("dry_run", Kind::Truth(false), "true: only say what would change."),
            Parameter::optional(
                "discover",
                Kind::Truth(true),
                "Whether changed servers are asked for their tools.",
            ),
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::SyncReport>(),
        sends: r#"{"dry_run": true}"#,
        answers: r#"{"environment": "default", "applied": false, "changes": [{"action": "update", "noun": "agent", "name": "triage",
            "renamed_from": null, "servers": [], "dropped_servers": []}], "unchanged": 4, "problems": [], "variables": [],
            "discovery": {"servers": [], "warnings": []}}"#,
        call: |desk, by, arguments| sync(desk, by, arguments).boxed(),
    },
];

async fn create_environment(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let name = EnvironmentName::parse(arguments.must("name"))?;
    let description = arguments.text("description").unwrap_or_default();
    let made = desk.station.create_environment(by, &name, description).await?;
    Ok(Reply::of(&wire::Environment::from(&made.environment)))
}

async fn update_environment(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let named = EnvironmentRef::parse(arguments.must("environment"))?;
    let details = desk.station.update_environment(by, &named, arguments.must("description")).await?;
    Ok(Reply::of(&wire::EnvironmentDetails::from(&details)))
}

async fn delete_environment(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let named = EnvironmentRef::parse(arguments.must("environment"))?;
    let gone = desk.station.delete_environment(by, &named).await?;
    Ok(Reply::of(&wire::Deletion::from(&gone)))
}

async fn sync(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let named = EnvironmentRef::parse(arguments.must("environment"))?;
    let name = desk.station.environment_name(by, &named).await?;
    let options = SyncOptions {
        dry_run: arguments.truth("dry_run") == Some(true),
        discover: arguments.truth("discover") != Some(false),
    };
    let report = desk.station.sync(by, &name, options).await?;
    Ok(Reply::of(&wire::SyncReport::from(&report)))
}

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

/// The name of the environment that the arguments name; `default` where they name none.
///
/// # Errors
/// As [`chosen`].
pub(super) async fn named(desk: &Desk, by: &Caller, arguments: &Arguments) -> Result<EnvironmentName> {
    Ok(chosen(desk, by, arguments).await?.map(|it| it.name).unwrap_or_default())
}
