//! Runs as tasks of the protocol (SEP-2663), for clients that know them: a run that is not over soon is told by a handle.
//!
//! A task is a run, and its id names it, so any instance with the same store can be asked.

use super::attend::{self, How, Shape};
use super::management::{Desk, failed, result};
use super::questions;
use super::row::Reply;
use station_core::run::Status;
use station_core::{EnvironmentName, Kind, Result, RunId};
use station_engine::RunDetails;
use station_mcp::serve::{Asked, Fault, Task};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A run that is over within this time needs no handle.
pub(super) const AFTER: Duration = Duration::from_secs(1);

/// How often it is worth asking: a model takes a second to answer.
const POLL_INTERVAL_MS: u64 = 1_000;

/// Before the run's number in a task's id.
const PREFIX: &str = "run-";

/// How the task of this id stands; nothing where there is none.
///
/// # Errors
/// We fail.
pub(super) async fn told(
    desk: &Desk,
    asked: &Asked,
    (id, within): (&str, Within<'_>),
    shape: Shape,
) -> Result<Option<Task>, Fault> {
    let Some(run) = run_of(desk, asked, id, within).await? else { return Ok(None) };
    there(of_run(desk, asked, run, shape).await)
}

/// Takes what the client answered to a task's questions; nothing where there is no such task.
///
/// # Errors
/// We fail.
pub(crate) async fn answered(
    desk: &Desk,
    asked: &Asked,
    (id, within): (&str, Within<'_>),
) -> Result<Option<()>, Fault> {
    let Some(run) = run_of(desk, asked, id, within).await? else { return Ok(None) };
    there(answer(desk, asked, run).await)
}

/// Asks for the end of a task; nothing where there is none of this id.
///
/// # Errors
/// We fail.
pub(crate) async fn ended(
    desk: &Desk,
    asked: &Asked,
    (id, within): (&str, Within<'_>),
) -> Result<Option<()>, Fault> {
    let Some(run) = run_of(desk, asked, id, within).await? else { return Ok(None) };
    there(end(desk, asked, run).await)
}

/// What is there; nothing where an error says that it is not.
fn there<T>(found: Result<T>) -> Result<Option<T>, Fault> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// The environment that a task must be of; any, where none is named.
pub(crate) type Within<'e> = Option<&'e EnvironmentName>;

/// The run that a task's id names, where it is of that environment: a client of one sees no other's.
async fn run_of(desk: &Desk, asked: &Asked, id: &str, within: Within<'_>) -> Result<Option<RunId>, Fault> {
    let run = id.strip_prefix(PREFIX).and_then(|number| number.parse().ok());
    let (Some(run), Some(environment)) = (run, within) else { return Ok(run) };
    let found = there(desk.station.show_run(&asked.by, run).await)?;
    Ok(found.filter(|details| details.run.environment_name == environment.as_str()).map(|_| run))
}

/// The task that stands for a run.
///
/// # Errors
/// The engine's.
pub(super) async fn of_run(desk: &Desk, asked: &Asked, run: RunId, shape: Shape) -> Result<Task> {
    let details = desk.station.show_run(&asked.by, run).await?;
    let asks =
        if questions::may_ask(asked) { questions::questions(&details) } else { serde_json::Map::new() };
    let status = match details.run.status {
        Status::Queued | Status::Running => "working",
        Status::Waiting if !asks.is_empty() => "input_required",
        Status::Waiting => "working",
        Status::Completed | Status::Failed | Status::TimedOut => "completed",
        Status::Cancelled => "cancelled",
    };
    let result = match status {
        "completed" => match shape.reply(&desk.station, &details, None) {
            Reply::Done(done) => Some(result(&done)),
            Reply::Said(said) => Some(said),
            Reply::Asks { .. } | Reply::Task(_) => None,
        },
        _ => None,
    };
    let run = &details.run;
    let updated_at = run.ended_at.or(run.waiting_since).or(run.started_at).unwrap_or(run.created_at);
    Ok(Task {
        id: format!("{PREFIX}{}", run.id),
        status,
        message: message(&details),
        created_at: run.created_at.to_string(),
        updated_at: updated_at.to_string(),
        requests: asks,
        result,
        poll_interval_ms: POLL_INTERVAL_MS,
    })
}

fn message(details: &RunDetails) -> String {
    let on = details.run.waits_on().map(|(on, _)| format!(", waits for {on}")).unwrap_or_default();
    super::execution::waiting(details)
        .unwrap_or_else(|| format!("run {} is {}{on}", details.run.id, details.run.status.as_str()))
}

/// Decides what the client answered to a task's questions, and sees that the run goes on.
///
/// # Errors
/// The engine's.
async fn answer(desk: &Desk, asked: &Asked, run: RunId) -> Result<()> {
    let details = desk.station.show_run(&asked.by, run).await?;
    if questions::may_ask(asked)
        && questions::decide(desk, asked, &details).await?
        && desk.station.find_workers().await?.is_empty()
    {
        let driven = attend::drive(desk, asked, run, How::Here, CancellationToken::new());
        attend::go_on(desk, run, driven, None);
    }
    Ok(())
}

/// Asks for the end of a task's run.
///
/// # Errors
/// The engine's; one that has ended is none.
async fn end(desk: &Desk, asked: &Asked, run: RunId) -> Result<()> {
    match desk.station.cancel_run(&asked.by, run).await {
        // Whoever drives it ends it; what nobody drives is ended here.
        Ok(_) => desk.station.end_cancelled(&asked.by, run).await.map(drop),
        Err(error) if error.kind() == Kind::Conflict => Ok(()),
        Err(error) => Err(error),
    }
}
