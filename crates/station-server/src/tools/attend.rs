//! Waiting for a run that a client asked for, whatever asked for it: driven here or followed where a worker drives it, until it
//! ends, waits for a person, or its client has waited long enough.

use super::execution::{self, Detail};
use super::management::Desk;
use super::row::Reply;
use super::{progress, questions, tasks};
use station_core::budget::Amounts;
use station_core::run::Status;
use station_core::{Action, Caller, Error, Result, RunId};
use station_engine::{AgentDetails, AgentRef, Driver, From, NewRun, Run, RunDetails, Station, Watch};
use station_mcp::serve::Asked;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a client waits where it does not say.
pub(super) const TIMEOUT: Duration = Duration::from_secs(300);

/// How long the end of a run is waited for whose client is gone.
const CANCELLED_WITHIN: Duration = Duration::from_secs(5);

/// How a client waits for a run.
pub(super) struct Wait {
    /// What tells the client's call from others: what it brings back is bound to it.
    pub(super) request: String,
    /// Whether the run stays in the store after its end.
    pub(super) is_kept: bool,
    /// How long; after that the run goes on without its client.
    pub(super) limit: Duration,
    /// What it is told.
    pub(super) shape: Shape,
}

/// What a client is told of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// How it stands, as an object.
    Execution(Detail),
    /// The agent's answer, as the result of a tool.
    Answer,
}

impl Shape {
    /// The reply that says how a run stands.
    pub(super) fn reply(self, station: &Station, details: &RunDetails, message: Option<&str>) -> Reply {
        match self {
            Self::Execution(detail) => Reply::Done(execution::shown(station, details, detail, message)),
            Self::Answer => Reply::Said(execution::answer(details, message)),
        }
    }
}

/// The agent as it was before changed files of its environment were applied, which they are then.
pub(crate) async fn found(desk: &Desk, by: &Caller, agent: &AgentRef) -> Result<AgentDetails> {
    let before = desk.station.show_agent(by, agent).await?;
    desk.apply(by, &before.environment.name).await?;
    Ok(before)
}

/// Starts a run, and waits for it.
pub(super) async fn start(
    desk: &Desk,
    asked: &Asked,
    agent: &AgentRef,
    mut new: NewRun,
    wait: Wait,
) -> Result<Reply> {
    let station = &desk.station;
    let is_handed = !station.find_workers().await?.is_empty();
    // Before it begins, so that nothing of it is missed.
    let watch = asked.wants_progress().then(|| station.watch());
    new.driver = if is_handed { Driver::Worker } else { Driver::Caller };
    let run = station.start_run(&asked.by, agent, new).await?.id;
    let how = if is_handed { How::Handed(From::Beginning) } else { How::Here };
    attend(desk, asked, run, how, watch, wait).await
}

/// Goes on with a run that waited for its client's answer, and waits for it.
pub(super) async fn take_up(desk: &Desk, asked: &Asked, run: RunId, wait: Wait) -> Result<Reply> {
    let station = &desk.station;
    let is_handed = !station.find_workers().await?.is_empty();
    let watch = asked.wants_progress().then(|| station.watch());
    let details = station.show_run(&asked.by, run).await?;
    if !questions::decide(desk, asked, &details).await? {
        // Whoever puts the question away is not asked again: it waits in `stn approvals list`.
        return Ok(wait.shape.reply(station, &details, None));
    }
    let how = if is_handed { How::Handed(From::Now) } else { How::Here };
    attend(desk, asked, run, how, watch, wait).await
}

/// Finds an agent and puts a run of it in the queue for a worker; who takes it up.
pub(crate) async fn queue(desk: &Desk, by: &Caller, agent: &AgentRef, new: NewRun) -> Result<(Run, String)> {
    by.may(Action::RunAgents)?;
    let found = found(desk, by, agent).await?;
    desk.station.refresh_catalog_of(by, &found.agent, &new.variables).await?;
    enqueue(desk, by, &AgentRef::Id(found.agent.id), new).await
}

/// Drives a run on beside everything else, after `added` was added to its own limits; how it stands now.
pub(crate) async fn resume(desk: &Desk, by: &Caller, run: RunId, added: Amounts) -> Result<Run> {
    let planned = desk.station.plan_resume(by, run, added).await?;
    if planned.is_driven {
        return Err(Error::conflict(format!("run {run} is driven already"))
            .with_hint(format!("follow it: `stn runs follow {run}`, GET /api/v1/runs/{run}/events")));
    }
    let (station, of, leave) = (desk.station.clone(), by.clone(), desk.leave.clone());
    let driven = desk
        .driving
        .spawn(async move { station.resume_planned(&of, planned, CancellationToken::new(), leave).await });
    go_on(desk, run, driven, None);
    Ok(desk.station.show_run(by, run).await?.run)
}

/// Puts a run in the queue for a worker, and says who takes it up.
pub(super) async fn enqueue(
    desk: &Desk,
    by: &Caller,
    agent: &AgentRef,
    mut new: NewRun,
) -> Result<(Run, String)> {
    let station = &desk.station;
    new.driver = Driver::Worker;
    let run = station.start_run(by, agent, new).await?;
    station.wake_worker().await;
    let message = match station.find_workers().await?.first() {
        Some(worker) => format!("queued: worker {worker} takes it up"),
        None => "queued: no worker is running, start stn serve".to_owned(),
    };
    Ok((run, message))
}

/// Waits for a run as long as its client does, and says how it stands then.
async fn attend(
    desk: &Desk,
    asked: &Asked,
    run: RunId,
    how: How,
    watch: Option<Watch>,
    wait: Wait,
) -> Result<Reply> {
    let (station, stop) = (&desk.station, CancellationToken::new());
    let driven = drive(desk, asked, run, how, stop.clone());
    // Who takes a handle is not kept waiting.
    let takes_task = asked.takes_tasks() && wait.is_kept;
    let patience = if takes_task { wait.limit.min(tasks::AFTER) } else { wait.limit };
    let waited = tokio::select! {
        waited = until_over(asked, driven, patience, &stop) => waited?,
        never = progress::tell(asked, watch, run) => match never {},
    };
    let goes_on = matches!(waited, Waited::On(_));
    if let Waited::On(driven) = waited {
        go_on(desk, run, driven, (!wait.is_kept).then(|| asked.by.clone()));
    }
    if takes_task && goes_on {
        return tasks::of_run(desk, asked, run, wait.shape).await.map(Reply::Task);
    }
    let details = station.show_run(&asked.by, run).await?;
    if let Some(question) = questions::ask(desk, asked, &wait.request, &details)? {
        return Ok(question);
    }
    let message = goes_on.then(|| {
        let seconds = wait.limit.as_secs();
        format!("it takes longer than {seconds} s and goes on: see it with `stn runs inspect {run}`")
    });
    let reply = wait.shape.reply(station, &details, message.as_deref());
    if !wait.is_kept && !goes_on {
        remove(station, &asked.by, run).await?;
    }
    Ok(reply)
}

/// What became of a run while its client waited.
enum Waited {
    /// It has ended, or waits for a person.
    Over,
    /// It goes on.
    On(JoinHandle<Result<Run>>),
}

/// Who drives a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// This process.
    Here,
    /// A worker that is there; it is followed.
    Handed(From),
}

/// Drives the run, or follows the worker that does, beside everything else: it may go on when its client has its answer.
pub(super) fn drive(
    desk: &Desk,
    asked: &Asked,
    run: RunId,
    how: How,
    stop: CancellationToken,
) -> JoinHandle<Result<Run>> {
    let (station, by, leave) = (desk.station.clone(), asked.by.clone(), desk.leave.clone());
    desk.driving.spawn(async move {
        match how {
            How::Here => station.work_off_until(run, stop, leave).await,
            How::Handed(from) => tokio::select! {
                followed = station.attend_run(&by, run, from, stop) => followed,
                () = leave.cancelled() => Ok(station.show_run(&by, run).await?.run),
            },
        }
    })
}

/// Waits for the run's end as long as its client does.
async fn until_over(
    asked: &Asked,
    mut driven: JoinHandle<Result<Run>>,
    limit: Duration,
    stop: &CancellationToken,
) -> Result<Waited> {
    let failed = |error| Error::internal("driving a run", error);
    tokio::select! {
        done = &mut driven => done.map_err(failed)?.map(|_| Waited::Over),
        () = tokio::time::sleep(limit) => Ok(Waited::On(driven)),
        () = asked.gone.cancelled() => {
            stop.cancel();
            match tokio::time::timeout(CANCELLED_WITHIN, &mut driven).await {
                Ok(done) => done.map_err(failed)?.map(|_| Waited::Over),
                Err(_) => Ok(Waited::On(driven)),
            }
        }
    }
}

/// Hears what becomes of a run that goes on when its client has its answer, and removes it at its end where it is
/// `unwanted_by` somebody.
pub(super) fn go_on(desk: &Desk, run: RunId, driven: JoinHandle<Result<Run>>, unwanted_by: Option<Caller>) {
    let station = desk.station.clone();
    desk.driving.spawn(async move {
        let ended = match driven.await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => {
                return tracing::warn!(%run, %error, causes = ?error.causes(), "a run does not go on here");
            }
            Err(error) => return tracing::error!(%run, %error, "a run does not go on here"),
        };
        if let Some(by) = unwanted_by.filter(|_| ended.status.is_final())
            && let Err(error) = remove(&station, &by, run).await
        {
            tracing::warn!(%run, %error, "a run that was not to be kept is kept");
        }
    });
}

/// Removes a run that nobody wants to keep.
async fn remove(station: &Station, by: &Caller, run: RunId) -> Result<()> {
    if !station.remove_run(by, run).await? {
        tracing::warn!(%run, "a run that was not to be kept is kept: it has not ended, or somebody said yes for always in it");
    }
    Ok(())
}

/// Whether a run that stands so is worth calling a success.
pub(super) fn is_success(status: Status) -> bool {
    match status {
        Status::Completed | Status::Queued | Status::Running | Status::Waiting => true,
        Status::Failed | Status::Cancelled | Status::TimedOut => false,
    }
}
