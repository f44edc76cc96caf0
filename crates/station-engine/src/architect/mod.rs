//! The architect: the built-in agent that plans agents, through Station's own tools.
//!
//! It is an agent as any other, and its run an ordinary run: journaled, bounded, shown by `stn runs inspect`. It looks at what
//! an environment offers, and ends with one call of `create_agent` or `update_agent`, which grants more than the run has
//! itself and so waits for a person: the call that waits *is* the plan. A yes sends it; nothing is made twice, because a call
//! never is. **Invariant:** what a plan makes is exactly what was shown.
//!
//! What this is not: the only way. Where no model can be asked, or a model fails, tools are chosen by ranking
//! ([`crate::NewAgent::tools`]).

mod built_in;
mod plan;

pub use plan::{AgentPlan, PlannedTool};

use crate::agents::{AgentRef, NewAgent};
use crate::{Driver, NewRun, Station};
use serde_json::{Map, Value, json};
use station_core::file::edit::{difference, edit_agent};
use station_core::run::Status;
use station_core::{Action, AgentId, Caller, EnvironmentName, Error, Result, RunId};
use station_store::{Run, Say};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Planning takes a few turns; who waits for it would rather have the ranking after so long.
const PLANNING_MAX: Duration = Duration::from_secs(180);

/// The provider that is rules and no model: it cannot plan.
const OFFLINE: &str = "offline";

/// What the architect is to plan.
#[derive(Clone, Debug)]
pub enum Planning {
    /// A new agent; what is said of it stays as it is said.
    New(Box<NewAgent>),
    /// A new agent for a request in words, to be named by the architect.
    Wish {
        /// The request.
        request: String,
        /// What it works in.
        domain: Option<String>,
        /// Where it is to live.
        environment: EnvironmentName,
    },
    /// A change to an agent, in words.
    Change {
        /// The agent.
        agent: AgentRef,
        /// What is to change.
        words: String,
    },
}

impl Station {
    /// The model that would plan, `asked` or the configured one; or, in words, why none can.
    pub fn planner(&self, asked: Option<&str>) -> Result<String, String> {
        if self.config().own_server.is_none() {
            return Err("Station's own server cannot be started here".to_owned());
        }
        let written: Vec<String> = asked.iter().map(|model| (*model).to_owned()).collect();
        let choices = self.models().choices(&written).map_err(|error| error.sentence().to_owned())?;
        let usable = choices.usable.into_iter().map(|choice| choice.model);
        let found = usable.into_iter().find(|model| model.provider != OFFLINE);
        found
            .map(|model| model.to_string())
            .ok_or_else(|| "no model is configured that could plan".to_owned())
    }

    /// Puts a run of the architect in the queue, to be driven by whoever calls: `model` plans.
    ///
    /// # Errors
    /// `NotFound` where the environment or the agent does not exist; the store's.
    pub async fn start_planning(&self, by: &Caller, planning: &Planning, model: &str) -> Result<Run> {
        by.may(Action::EditAgents)?;
        let task = match planning {
            Planning::New(new) => self.new_task(by, new).await?,
            Planning::Wish { request, domain, environment } => {
                let mut task = self.place(by, environment).await?;
                task.insert("request".to_owned(), request.as_str().into());
                task.extend(domain.iter().map(|domain| ("domain".to_owned(), domain.as_str().into())));
                task
            }
            Planning::Change { agent, words } => self.change_task(by, agent, words).await?,
        };
        let architect = self.architect().await?;
        let new = NewRun {
            task: serde_json::to_string_pretty(&task)
                .map_err(|cause| Error::internal("writing what is to be planned", cause))?,
            model: Some(model.to_owned()),
            timeout: Some(PLANNING_MAX),
            driver: Driver::Caller,
            ..NewRun::default()
        };
        self.start_run_of(by, architect, new).await
    }

    /// The plan that the architect's run `id` waits with; `None` where it has none, or not yet.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn agent_plan(&self, by: &Caller, id: RunId) -> Result<Option<AgentPlan>> {
        by.may(Action::ReadAgents)?;
        let details = self.show_run(by, id).await?;
        let is_ours = details.run.environment_name == EnvironmentName::built_in().as_str();
        let waits = is_ours && details.run.status == Status::Waiting;
        let pending = details.approvals.iter().rfind(|it| waits && it.is_pending());
        pending.map(AgentPlan::read).transpose()
    }

    /// The agent that the architect's run `id` made or changed; `None` where it did neither.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn planned_agent(&self, by: &Caller, id: RunId) -> Result<Option<AgentId>> {
        by.may(Action::ReadAgents)?;
        Ok(AgentPlan::made(&self.show_run(by, id).await?.journal))
    }

    /// Drives the architect's run `id` to its plan, or to its end; why there is no plan, where there is none. One for
    /// something else than was wanted is dropped.
    ///
    /// # Errors
    /// As [`Station::work_off`].
    pub async fn plan_agent(
        &self,
        by: &Caller,
        id: RunId,
        planning: &Planning,
        stop: CancellationToken,
    ) -> Result<Result<AgentPlan, String>> {
        by.may(Action::EditAgents)?;
        let run = self.work_off(id, stop).await?;
        if let Some(plan) = self.agent_plan(by, id).await? {
            if self.is_wanted(by, planning, &plan).await? {
                return Ok(Ok(plan));
            }
            self.drop_plan(by, &plan).await?;
            return Ok(Err(format!("run {id} planned something else")));
        }
        let why = match (run.status, run.error.or(run.answer)) {
            (Status::Waiting, _) => format!("run {id} waits for {}", run.waiting_on.unwrap_or_default()),
            (_, Some(said)) => said.trim().trim_end_matches('.').to_owned(),
            (status, None) => format!("run {id} ended as {}", status.as_str()),
        };
        Ok(Err(why))
    }

    /// The lines of an agent's file that a plan for it would change, with `-` and `+` before them: `None` for a new agent, no lines where
    /// it changes only what stands beside them ([`AgentPlan::beside_the_lines`]). What cannot be shown cannot be said yes to: then the
    /// plan is dropped, so that its run does not wait for that.
    ///
    /// # Errors
    /// `Invalid` where the plan changes nothing that could be changed; `NotFound` where the agent is gone.
    pub async fn plan_difference(
        &self,
        by: &Caller,
        planning: &Planning,
        plan: &AgentPlan,
    ) -> Result<Option<String>> {
        let Planning::Change { agent, .. } = planning else { return Ok(None) };
        match self.difference(by, agent, plan).await {
            Ok(difference) => Ok(Some(difference)),
            Err(error) => {
                self.drop_plan(by, plan).await?;
                Err(error)
            }
        }
    }

    async fn difference(&self, by: &Caller, agent: &AgentRef, plan: &AgentPlan) -> Result<String> {
        by.may(Action::ReadAgents)?;
        let agent = self.find_agent(by, agent).await?;
        let before = self.store().agent_source(agent.id).await?;
        let edit = plan.edit();
        if edit.is_empty() && plan.beside_the_lines().next().is_some() {
            return Ok(String::new());
        }
        let after = edit_agent(&before, &edit)?;
        Ok(difference(&before, &after))
    }

    /// Says yes to a plan, and drives its run to the end. The agent that was made or changed; where none was, why not.
    ///
    /// # Errors
    /// `Forbidden` without the right `approve`; as [`Station::resume_run`].
    pub async fn carry_out_plan(
        &self,
        by: &Caller,
        plan: &AgentPlan,
        stop: CancellationToken,
    ) -> Result<Result<AgentId, String>> {
        by.may(Action::EditAgents)?;
        self.approve(by, plan.approval, crate::Yes::Once).await?;
        let run = self.end_planning(by, plan.run, stop).await?;
        if let Some(made) = self.planned_agent(by, plan.run).await? {
            return Ok(Ok(made));
        }
        let said = run.error.or(run.answer).unwrap_or_default();
        Ok(Err(format!("run {} made nothing: {said}", plan.run)))
    }

    /// Drops a plan: its call is denied, and its run ends as cancelled.
    ///
    /// # Errors
    /// As [`Station::carry_out_plan`].
    pub async fn drop_plan(&self, by: &Caller, plan: &AgentPlan) -> Result<()> {
        by.may(Action::EditAgents)?;
        // It is their own run that asks: to say no to it is no more than to end it.
        if self.find_run(by, plan.run).await?.user != by.user {
            by.may(Action::Approve)?;
        }
        let no = Say::Deny { reason: "the plan was not taken".to_owned() };
        self.store().decide(plan.approval, no, by.actor(), self.now()).await?;
        let stop = CancellationToken::new();
        stop.cancel();
        self.end_planning(by, plan.run, stop).await.map(drop)
    }

    /// Whether a plan is for what it was to be for.
    async fn is_wanted(&self, by: &Caller, planning: &Planning, plan: &AgentPlan) -> Result<bool> {
        let is = |field: &str, id: i64, name: &str| match plan.arguments.get(field) {
            Some(Value::String(text)) => *text == name || *text == id.to_string(),
            Some(number) => number.as_i64() == Some(id),
            None => false,
        };
        let (environment, is_named) = match planning {
            Planning::New(new) => (&new.environment, plan.text("name") == Some(new.name.as_str())),
            Planning::Wish { environment, .. } => (environment, true),
            Planning::Change { agent, .. } => {
                let agent = self.find_agent(by, agent).await?;
                return Ok(plan.verb == "update_agent" && is("agent_id", agent.id.0, ""));
            }
        };
        let place = self.find_environment(by, environment).await?;
        let is_here = is("environment_id", place.id.0, place.name.as_str());
        Ok(plan.verb == "create_agent" && is_here && is_named)
    }

    /// Drives a run on, or follows it where a worker was quicker.
    async fn end_planning(&self, by: &Caller, id: RunId, stop: CancellationToken) -> Result<Run> {
        match self.resume_run(by, id, stop.clone()).await {
            Err(error) if error.kind() == station_core::Kind::Busy => {
                self.attend_run(by, id, crate::From::Now, stop).await
            }
            ended => ended,
        }
    }

    async fn new_task(&self, by: &Caller, new: &NewAgent) -> Result<Map<String, Value>> {
        let mut task = self.place(by, &new.environment).await?;
        let said = json!({
            "name": new.name.as_str(),
            "description": new.description,
            "prompt": new.prompt,
            "domain": new.domain,
            "model": new.model,
            "max_steps": new.max_steps,
            "schedule": new.schedule,
            "agents": Some(&new.agents).filter(|agents| !agents.is_empty()),
        });
        let said = said.as_object().cloned().unwrap_or_default();
        task.extend(said.into_iter().filter(|(_, value)| !value.is_null()));
        Ok(task)
    }

    async fn change_task(&self, by: &Caller, agent: &AgentRef, words: &str) -> Result<Map<String, Value>> {
        let details = self.show_agent(by, agent).await?;
        let mut task = self.place(by, &details.environment.name).await?;
        task.insert("change".to_owned(), words.into());
        task.insert("agent_id".to_owned(), details.agent.id.0.into());
        let source = self.store().agent_source(details.agent.id).await?;
        task.insert("agent_as_it_is".to_owned(), source.into());
        Ok(task)
    }

    /// Where an agent is to live, by name and number.
    async fn place(&self, by: &Caller, name: &EnvironmentName) -> Result<Map<String, Value>> {
        let environment = self.find_environment(by, name).await?;
        let place =
            [("environment", json!(environment.name.as_str())), ("environment_id", json!(environment.id.0))];
        Ok(place.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}
