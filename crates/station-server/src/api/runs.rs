//! Runs: start, list, show, follow, cancel, fork, resume, record.

use super::agents;
use super::environments;
use super::events;
use super::forms;
use super::operation::{Needs, Operation, Reply, Verb, number, time};
use super::page::{self, CURSOR, LIMIT_GIVEN, Page};
use crate::tools::{Arguments, Desk, Kind, Parameter, caps, new_run, queue, resume, variables};
use crate::wire;
use futures::FutureExt as _;
use schemars::json_schema;
use station_core::budget::{Amounts, Measure};
use station_core::file::config::duration_ms;
use station_core::run::Status;
use station_core::{Action, Caller, Error, Result, RunId};
use station_engine::{Driver, Fork, NewRun, Run, RunFilter, Settled};
use std::time::Duration;

/// The parameter that names one.
const RUN: Parameter = Parameter::required("run", Kind::Id, "A run, by its id.");

/// The parameter that names several.
const RUNS: Parameter = Parameter::required("runs", Kind::Texts, "Runs, by their ids.").like(forms::row);

/// What a run is told to do, for every operation that starts one.
pub(super) const TASK: Parameter =
    Parameter::required("task", Kind::Text, "What the agent is to do, in words.");

/// Values for the variables of a prompt.
pub(super) const VARIABLES: Parameter =
    Parameter::optional("variables", Kind::Object, "Values of variables that the agent's prompt names.")
        .like(forms::values);

/// How long a run may take.
const TIMEOUT: Parameter =
    Parameter::optional("timeout", Kind::Text, "Longest time, e.g. 30s or 10m, instead of the agent's.")
        .like(forms::duration);

/// A run in an example.
macro_rules! example {
    () => {
        r#"{"id": 12, "agent": "triage", "agent_id": 7, "environment": "default", "environment_id": 1,
            "task": "why is it slow", "status": "queued", "waiting_on": "a free worker", "waiting_kind": "worker",
            "waiting_since": "2026-11-26T09:30:00Z", "model": null, "answer": null, "error": null, "steps": 0,
            "tool_calls": 0, "usage": {"input": 0, "output": 0, "cached": 0, "reasoning": 0}, "budget": null,
            "parent_id": null, "forked_from": null, "depth": 0, "created_at": "2026-11-26T09:30:00Z",
            "started_at": null, "ended_at": null, "duration_ms": null}"#
    };
}

/// A run with what happened in it, in an example.
macro_rules! details_example {
    () => {
        concat!(
            r#"{"run": "#,
            example!(),
            r#", "journal": [{"seq": 1, "at": "2026-11-26T09:30:00Z", "event": {"event": "adopted"}}], "children": [],
                "approvals": [], "unsettled": []}"#
        )
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "start_run",
        verb: Verb::Post,
        path: "/agents/{agent}/runs",
        needs: Needs::Right(Action::RunAgents),
        summary: "Run an agent",
        says: "Puts a run in the queue for a worker; `follow_run` tells how it goes on. Servers of the agent that were never listed are \
            listed first. Refused with 503 and \
            Retry-After where the queue is full.",
        parameters: &[
            agents::AGENT,
            environments::OPTIONAL,
            TASK,
            VARIABLES,
            Parameter::optional("model", Kind::Text, "The model to ask, instead of the agent's.")
                .like(forms::model),
            Parameter::optional(
                "max_steps",
                Kind::Whole(1, 25),
                "Most model turns, instead of the agent's limit.",
            ),
            Parameter::optional(
                "budget",
                Kind::Object,
                "Most that it may spend, with its sub-agents: tokens, usd, calls, time.",
            )
            .like(forms::amounts),
            TIMEOUT,
        ],
        status: 202,
        output: |generator| generator.subschema_for::<wire::StartedRun>(),
        sends: r#"{"task": "why is it slow", "budget": {"usd": 0.5, "time": "10m"}}"#,
        answers: concat!(r#"{"run": "#, example!(), r#", "message": "queued: worker a takes it up"}"#),
        call: |desk, by, arguments| start_run(desk, by, arguments).boxed(),
    },
    Operation {
        id: "list_runs",
        verb: Verb::Get,
        path: "/runs",
        needs: Needs::Right(Action::ReadRuns),
        summary: "List runs",
        says: "Runs, newest first.",
        parameters: &[
            Parameter::optional(
                "agent",
                Kind::Ref,
                "Only runs of this agent: its id, or its name in `environment`.",
            ),
            environments::OPTIONAL,
            Parameter::optional(
                "status",
                Kind::Text,
                "Only runs that are queued, running, waiting, completed, failed, cancelled or timed_out.",
            )
            .like(forms::status),
            Parameter::optional("open", Kind::Truth(false), "true: only runs that have not ended."),
            Parameter::optional("since", Kind::Text, "Only runs queued at this time (RFC 3339) or later.")
                .like(forms::time),
            Parameter::optional("until", Kind::Text, "Only runs queued before this time.").like(forms::time),
            LIMIT_GIVEN,
            CURSOR.like(forms::row),
        ],
        status: 200,
        output: |generator| page::shape::<wire::Run>("runs", generator),
        sends: "",
        answers: concat!(r#"{"runs": ["#, example!(), r#"], "count": 1, "next": "12"}"#),
        call: |desk, by, arguments| list_runs(desk, by, arguments).boxed(),
    },
    Operation {
        id: "export_runs",
        verb: Verb::Get,
        path: "/runs/export",
        needs: Needs::Right(Action::ReadRuns),
        summary: "Export runs",
        says: "Runs as `show_run` has each, for a copy elsewhere: 1 to 20 at a time, `runs` stands in the query once for each. That they were \
            taken out is a row of the audit. 404 where one is not there, and then none is told.",
        parameters: &[RUNS],
        status: 200,
        output: |generator| {
            json_schema!({
                "type": "object",
                "properties": {
                    "runs": { "type": "array", "items": generator.subschema_for::<wire::RunDetails>() },
                    "count": { "type": "integer", "minimum": 0 },
                },
                "required": ["runs", "count"],
            })
        },
        sends: "",
        answers: concat!(r#"{"runs": ["#, details_example!(), r#"], "count": 1}"#),
        call: |desk, by, arguments| export_runs(desk, by, arguments).boxed(),
    },
    Operation {
        id: "show_run",
        verb: Verb::Get,
        path: "/runs/{run}",
        needs: Needs::Right(Action::ReadRuns),
        summary: "Show a run",
        says: "A run with its journal, its sub-agents' runs and the questions that were put to people for it.",
        parameters: &[RUN],
        status: 200,
        output: |generator| generator.subschema_for::<wire::RunDetails>(),
        sends: "",
        answers: details_example!(),
        call: |desk, by, arguments| show_run(desk, by, arguments).boxed(),
    },
    Operation {
        id: "follow_run",
        verb: Verb::Get,
        path: "/runs/{run}/events",
        needs: Needs::Right(Action::ReadRuns),
        summary: "Follow a run",
        says: "What happens in a run as server-sent events, from the first entry of its journal on, until it has ended. An \
            `entry` is one of the journal, and its place there is the event's id: `Last-Event-ID`, or `after`, goes on \
            behind it. A `text` is a piece of what a model says, without an id. `parked` has the run where it goes on only when somebody has \
            acted. `end` is the last event, with the run; a stream that closes without it broke off.",
        parameters: &[
            RUN,
            Parameter::optional(
                "after",
                Kind::Whole(0, i64::MAX),
                "The place of the last entry that is known already.",
            ),
        ],
        status: 200,
        output: events::shape,
        sends: "",
        answers: r#"{"event": "entry", "id": "1",
            "data": "{\"seq\": 1, \"at\": \"2026-11-26T09:30:00Z\", \"event\": {\"event\": \"adopted\"}}"}"#,
        call: |desk, by, arguments| follow_run(desk, by, arguments).boxed(),
    },
    Operation {
        id: "cancel_run",
        verb: Verb::Post,
        path: "/runs/{run}/cancel",
        needs: Needs::Right(Action::RunAgents),
        summary: "Cancel a run",
        says: "Ends a run and its sub-agents' runs: whoever drives it ends it, and what nobody drives is ended here. Refused with 409 \
            where it has ended.",
        parameters: &[RUN],
        status: 200,
        output: |generator| generator.subschema_for::<wire::RunDetails>(),
        sends: "{}",
        answers: concat!(
            r#"{"run": "#,
            example!(),
            r#", "journal": [], "children": [], "approvals": [], "unsettled": []}"#
        ),
        call: |desk, by, arguments| cancel_run(desk, by, arguments).boxed(),
    },
    Operation {
        id: "retry_run",
        verb: Verb::Post,
        path: "/runs/{run}/retry",
        needs: Needs::Right(Action::RunAgents),
        summary: "Do a run again",
        says: "Puts a run in the queue that does what this one was to do: the same agent, task, limits and variables. Refused with 409 where \
            it has not ended.",
        parameters: &[RUN],
        status: 202,
        output: |generator| generator.subschema_for::<wire::Run>(),
        sends: "{}",
        answers: example!(),
        call: |desk, by, arguments| retry_run(desk, by, arguments).boxed(),
    },
    Operation {
        id: "fork_run",
        verb: Verb::Post,
        path: "/runs/{run}/fork",
        needs: Needs::Right(Action::RunAgents),
        summary: "Fork a run",
        says: "Puts a run in the queue that begins with the first steps of this one. What this one called is history: the model sees it, \
            and nothing of it is sent again. From there on it goes its own way, with what is named here, and with rights as they are now. Refused with 409 where it has \
            no such step.",
        parameters: &[
            RUN,
            Parameter::optional(
                "step",
                Kind::Whole(0, 1_000),
                "After which step; 0 is before the first. The last complete one if left out.",
            ),
            Parameter::optional("task", Kind::Text, "Another task."),
            Parameter::optional("model", Kind::Text, "Another model.").like(forms::model),
            Parameter::optional(
                "prompt",
                Kind::Text,
                "Another prompt: the text of an agent's file, or its body alone.",
            ),
            Parameter::optional(
                "max_steps",
                Kind::Whole(1, 25),
                "Most model turns, those of the history included.",
            ),
            TIMEOUT,
            VARIABLES,
        ],
        status: 202,
        output: |generator| generator.subschema_for::<wire::Run>(),
        sends: r#"{"step": 2, "task": "why is it slow at night"}"#,
        answers: example!(),
        call: |desk, by, arguments| fork_run(desk, by, arguments).boxed(),
    },
    Operation {
        id: "resume_run",
        verb: Verb::Post,
        path: "/runs/{run}/resume",
        needs: Needs::Right(Action::RunAgents),
        summary: "Resume a run",
        says: "Drives a run on that was interrupted, or waits for a person or for room in a budget; `follow_run` tells how. A worker does so \
            by itself where it can: this is for what it cannot know, such as `add`. Refused with 409 where it has ended or is driven already.",
        parameters: &[
            RUN,
            Parameter::optional(
                "add",
                Kind::Object,
                "What it may spend besides: tokens, usd, calls, time. An administrator's right.",
            )
            .like(forms::amounts),
        ],
        status: 202,
        output: |generator| generator.subschema_for::<wire::Run>(),
        sends: "{}",
        answers: example!(),
        call: |desk, by, arguments| resume_run(desk, by, arguments).boxed(),
    },
    Operation {
        id: "settle_effect",
        verb: Verb::Post,
        path: "/runs/{run}/effects/{effect}/settle",
        needs: Needs::Right(Action::Approve),
        summary: "Settle a call",
        says: "Says what became of a call whose outcome nobody knows and for which its run waits (`unsettled` of `show_run`). `done`: it took \
            effect, and the model is told so. `not_done`: it did not, and is sent again under the id that it had. Refused with 409 where no call \
            waits so.",
        parameters: &[
            RUN,
            Parameter::required("effect", Kind::Text, "The call's id, or the end of it."),
            Parameter::required("outcome", Kind::Text, "`done` or `not_done`.").like(forms::outcome),
            Parameter::optional("note", Kind::Text, "What the model is told besides."),
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Run>(),
        sends: r#"{"outcome": "done", "note": "I looked"}"#,
        answers: example!(),
        call: |desk, by, arguments| settle_effect(desk, by, arguments).boxed(),
    },
    Operation {
        id: "record_run",
        verb: Verb::Get,
        path: "/runs/{run}/record",
        needs: Needs::Right(Action::ReadRuns),
        summary: "Record a run",
        says: "A run as a case that `stn test` replays without models, servers and keys: its task, each answer of the model, each result of \
            a tool, and their definitions. Values of variables are taken out, but for those of fewer than eight characters: look at \
            it before it is shared.",
        parameters: &[RUN],
        status: 200,
        output: |_| json_schema!({ "type": "object", "description": "A case: the format of `*.case.json`." }),
        sends: "",
        answers: r#"{"version": 1, "agent": "triage", "environment": "default", "task": "why is it slow", "steps": []}"#,
        call: |desk, by, arguments| record_run(desk, by, arguments).boxed(),
    },
];

async fn export_runs(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let ids = arguments.texts("runs").unwrap_or_default();
    let ids = ids.iter().map(|id| run_of(id)).collect::<Result<Vec<_>>>()?;
    let runs = desk.station.export_runs(by, &ids).await?;
    let is_interrupted = |run: &Run| desk.station.is_interrupted(run);
    let runs: Vec<wire::RunDetails> =
        runs.iter().map(|details| wire::RunDetails::new(details, is_interrupted)).collect();
    Ok(Reply::Body(wire::list("runs", &runs)))
}

async fn fork_run(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let run = run_of(arguments.must("run"))?;
    let text = |name| arguments.text(name).map(str::to_owned);
    let fork = Fork {
        step: arguments.whole("step").and_then(|step| u32::try_from(step).ok()),
        model: text("model"),
        prompt: text("prompt").map(|prompt| (prompt, "`prompt`".to_owned())),
        task: text("task"),
        max_steps: arguments.whole("max_steps"),
        timeout: timeout(&arguments)?,
        variables: arguments.object("variables").map(variables).unwrap_or_default(),
        driver: Driver::Worker,
        once: arguments.once.clone(),
    };
    let fork = desk.station.fork_run(by, run, fork).await?;
    Ok(Reply::of(&wire::Run::new(&fork, false)))
}

async fn resume_run(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let run = run_of(arguments.must("run"))?;
    let caps = caps("add", arguments.object("add"))?;
    let added = Measure::ALL.into_iter().fold(Amounts::default(), |mut added, measure| {
        added.set(measure, caps.get(measure).unwrap_or(0));
        added
    });
    let run = resume(desk, by, run, added).await?;
    Ok(Reply::of(&wire::Run::new(&run, false)))
}

async fn settle_effect(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let run = run_of(arguments.must("run"))?;
    let word = arguments.must("outcome");
    let settled = Settled::from_word(word)
        .ok_or_else(|| Error::invalid(format!("`outcome` is `{word}`, and must be `done` or `not_done`")))?;
    let note = arguments.text("note").unwrap_or_default().to_owned();
    let run = desk.station.settle_effect(by, run, arguments.must("effect"), settled, note).await?;
    Ok(Reply::of(&wire::Run::new(&run, desk.station.is_interrupted(&run))))
}

async fn record_run(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let case = desk.station.record_run(by, run_of(arguments.must("run"))?).await?;
    Ok(Reply::of(&case))
}

async fn retry_run(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let run = run_of(arguments.must("run"))?;
    let again = desk.station.retry_run(by, run, Driver::Worker, arguments.once).await?;
    Ok(Reply::of(&wire::Run::new(&again, false)))
}

async fn start_run(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let agent = agents::named(desk, by, &arguments).await?;
    let new = NewRun { timeout: timeout(&arguments)?, ..new_run(&arguments)? };
    let (run, message) = queue(desk, by, &agent, new).await?;
    Ok(Reply::of(&wire::StartedRun { run: wire::Run::new(&run, false), message }))
}

async fn list_runs(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let station = &desk.station;
    let environment = environments::chosen(desk, by, &arguments).await?;
    let agent = agents::chosen(desk, by, &arguments, environment.as_ref()).await?;
    let status = match arguments.text("status") {
        Some(word) => Some(Status::from_word(word).ok_or_else(|| {
            Error::invalid(format!("`{word}` is no status of a run"))
                .with_hint("queued, running, waiting, completed, failed, cancelled, timed_out")
        })?),
        None => None,
    };
    let before = match arguments.text("cursor") {
        Some(cursor) => Some(run_of(cursor)?),
        None => None,
    };
    let filter = RunFilter {
        agent,
        environment: environment.map(|it| it.id),
        status,
        open: arguments.truth("open").unwrap_or_default(),
        before,
        since: time(&arguments, "since")?,
        until: time(&arguments, "until")?,
        ..RunFilter::default()
    };
    let page = Page::asked(&arguments);
    let runs = station.list_runs(by, &filter, page.and_one()).await?;
    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    let budgets = station.run_budgets(&ids).await?;
    let shown =
        |run: &Run| wire::Run::new(run, station.is_interrupted(run)).with_budget(budgets.get(&run.id));
    Ok(Reply::Body(page.told("runs", runs, |run| run.id.0, shown)))
}

async fn show_run(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    shown(desk, by, run_of(arguments.must("run"))?).await
}

async fn shown(desk: &Desk, by: &Caller, run: RunId) -> Result<Reply> {
    let details = desk.station.show_run(by, run).await?;
    let is_interrupted = |run: &Run| desk.station.is_interrupted(run);
    Ok(Reply::of(&wire::RunDetails::new(&details, is_interrupted)))
}

async fn follow_run(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let run = run_of(arguments.must("run"))?;
    let after = arguments.whole("after").unwrap_or_default();
    let events = desk.station.run_events(by, run, after).await?;
    Ok(Reply::Events { run, events })
}

async fn cancel_run(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let run = run_of(arguments.must("run"))?;
    desk.station.cancel_run(by, run).await?;
    desk.station.end_cancelled(by, run).await?;
    shown(desk, by, run).await
}

/// How long the run may take that is asked for, where that is said.
fn timeout(arguments: &Arguments) -> Result<Option<Duration>> {
    let Some(text) = arguments.text("timeout") else { return Ok(None) };
    let ms = duration_ms(text).filter(|ms| *ms > 0).ok_or_else(|| {
        Error::invalid(format!("`timeout` is `{text}`, and no time"))
            .with_hint("write a time like 30s, 10m or 1h30m")
    })?;
    Ok(Some(Duration::from_millis(ms)))
}

/// The run that `text` names.
///
/// # Errors
/// `Invalid` where it is no number.
fn run_of(text: &str) -> Result<RunId> {
    number(text, "a run")
}
