//! Plans of agents: what the architect proposes for words, and what waits for a yes until it is carried out.

use super::operation::{Needs, Operation, Reply, Verb};
use super::{agents, environments, forms};
use crate::tools::{Arguments, Desk, Kind, Parameter, new_agent};
use crate::wire;
use futures::FutureExt as _;
use station_core::{Action, Caller, Error, Result};
use station_engine::Planning;

pub(super) const ROWS: &[Operation] = &[Operation {
    id: "plan_agent",
    verb: Verb::Post,
    path: "/agent-plans",
    needs: Needs::Right(Action::EditAgents),
    summary: "Plan an agent in words",
    says: "Has the architect, a built-in agent that asks the configured model, plan a new agent (`name` and `description`), or a change in words \
        to one that there is (`agent` and `change`); answers when it has, within three minutes. Nothing is changed by that: the plan is a \
        call that waits for a yes. `approve` carries it out, `cancel_run` drops it. Where there is no plan, `because` says why.",
    parameters: &[
        Parameter::optional(
            "name",
            Kind::Text,
            "The name of a new agent: unique in its environment, not all digits.",
        )
        .like(forms::agent),
        Parameter::optional("description", Kind::Text, "What the new agent is for, in one line."),
        Parameter::optional("domain", Kind::Text, "What it works in, e.g. devops."),
        Parameter::optional("prompt", Kind::Text, "Its instructions, where they are to be these."),
        Parameter::optional("model", Kind::Text, "The model that plans, and that it is to ask."),
        Parameter::optional("max_steps", Kind::Whole(1, 25), "Most model turns of one run."),
        Parameter::optional("agents", Kind::Texts, "The other agents that it may call."),
        Parameter::optional("schedule", Kind::Text, "When it runs by itself, as cron of 5 or 6 fields.")
            .like(forms::cron),
        Parameter::optional(
            "agent",
            Kind::Ref,
            "Instead, an agent that is to be changed: its id, or its name in `environment`.",
        ),
        Parameter::optional("change", Kind::Text, "What is to change of it, in words."),
        environments::OPTIONAL,
    ],
    status: 200,
    output: |generator| generator.subschema_for::<wire::PlannedAgent>(),
    sends: r#"{"name": "triage4", "description": "Finds out why"}"#,
    answers: r#"{"plan": {"run_id": 12, "approval_id": 3, "verb": "create_agent", "model": "openai/gpt-4o-mini", "difference": null,
        "arguments": {"name": "triage4", "description": "Finds out why", "environment_id": 1, "prompt": "You find out why."}}, "because": null}"#,
    call: |desk, by, arguments| plan_agent(desk, by, arguments).boxed(),
}];

async fn plan_agent(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let (planning, model) = planning(desk, by, &arguments).await?;
    let planned = match desk.station.planner(model) {
        Ok(model) => plan(desk, by, &planning, model).await?,
        Err(because) => Err(because),
    };
    let (plan, because) = match planned {
        Ok(plan) => (Some(plan), None),
        Err(because) => (None, Some(because)),
    };
    Ok(Reply::of(&wire::PlannedAgent { plan, because }))
}

/// What is to be planned, and the model that was named for it.
async fn planning<'a>(
    desk: &Desk,
    by: &Caller,
    arguments: &'a Arguments,
) -> Result<(Planning, Option<&'a str>)> {
    let has = |name: &str| arguments.text(name).is_some_and(|text| !text.trim().is_empty());
    match (has("agent"), has("name")) {
        (true, false) => {
            let words = arguments.text("change").filter(|_| has("change"));
            let words =
                words.ok_or_else(|| Error::invalid("`change` is missing: what is to change, in words"))?;
            let agent = agents::named(desk, by, arguments).await?;
            let details = desk.station.show_agent(by, &agent).await?;
            desk.apply(by, &details.environment.name).await?;
            Ok((Planning::Change { agent, words: words.to_owned() }, None))
        }
        (false, true) if has("description") => {
            let environment = environments::named(desk, by, arguments).await?;
            desk.apply(by, &environment).await?;
            desk.station.refresh_catalog(&environment).await?;
            let new = new_agent(arguments, "tools", environment)?;
            Ok((Planning::New(Box::new(new)), arguments.text("model")))
        }
        _ => Err(Error::invalid("it is not said what is to be planned")
            .with_hint("`name` and `description` of a new agent, or `agent` and `change`")),
    }
}

/// Drives the architect to its plan; why there is none, where there is none. Whoever asks and goes away ends that.
async fn plan(
    desk: &Desk,
    by: &Caller,
    planning: &Planning,
    model: String,
) -> Result<Result<wire::AgentPlan, String>> {
    let run = desk.station.start_planning(by, planning, &model).await?.id;
    let stop = desk.leave.child_token();
    let ended = stop.clone().drop_guard();
    let work = {
        let (station, by, planning) = (desk.station.clone(), by.clone(), planning.clone());
        async move { station.plan_agent(&by, run, &planning, stop).await }
    };
    let planned = desk.driving.spawn(work).await;
    ended.disarm();
    let plan = match planned.map_err(|cause| Error::internal("planning an agent", cause))?? {
        Ok(plan) => plan,
        Err(because) => return Ok(Err(because)),
    };
    let difference = desk.station.plan_difference(by, planning, &plan).await?;
    Ok(Ok(wire::AgentPlan::new(plan, difference, model)))
}
