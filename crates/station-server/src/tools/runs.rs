//! `call_agent`: runs an agent for a client, and gives the answer, or says how far it is.
//!
//! It is what `stn agent run` does: changed files are applied, the run is handed to a worker that is there, and driven here
//! where none is. A client that goes away, or cancels the request, ends the run it waits for; a run that takes longer than
//! its client waits goes on, and is given back to the queue when this process ends.

use super::arguments::{Arguments, Kind, Parameter};
use super::management::Desk;
use super::row::{Effect, Reply, Row};
use super::{agents, environments, execution, progress, questions, tasks};
use futures::FutureExt as _;
use serde_json::{Map, Value};
use station_core::budget::{Caps, Measure};
use station_core::run::Status;
use station_core::{Caller, Error, Result, RunId, Secret};
use station_engine::{AgentRef, Driver, From, NewRun, Run, Station, Watch};
use station_mcp::serve::Asked;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a client waits where it does not say, in seconds.
const TIMEOUT_S: i64 = 300;

/// The longest it may say: a day.
const TIMEOUT_S_MAX: i64 = 24 * 60 * 60;

/// How long the end of a run is waited for whose client is gone.
const CANCELLED_WITHIN: Duration = Duration::from_secs(5);

const TASK: Parameter = Parameter::required("task", Kind::Text, "What the agent is to do, in words.");
const ASYNC: Parameter = Parameter::optional(
    "async",
    Kind::Truth(false),
    "true: only put the run in the queue for a worker (`stn serve`) and answer at once.",
);
const TIMEOUT: Parameter = Parameter::optional(
    "timeout",
    Kind::Whole(1, TIMEOUT_S_MAX),
    "Seconds to wait for the answer, 300 if left out. After that the run goes on and the result says so, with its run_id.",
);
const STORE_RUN: Parameter = Parameter::optional(
    "store_run",
    Kind::Truth(true),
    "false: remove the run and its journal once it has ended.",
);
const CONTEXT: Parameter = Parameter::optional(
    "context",
    Kind::Object,
    "More that the agent should know; told to it after the task, as JSON.",
);

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "call_agent",
        title: "Run an agent",
        description: "Runs an agent on a task and returns its answer as `execution.response`. It may call its granted tools and cost money. \
            `status` is completed, failed, waiting (for a person's approval), running (it took longer than `timeout` and goes \
            on) or queued. A run that failed says why in `error`.",
        effect: Effect::Acts,
        parameters: &[agents::AGENT, environments::OPTIONAL, TASK, ASYNC, TIMEOUT, STORE_RUN, CONTEXT],
        output: || execution::schema(execution::Detail::Brief),
        call: |desk, asked, arguments| call(desk, asked, arguments, execution::Detail::Brief).boxed(),
    },
    Row {
        name: "call_agent_advanced",
        title: "Run an agent with settings",
        description: "As call_agent, with prompt variables, another model or step limit and a budget for this run; returns every step, every \
            tool call with its arguments and result, and what the run cost in tokens.",
        effect: Effect::Acts,
        parameters: &[
            agents::AGENT,
            environments::OPTIONAL,
            TASK,
            ASYNC,
            TIMEOUT,
            STORE_RUN,
            CONTEXT,
            Parameter::optional(
                "variables",
                Kind::Object,
                "Values of variables that the agent's prompt names.",
            ),
            Parameter::optional(
                "max_steps",
                Kind::Whole(1, 25),
                "Most model turns, instead of the agent's limit.",
            ),
            Parameter::optional("model", Kind::Text, "The model to ask, instead of the agent's."),
            Parameter::optional(
                "budget",
                Kind::Object,
                "Most that it may spend, with its sub-agents: {\"tokens\": 50000, \"usd\": 1.5, \"calls\": 20, \"time\": \"10m\"}.",
            ),
        ],
        output: || execution::schema(execution::Detail::Whole),
        call: |desk, asked, arguments| call(desk, asked, arguments, execution::Detail::Whole).boxed(),
    },
];

/// What became of a run while its client waited.
enum Waited {
    /// It has ended, or waits for a person.
    Over,
    /// It goes on.
    On(JoinHandle<Result<Run>>),
}

async fn call(desk: &Desk, asked: &Asked, arguments: Arguments, detail: execution::Detail) -> Result<Reply> {
    let station = &desk.station;
    let workers = station.find_workers().await?;
    // Before it begins, so that nothing of it is missed.
    let watch = asked.wants_progress().then(|| station.watch());
    let stop = CancellationToken::new();
    if let Some(run) = arguments.resumed {
        let details = station.show_run(&asked.by, run).await?;
        if !questions::decide(desk, asked, &details).await? {
            // Whoever puts the question away is not asked again: it waits in `stn approvals list`.
            return Ok(Reply::Done(execution::shown(station, &details, detail, None)));
        }
        let how = if workers.is_empty() { How::Here } else { How::Handed(From::Now) };
        let driven = drive(desk, asked, run, how, stop.clone());
        return attend(desk, asked, &arguments, Driven { run, driven, stop, watch }, detail).await;
    }
    let agent = agents::named(desk, asked, &arguments).await?;
    let mut new = NewRun { effect: asked.effect, ..new_run(&arguments)? };
    let agent = ready(desk, asked, &agent, &new.variables).await?;
    if arguments.truth("async") == Some(true) {
        if arguments.truth("store_run") == Some(false) {
            return Err(Error::invalid(
                "`store_run` cannot be false where `async` is true: nobody waits for the end of the run",
            ));
        }
        new.driver = Driver::Worker;
        let run = station.start_run(&asked.by, &agent, new).await?;
        station.wake_worker().await;
        let message = match workers.first() {
            Some(worker) => format!("queued: worker {worker} takes it up"),
            None => "queued: no worker is running, start stn serve".to_owned(),
        };
        let details = station.show_run(&asked.by, run.id).await?;
        return Ok(Reply::Done(execution::shown(station, &details, detail, Some(&message))));
    }
    let how = if workers.is_empty() { How::Here } else { How::Handed(From::Beginning) };
    new.driver = if workers.is_empty() { Driver::Caller } else { Driver::Worker };
    let run = station.start_run(&asked.by, &agent, new).await?.id;
    let driven = drive(desk, asked, run, how, stop.clone());
    attend(desk, asked, &arguments, Driven { run, driven, stop, watch }, detail).await
}

/// A run that is under way for a client.
struct Driven {
    run: RunId,
    driven: JoinHandle<Result<Run>>,
    stop: CancellationToken,
    watch: Option<Watch>,
}

/// Waits for a run as long as its client does, and says how it stands then.
async fn attend(
    desk: &Desk,
    asked: &Asked,
    arguments: &Arguments,
    driven: Driven,
    detail: execution::Detail,
) -> Result<Reply> {
    let (station, Driven { run, driven, stop, watch }) = (&desk.station, driven);
    let is_kept = arguments.truth("store_run").unwrap_or(true);
    let limit = arguments.whole("timeout").unwrap_or(TIMEOUT_S);
    let limit = Duration::from_secs(limit.unsigned_abs());
    // Who takes a handle is not kept waiting.
    let takes_task = asked.takes_tasks() && is_kept;
    let patience = if takes_task { limit.min(tasks::AFTER) } else { limit };
    let waited = tokio::select! {
        waited = wait(asked, driven, patience, &stop) => waited?,
        never = progress::tell(asked, watch, run) => match never {},
    };
    let goes_on = matches!(waited, Waited::On(_));
    if let Waited::On(driven) = waited {
        go_on(desk, run, driven, (!is_kept).then(|| asked.by.clone()));
    }
    if takes_task && goes_on {
        return tasks::of_run(desk, asked, run).await.map(Reply::Task);
    }
    let details = station.show_run(&asked.by, run).await?;
    if let Some(question) = questions::ask(desk, asked, &arguments.request, &details)? {
        return Ok(question);
    }
    let message = goes_on.then(|| {
        format!(
            "it takes longer than {} s and goes on: see it with `stn runs inspect {run}`",
            limit.as_secs()
        )
    });
    let shown = execution::shown(station, &details, detail, message.as_deref());
    if !is_kept && !goes_on {
        remove(station, &asked.by, run).await?;
    }
    Ok(Reply::Done(shown))
}

/// The agent, with changed files of its environment applied and the servers it has use for listed.
async fn ready(
    desk: &Desk,
    asked: &Asked,
    agent: &AgentRef,
    given: &BTreeMap<String, Secret>,
) -> Result<AgentRef> {
    let station = &desk.station;
    let before = station.show_agent(&asked.by, agent).await?;
    desk.apply(&before.environment.name).await?;
    station.refresh_catalog_of(&before.agent, given).await?;
    Ok(AgentRef::Id(before.agent.id))
}

fn new_run(arguments: &Arguments) -> Result<NewRun> {
    let task = arguments.must("task");
    let task = match arguments.object("context").filter(|context| !context.is_empty()) {
        Some(context) => format!("{task}\n\nContext:\n{}", Value::Object(context.clone())),
        None => task.to_owned(),
    };
    Ok(NewRun {
        task,
        model: arguments.text("model").map(str::to_owned),
        max_steps: arguments.whole("max_steps"),
        variables: arguments.object("variables").map(variables).unwrap_or_default(),
        limits: arguments.object("budget").map(caps).transpose()?.unwrap_or_default(),
        ..NewRun::default()
    })
}

/// A value as a person would write it.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn variables(given: &Map<String, Value>) -> BTreeMap<String, Secret> {
    given.iter().map(|(name, value)| (name.clone(), Secret::new(written(value)))).collect()
}

fn caps(given: &Map<String, Value>) -> Result<Caps> {
    let mut caps = Caps::default();
    for (word, value) in given {
        let Some(measure) = Measure::from_word(word) else {
            let words: Vec<&str> = Measure::ALL.iter().map(|it| it.as_str()).collect();
            return Err(Error::invalid(format!(
                "`budget.{word}` is no limit: there are {}",
                words.join(", ")
            )));
        };
        let Some(amount) = measure.parse(&written(value)) else {
            return Err(Error::invalid(format!("`budget.{word}` must be {}", measure.must_be())));
        };
        caps.set(measure, Some(amount));
    }
    Ok(caps)
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
async fn wait(
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_budget_is_read_as_people_write_it() {
        let check = |given: Value, expected: Result<Caps, &str>| {
            let read = caps(given.as_object().unwrap()).map_err(|error| error.to_string());
            assert_eq!(read, expected.map_err(str::to_owned), "{given}");
        };
        let all = Caps {
            tokens: Some(50_000),
            micro_usd: Some(1_500_000),
            calls: Some(20),
            time_ms: Some(600_000),
        };
        check(json!({ "tokens": 50_000, "usd": 1.5, "calls": "20", "time": "10m" }), Ok(all));
        check(json!({}), Ok(Caps::default()));
        check(json!({ "tokens": 0 }), Err("`budget.tokens` must be a whole number of 1 or more"));
        check(json!({ "money": 1 }), Err("`budget.money` is no limit: there are tokens, usd, calls, time"));
    }
}
