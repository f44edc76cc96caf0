//! Runs as tasks of the protocol (SEP-2663), for clients that know them: a run that is not over soon is told by a handle.
//!
//! A task is a run, and its id names it, so any instance with the same store can be asked.

use super::execution::{self, Detail};
use super::management::{Desk, result};
use super::{questions, runs};
use station_core::run::Status;
use station_core::{Kind, Result, RunId};
use station_engine::RunDetails;
use station_mcp::serve::{Asked, Task};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A run that is over within this time needs no handle.
pub(super) const AFTER: Duration = Duration::from_secs(1);

/// How often it is worth asking: a model takes a second to answer.
const POLL_INTERVAL_MS: u64 = 1_000;

/// Before the run's number in a task's id.
const PREFIX: &str = "run-";

/// The run that a task's id names.
pub(super) fn run_of(id: &str) -> Option<RunId> {
    id.strip_prefix(PREFIX)?.parse().ok()
}

/// The task that stands for a run.
///
/// # Errors
/// The engine's.
pub(super) async fn of_run(desk: &Desk, asked: &Asked, run: RunId) -> Result<Task> {
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
        "completed" => Some(result(&execution::shown(&desk.station, &details, Detail::Whole, None))),
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
    execution::waiting(details)
        .unwrap_or_else(|| format!("run {} is {}{on}", details.run.id, details.run.status.as_str()))
}

/// Decides what the client answered to a task's questions, and sees that the run goes on.
///
/// # Errors
/// The engine's.
pub(super) async fn answer(desk: &Desk, asked: &Asked, run: RunId) -> Result<()> {
    let details = desk.station.show_run(&asked.by, run).await?;
    if questions::may_ask(asked)
        && questions::decide(desk, asked, &details).await?
        && desk.station.find_workers().await?.is_empty()
    {
        let driven = runs::drive(desk, asked, run, runs::How::Here, CancellationToken::new());
        runs::go_on(desk, run, driven, None);
    }
    Ok(())
}

/// Asks for the end of a task's run.
///
/// # Errors
/// The engine's; one that has ended is none.
pub(super) async fn end(desk: &Desk, asked: &Asked, run: RunId) -> Result<()> {
    match desk.station.cancel_run(&asked.by, run).await {
        // Whoever drives it ends it; what nobody drives is ended here.
        Ok(_) => desk.station.end_cancelled(&asked.by, run).await.map(drop),
        Err(error) if error.kind() == Kind::Conflict => Ok(()),
        Err(error) => Err(error),
    }
}
