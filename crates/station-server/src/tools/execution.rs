//! A run as `call_agent` answers it: how it stands, what it said, and, where that is wanted, every step.

use super::attend::is_success;
use super::management::failure;
use super::questions;
use super::schema::{any, list, number, object, text, text_or_null, truth};
use crate::wire;
use serde_json::{Map, Value, json};
use station_core::run::{Effect, Entry, Event, Status};
use station_core::{EffectId, ToolCall, schema};
use station_engine::{RunDetails, Station};

/// How much of a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// How it stands.
    Brief,
    /// Its steps and calls besides.
    Whole,
}

/// The schema of the result.
pub(super) fn output(detail: Detail) -> Value {
    let mut properties = vec![
        ("agent_id", number()),
        ("agent", text()),
        ("environment", text()),
        ("task", text()),
        ("response", text_or_null()),
        ("run_id", number()),
        ("status", text()),
        ("error", text_or_null()),
        ("steps_count", number()),
        ("tool_calls_count", number()),
        ("usage", any()),
        ("approvals", list(&any())),
    ];
    if detail == Detail::Whole {
        properties.extend([("steps", list(&any())), ("tool_calls", list(&any()))]);
    }
    object(&[
        ("success", truth()),
        ("execution", object(&properties)),
        ("message?", text()),
        ("timestamp", text()),
    ])
}

/// How a run stands.
pub(super) fn shown(station: &Station, details: &RunDetails, detail: Detail, message: Option<&str>) -> Value {
    let mut result = json!({
        "success": is_success(details.run.status),
        "execution": execution(details, detail),
        "timestamp": station.config().clock.now().to_string(),
    });
    let waits = waiting(details);
    if let Some(message) = message.or(waits.as_deref()) {
        result["message"] = message.into();
    }
    result
}

/// The agent's answer as the result of a tool; where there is none, why not.
pub(super) fn answer(details: &RunDetails, message: Option<&str>) -> Value {
    let run = &details.run;
    let waits = waiting(details);
    let mut result = match (&run.answer, message.or(waits.as_deref())) {
        (Some(answer), None) if run.status == Status::Completed => {
            let mut result = json!({ "content": [{ "type": "text", "text": answer }], "isError": false });
            // One that was to fit a schema does.
            if let Ok(answer) = schema::check_text(&json!({ "type": "object" }), answer) {
                result["structuredContent"] = answer;
            }
            result
        }
        (_, Some(why)) => failure(why),
        (_, None) => {
            let status = run.status.as_str().replace('_', " ");
            let why = run.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            failure(&format!("run {} is {status}{why}", run.id))
        }
    };
    result["_meta"] = json!({ "station/run-id": run.id.0 });
    result
}

fn execution(details: &RunDetails, detail: Detail) -> Value {
    let run = wire::Run::new(&details.run, details.interrupted);
    let approvals: Vec<wire::Approval> =
        details.approvals.iter().filter(|it| it.is_pending()).map(wire::Approval::from).collect();
    let mut shown = json!({
        "agent_id": run.agent_id,
        "agent": run.agent,
        "environment": run.environment,
        "task": run.task,
        "response": run.answer,
        "run_id": run.id,
        "status": run.status,
        "error": run.error,
        "waiting_on": run.waiting_on,
        "model": run.model,
        "steps_count": run.steps,
        "tool_calls_count": run.tool_calls,
        "usage": run.usage,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "duration_ms": run.duration_ms,
        "approvals": approvals,
    });
    if detail == Detail::Whole {
        let (steps, calls) = steps(&details.journal);
        shown["steps"] = steps.into();
        shown["tool_calls"] = calls.into();
    }
    shown
}

/// What a run waits for, and what to do about it.
pub(super) fn waiting(details: &RunDetails) -> Option<String> {
    if details.run.status != Status::Waiting {
        return None;
    }
    let (id, pending) = (details.run.id, questions::pending(details).next());
    Some(match (pending, details.run.waits_on()) {
        (Some(approval), _) => format!(
            "`{}` of server `{}` waits for a person's approval: `stn approvals approve {}`, then `stn runs resume {id}` \
             (a running `stn serve` goes on by itself)",
            approval.tool, approval.server, approval.id
        ),
        (None, Some((on, _))) => format!("it waits for {on}: see `stn runs inspect {id}`"),
        (None, None) => format!("it waits: see `stn runs inspect {id}`"),
    })
}

/// Each answer of a model, and each call that came of it with what became of it.
fn steps(journal: &[Entry]) -> (Vec<Value>, Vec<Value>) {
    let (mut steps, mut calls): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut asked: &[ToolCall] = &[];
    let mut out: Vec<(EffectId, usize)> = Vec::new();
    for entry in journal {
        match &entry.event {
            Event::Answered { answer, ms, .. } => {
                asked = &answer.calls;
                steps.push(json!({
                    "step": steps.len() + 1,
                    "model": answer.model,
                    "text": answer.text,
                    "calls": asked.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(),
                    "usage": wire::Usage::from(answer.usage),
                    "duration_ms": ms,
                }));
            }
            Event::EffectStarted { id, effect } => {
                let (slot, mut call) = match effect {
                    Effect::Call { slot, server, tool, .. } => {
                        (slot, json!({ "server": server, "tool": tool }))
                    }
                    Effect::Spawn { slot, name, task, .. } => (slot, json!({ "agent": name, "task": task })),
                    Effect::Ask { .. } | Effect::Verify { .. } | Effect::Sample { .. } => continue,
                };
                call["step"] = steps.len().into();
                call["arguments"] = arguments(asked.get(*slot));
                call["status"] = "sent".into();
                out.push((*id, calls.len()));
                calls.push(call);
            }
            Event::Refused { slot, sentence } => calls.push(json!({
                "step": steps.len(),
                "name": asked.get(*slot).map(|call| &call.name),
                "arguments": arguments(asked.get(*slot)),
                "status": "refused",
                "result": sentence,
            })),
            event => {
                if let Some((id, became)) = became(event)
                    && let Some((_, at)) = out.iter().find(|(out, _)| *out == id)
                    && let Some(call) = calls.get_mut(*at).and_then(Value::as_object_mut)
                {
                    call.extend(became);
                }
            }
        }
    }
    (steps, calls)
}

/// What an event says became of a call.
fn became(event: &Event) -> Option<(EffectId, Map<String, Value>)> {
    let (id, became) = match event {
        Event::Returned { id, text, structured, is_error, ms, .. } => (
            id,
            json!({
                "status": if *is_error { "error" } else { "returned" },
                "result": text, "structured": structured, "duration_ms": ms,
            }),
        ),
        Event::OutcomeUnknown { id, sentence, ms, .. } => {
            (id, json!({ "status": "unknown", "result": sentence, "duration_ms": ms }))
        }
        Event::ChildEnded { id, run, status, text, ms, .. } => {
            (id, json!({ "status": status.as_str(), "result": text, "run_id": run.0, "duration_ms": ms }))
        }
        _ => return None,
    };
    let Value::Object(became) = became else { return None };
    Some((*id, became))
}

/// Arguments as the model wrote them: JSON where they are.
fn arguments(call: Option<&ToolCall>) -> Value {
    let Some(call) = call else { return Value::Null };
    serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::from(call.arguments.as_str()))
}
