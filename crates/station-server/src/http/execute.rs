//! `POST /execute` and `GET /runs/{id}`: the addresses by which scripts made for older Stations run an agent and hear what became
//! of it. What they send and get is theirs; what is done is what `call_agent` does.

use super::{Site, failure};
use crate::tools::{queue, variables};
use crate::wire::{Executed, OlderError, OlderRun};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use station_core::{AgentId, Caller, EnvironmentName, Error, Result, RunId};
use station_engine::{AgentRef, NewRun};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/execute", post(execute)).route("/runs/{id}", get(run)).fallback(nothing)
}

/// What `/execute` is sent.
#[derive(Debug, Deserialize)]
struct Execute {
    #[serde(default)]
    agent_name: Option<String>,
    #[serde(default)]
    agent_id: Option<i64>,
    #[serde(default)]
    task: String,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    /// Of an agent that is named; `default` where it is left out.
    #[serde(default)]
    environment: Option<String>,
}

async fn execute(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<Caller>,
    request: Request,
) -> Response {
    let body = match site.bodies.read(request).await {
        Ok(body) => body,
        Err(unread) => return unread.into_response(),
    };
    match started(&site, by, &body.bytes).await {
        Ok(executed) => (StatusCode::ACCEPTED, Json(executed)).into_response(),
        Err(error) => refused(&error),
    }
}

async fn started(site: &Site, by: Caller, body: &[u8]) -> Result<Executed> {
    let sent: Execute = serde_json::from_slice(body).map_err(|error| {
        Error::invalid(format!("the body is not what is expected: {error}"))
            .with_hint("send {\"agent_name\": …, \"task\": …}, or agent_id in place of the name; `variables` is an object")
    })?;
    if sent.task.trim().is_empty() {
        return Err(Error::invalid("`task` is missing: what the agent is to do, in words"));
    }
    let agent = match (sent.agent_id, sent.agent_name) {
        // Whatever is sent by scripts that name both, the number is exact.
        (Some(id), _) if id != 0 => AgentRef::Id(AgentId(id)),
        (_, Some(name)) if !name.trim().is_empty() => {
            let environment = sent.environment.as_deref().map(EnvironmentName::parse).transpose()?;
            AgentRef::Name { name, environment }
        }
        _ => return Err(Error::invalid("`agent_name` is missing, or `agent_id`")),
    };
    let variables = variables(&sent.variables.unwrap_or_default());
    let new = NewRun { task: sent.task, variables, ..NewRun::default() };
    let (run, message) = queue(&site.management.desk(), &by, &agent, new).await?;
    Ok(Executed::new(&run, message))
}

async fn run(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<Caller>,
    id: Result<Path<i64>, PathRejection>,
) -> Response {
    let Ok(Path(id)) = id else {
        return refused(&Error::invalid("the number of a run is a whole number, as /execute gave it"));
    };
    match site.station.show_run(&by, RunId(id)).await {
        Ok(details) => Json(json!({ "run": OlderRun::from(&details) })).into_response(),
        Err(error) => refused(&error),
    }
}

async fn nothing() -> Response {
    let error = Error::not_found("there is nothing at this address")
        .with_hint("POST /execute runs an agent, GET /runs/{id} tells of a run, /mcp has agents as tools");
    refused(&error)
}

fn refused(error: &Error) -> Response {
    if !error.causes().is_empty() {
        tracing::error!(kind = error.kind().as_str(), causes = ?error.causes(), "{error}");
    }
    let mut response = (failure::status(error.kind()), Json(OlderError::from(error))).into_response();
    if let Some(seconds) = error.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}
