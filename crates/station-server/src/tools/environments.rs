//! `list_environments`, and how an environment is named in arguments.

use super::arguments::{Arguments, Kind, Parameter};
use super::management::Desk;
use super::row::{Effect, Row, done};
use super::schema::{list, number, object, text, truth};
use crate::wire;
use serde_json::{Value, json};
use station_core::{Action, Environment, Result};
use station_engine::EnvironmentRef;
use station_mcp::serve::Asked;

pub(super) const ROWS: &[Row] = &[Row {
    name: "list_environments",
    title: "List environments",
    description: "Lists the environments of this Station. An environment is a wall around agents, tool servers and \
        variables; most other tools take its `id`. Start here.",
    needs: Action::ReadEnvironments,
    effect: Effect::Reads,
    parameters: &[],
    output: || {
        object(&[("success", truth()), ("environments", list(&environment_schema())), ("count", number())])
    },
    call: |desk, asked, _| done(list_environments(desk, asked)),
}];

/// The parameter that names an environment, where it may be left out.
pub(super) const OPTIONAL: Parameter = Parameter::optional(
    "environment_id",
    Kind::Ref,
    "Id of the environment, from list_environments, or its name.",
);

pub(super) fn environment_schema() -> Value {
    object(&[("id", number()), ("name", text()), ("description", text()), ("origin", text())])
}

async fn list_environments(desk: &Desk, asked: &Asked) -> Result<Value> {
    let environments = desk.station.list_environments(&asked.by).await?;
    let environments: Vec<wire::Environment> = environments.iter().map(wire::Environment::from).collect();
    Ok(json!({ "success": true, "count": environments.len(), "environments": environments }))
}

/// The environment that `environment_id` names, where it does.
pub(super) async fn named(desk: &Desk, asked: &Asked, arguments: &Arguments) -> Result<Option<Environment>> {
    let Some(written) = arguments.text("environment_id") else { return Ok(None) };
    desk.station.environment(&asked.by, &EnvironmentRef::parse(written)?).await.map(Some)
}
