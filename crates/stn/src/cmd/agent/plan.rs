//! A plan of the architect in front of a person: made, shown, and carried out on a yes.
//!
//! Where nobody can be asked, the plan stays as what it is: a call that waits for an approval, in a run that goes on with one.

use crate::at::At;
use crate::attend::{Drive, heeding_signals, told};
use crate::error::{Failure, Result};
use crate::follow::{Source, Tell, alive, follow, follow_on};
use crate::out::Tone;
use crate::question::{Yes, confirm};
use crate::remote::{Server, to_its_end};
use crate::session::Session;
use serde_json::{Value, json};
use station_core::budget::Amounts;
use station_core::{AgentId, Error, Kind};
use station_engine::{AgentPlan, Planning, Station};
use station_server::wire;
use std::io::IsTerminal as _;
use tokio_util::sync::CancellationToken;

/// Fields of a new agent that are one line, in the order in which they are shown.
const FIELDS: [&str; 10] = [
    "name",
    "description",
    "domain",
    "model",
    "max_steps",
    "agents",
    "schedule",
    "input_schema",
    "output_schema",
    "enabled",
];

/// What came of planning.
pub(super) enum Planned {
    /// It was carried out.
    Done(AgentId, Box<AgentPlan>),
    /// It was shown, and waits.
    Waits,
    /// There is none, for this reason.
    None(String),
}

/// Has the architect plan with `model`, shows the plan, and carries it out on a yes.
///
/// # Errors
/// `Conflict` where the answer is no: then nothing was changed. The engine's.
pub(super) async fn plan(
    session: &Session<'_>,
    station: &Station,
    planning: &Planning,
    model: &str,
    yes: Yes,
) -> Result<Planned> {
    let run = station.start_planning(&session.by, planning, model).await?;
    session.out.note(Tone::Quiet, &format!("The architect plans it with {model}, in run {}.", run.id));
    let stop = CancellationToken::new();
    let work = station.plan_agent(&session.by, run.id, planning, stop.clone());
    let followed = follow(session.out, station, Tell::Events, "the architect is planning", work);
    let (planned, _) = heeding_signals(session, &stop, followed).await?;
    if stop.is_cancelled() {
        return Err(Failure::Interrupted);
    }
    let plan = match planned? {
        Ok(plan) => plan,
        Err(why) => return Ok(Planned::None(why)),
    };
    let difference = station.plan_difference(&session.by, planning, &plan).await?;
    match put(session, &plan, difference.as_deref(), yes).await? {
        Said::Yes => {}
        Said::Nothing => return Ok(Planned::Waits),
        Said::No(refused) => {
            station.drop_plan(&session.by, &plan).await?;
            return Err(refused);
        }
    }
    let stop = CancellationToken::new();
    let work = station.carry_out_plan(&session.by, &plan, stop.clone());
    let told = told(session, station, plan.run, Drive::Resume(Amounts::default())).await?;
    let followed = follow_on(
        session.out,
        Source::Station(station.watch()),
        Tell::Events,
        "the plan is carried out",
        told,
        work,
    );
    let (done, _) = heeding_signals(session, &stop, followed).await?;
    match done? {
        Ok(agent) => Ok(Planned::Done(agent, Box::new(plan))),
        Err(why) => Err(made_nothing(&plan, why)),
    }
}

/// As [`plan`], at a server: `given` says what is to be planned.
///
/// # Errors
/// As [`plan`], and the server's.
pub(super) async fn plan_there(
    session: &Session<'_>,
    server: &Server,
    given: Value,
    yes: Yes,
) -> Result<Planned> {
    let work = server.ask::<wire::PlannedAgent>("plan_agent", given);
    let planned = alive(session.out, "the architect is planning", work).await?;
    let Some(told) = planned.plan else {
        return Ok(Planned::None(
            planned.because.unwrap_or_else(|| "the server does not say why".to_owned()),
        ));
    };
    let (model, difference, plan) = (&told.model, told.difference.as_deref(), told.read());
    session.out.note(Tone::Quiet, &format!("The architect planned it with {model}, in run {}.", plan.run));
    match put(session, &plan, difference, yes).await? {
        Said::Yes => {}
        Said::Nothing => return Ok(Planned::Waits),
        Said::No(refused) => {
            server.ask::<Value>("cancel_run", json!({ "run": plan.run.0 })).await?;
            return Err(refused);
        }
    }
    let waiting = At::There(server).show_run(&session.by, plan.run).await?;
    let approved = server.ask::<Value>("approve", json!({ "approval": plan.approval })).await;
    approved.map_err(|refused| still_waiting(&plan, refused))?;
    let ended = to_its_end(session, server, &waiting).await?;
    match AgentPlan::made(&ended.entries()) {
        Some(agent) => Ok(Planned::Done(agent, Box::new(plan))),
        None => {
            let said = ended.run.answer.unwrap_or_default();
            Err(made_nothing(&plan, format!("run {} made nothing: {said}", plan.run)))
        }
    }
}

/// Where a yes was refused for want of a right, the plan is there as before. Whatever else went wrong, that is not known.
fn still_waiting(plan: &AgentPlan, refused: Error) -> Error {
    let (approval, run) = (plan.approval, plan.run);
    if refused.kind() != Kind::Forbidden {
        return refused.with_hint(format!("see where it stands with `stn runs inspect {run}`"));
    }
    refused
        .with_hint(format!(
            "the plan waits as approval {approval}: whoever may approve it does so, then `stn runs resume {run}`"
        ))
        .with_hint(way_to_drop(plan))
}

fn way_to_drop(plan: &AgentPlan) -> String {
    format!("drop it with `stn runs cancel {}`", plan.run)
}

/// What was said to a plan.
enum Said {
    Yes,
    No(Failure),
    /// Nobody can be asked; the plan was printed.
    Nothing,
}

/// Shows a plan, and asks whether it is to be carried out.
async fn put(session: &Session<'_>, plan: &AgentPlan, difference: Option<&str>, yes: Yes) -> Result<Said> {
    let lines = lines(plan, difference);
    if !yes.yes && (session.out.is_json() || !std::io::stdin().is_terminal()) {
        tell(session, plan, difference, lines)?;
        return Ok(Said::Nothing);
    }
    let question = if difference.is_some() { "Change the agent so?" } else { "Make the agent so?" };
    Ok(match confirm(session, &lines, question, yes).await {
        Ok(()) => Said::Yes,
        Err(refused) => Said::No(refused),
    })
}

fn made_nothing(plan: &AgentPlan, why: String) -> Failure {
    Error::invalid(why).with_hint(format!("see what happened with `stn runs inspect {}`", plan.run)).into()
}

/// Prints a plan that nobody can be asked about.
fn tell(session: &Session<'_>, plan: &AgentPlan, difference: Option<&str>, lines: Vec<String>) -> Result<()> {
    if session.out.is_json() {
        return session.out.json(&json!({
            "plan": plan.arguments, "verb": plan.verb, "difference": difference,
            "run": plan.run, "approval": plan.approval,
        }));
    }
    session.out.lines(&lines.into_iter().map(|line| (Tone::Plain, line)).collect::<Vec<_>>())?;
    session.out.hint(&format!(
        "nothing was changed: carry it out with `stn approvals approve {}`, then `stn runs resume {}`, or say yes from the start with `--yes`",
        plan.approval, plan.run
    ));
    session.out.hint(&way_to_drop(plan));
    Ok(())
}

/// A plan as a person reads it.
fn lines(plan: &AgentPlan, difference: Option<&str>) -> Vec<String> {
    let mut lines = vec!["Plan:".to_owned()];
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let row = |(field, value): (&str, &Value)| format!("  {field:<14} {}", shown(value));
    if let Some(difference) = difference {
        lines.extend(difference.lines().map(|line| format!("  {line}")));
        lines.extend(plan.beside_the_lines().map(row));
    } else {
        let said = FIELDS.iter().filter_map(|field| Some((*field, plan.arguments.get(*field)?)));
        lines.extend(said.map(row));
    }
    for (at, tool) in plan.tools().unwrap_or_default().iter().enumerate() {
        let label = if at == 0 { "tools" } else { "" };
        let reason = tool.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        lines.push(format!("  {label:<14} {}{reason}", tool.name));
    }
    if let (None, Some(prompt)) = (difference, plan.text("prompt")) {
        lines.push("  prompt".to_owned());
        lines.extend(prompt.lines().map(|line| format!("    {line}")));
    }
    lines
}
