//! `POST /execute` and `GET /runs/{id}`: the addresses by which scripts made for older Stations run an agent and hear what became
//! of it. What they send and get is theirs; what is done is what `call_agent` does.

use super::api::Refused;
use super::limits::AtWork;
use super::once::{self, Keep, Keyed, Told};
use super::{Site, failure};
use crate::tools::{Desk, queue, variables};
use crate::wire::{Executed, OlderError, OlderRun};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures::FutureExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use station_core::once::Again;
use station_core::tool::canonical_json;
use station_core::{Action, AgentId, Caller, EnvironmentName, Error, Result, RunId};
use station_engine::{AgentRef, KeyedRequest, NewRun};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/execute", post(execute)).route("/runs/{id}", get(run))
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
    Extension(by): Extension<Arc<Caller>>,
    request: Request,
) -> Response {
    match executed(&site, &by, request).await {
        Ok(response) => response,
        Err(Refused::Error(error)) => refused(failure::status(error.kind()), &error),
        Err(Refused::As(status, error)) => refused(status, &error),
    }
}

async fn executed(site: &Arc<Site>, by: &Caller, request: Request) -> Result<Response, Refused> {
    let key = once::key(request.headers())?;
    let place = request.extensions().get::<AtWork>().cloned();
    let body = site.bodies.read(request).await?;
    by.may(Action::RunAgents)?;
    let (agent, new) = sent(&body.bytes)?;
    let Some(key) = key else {
        let executed = started(&site.management.desk(), by, &agent, new).await?;
        return Ok((StatusCode::ACCEPTED, Json(executed)).into_response());
    };
    let body: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
    let asks = format!("execute {}", canonical_json(&body));
    let request = KeyedRequest { key, asks, again: Again::Harmless };
    let keyed = Keyed { request, shown: |error| json!(OlderError::from(error)), place };
    let (desk, of) = (site.management.desk(), by.clone());
    let work = async move |claim| {
        let new = NewRun { once: Some(claim), ..new };
        let executed = started(&desk, &of, &agent, new).await?;
        Ok(Told { status: StatusCode::ACCEPTED, body: json!(executed), keep: Keep::Answer })
    };
    once::answered(site, by, keyed, "", |claim| work(claim).boxed()).await
}

async fn started(desk: &Desk, by: &Caller, agent: &AgentRef, new: NewRun) -> Result<Executed> {
    let (run, message) = queue(desk, by, agent, new).await?;
    Ok(Executed::new(&run, message))
}

/// Which agent is to do what.
fn sent(body: &[u8]) -> Result<(AgentRef, NewRun)> {
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
    Ok((agent, NewRun { task: sent.task, variables, ..NewRun::default() }))
}

async fn run(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<Arc<Caller>>,
    id: Result<Path<i64>, PathRejection>,
) -> Response {
    let Ok(Path(id)) = id else {
        let error = Error::invalid("the number of a run is a whole number, as /execute gave it");
        return refused(StatusCode::BAD_REQUEST, &error);
    };
    match site.station.show_run(&by, RunId(id)).await {
        Ok(details) => Json(json!({ "run": OlderRun::from(&details) })).into_response(),
        Err(error) => refused(failure::status(error.kind()), &error),
    }
}

/// Where it stands what there is.
pub(super) const WHAT_THERE_IS: &str =
    "POST /execute runs an agent, GET /runs/{id} tells of a run, /mcp has agents as tools";

fn refused(status: StatusCode, error: &Error) -> Response {
    if !error.causes().is_empty() {
        tracing::error!(kind = error.kind().as_str(), causes = ?error.causes(), "{error}");
    }
    let mut response = (status, Json(OlderError::from(error))).into_response();
    if let Some(seconds) = error.retry_after_s() {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}
