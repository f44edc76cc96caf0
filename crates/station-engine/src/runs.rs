//! Runs: start, resume, show, list.

use crate::agents::AgentRef;
use crate::budgets::RunBudget;
use crate::hand::From;
use crate::lease::millis;
use crate::local::Ask;
use crate::prepare::{RunRequest, first_model};
use crate::signals::Signals;
use crate::spend::Raise;
use crate::worker::{Held, Worked};
use crate::{Clock, Station, carry, own_server, worker};
use serde_json::json;
use station_core::budget::{Amounts, Caps};
use station_core::file::variables::{NAME_HINT, can_be_given};
use station_core::run::{Entry, Status};
use station_core::{Action, Agent, Caller, EffectId, EnvironmentName, Error, Result, RunId, Secret, Trace};
use station_store::{Approval, Cancelled, RequestClaim, Run, RunFilter};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Entries of a journal shown at most: 25 steps of 32 calls, each started and ended, with room for repeats.
pub(crate) const ENTRIES_MAX: u32 = 10_000;

/// How long a driver that leaves waits for calls that are out: whoever started it waits for its end.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// Runs that are exported at a time: with their journals they are in memory at once.
pub const EXPORTED_MAX: usize = 20;

/// A run to be started.
#[derive(Clone, Debug, Default)]
pub struct NewRun {
    /// What the agent is to do.
    pub task: String,
    /// Instead of the agent's models.
    pub model: Option<String>,
    /// Instead of the agent's limit; clamped to 1–25.
    pub max_steps: Option<i64>,
    /// Time the run may take, instead of the agent's and the configured one.
    pub timeout: Option<Duration>,
    /// Values for variables, before every other place; they go with the run, sealed.
    pub variables: BTreeMap<String, Secret>,
    /// Values of another environment that go with it after these; of a run that is repeated.
    pub carried: BTreeMap<String, Secret>,
    /// What it may spend, with its sub-agents; it can only tighten other limits.
    pub limits: Caps,
    /// Of runs that wait for a worker, those with a higher number go first; its sub-agents' too.
    pub priority: i64,
    /// Who is to drive it.
    pub driver: Driver,
    /// The call by which another run starts it, where one does: it is started once for that.
    pub effect: Option<EffectId>,
    /// The request that asks for it, where its sender gave it a key: it is started once for that.
    pub once: Option<RequestClaim>,
}

/// Who drives a run that is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// Whoever starts it, at once: it does not count against `execution.queue`.
    #[default]
    Caller,
    /// A worker, when it has a free slot.
    Worker,
}

/// A run that may be driven on.
#[derive(Debug)]
pub struct Resumption {
    run: RunId,
    /// The one above it with which it is driven, or itself.
    root: RunId,
    raise: Option<Raise>,
    /// Whether somebody drives it already.
    pub is_driven: bool,
}

/// A run as named by a person.
pub type RunRef = RunId;

/// A run with its journal.
#[derive(Clone, Debug)]
pub struct RunDetails {
    /// Its row.
    pub run: Run,
    /// Whether it is recorded as running while its worker is gone; `resume_run` drives it on.
    pub interrupted: bool,
    /// What happened, in order.
    pub journal: Vec<Entry>,
    /// Runs of its sub-agents.
    pub children: Vec<Run>,
    /// Questions that were put to people for its calls, oldest first.
    pub approvals: Vec<Approval>,
    /// Calls of which a person must say what became of them.
    pub unsettled: Vec<EffectId>,
    /// What it and they have spent of their own limits.
    pub budgets: BTreeMap<RunId, RunBudget>,
}

/// What a run belongs to that `by` starts: a trace of its own where whoever asked brought none.
pub(crate) fn trace_of(by: &Caller) -> Trace {
    by.trace.unwrap_or_else(|| Trace::new(Clock::effect_id().0))
}

/// Refuses a model that is named by nothing: whoever means none leaves it out.
pub(crate) fn check_model(model: Option<&str>) -> Result<()> {
    if model.is_some_and(|name| name.trim().is_empty()) {
        return Err(Error::invalid("the model's name is empty").with_hint("name a model, or leave it out"));
    }
    Ok(())
}

impl Station {
    /// Puts a run of `agent` in the queue.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` (an empty task, a model without a name), `Conflict` (a disabled agent), `Busy` (a run for a worker, and the queue
    /// is full).
    pub async fn start_run(&self, by: &Caller, agent: &AgentRef, new: NewRun) -> Result<Run> {
        by.may(Action::RunAgents)?;
        let agent = self.find_agent(by, agent).await?;
        self.start_run_of(by, agent, new).await
    }

    /// As [`Station::start_run`], of an agent that was found.
    pub(crate) async fn start_run_of(&self, by: &Caller, agent: Agent, new: NewRun) -> Result<Run> {
        if new.task.trim().is_empty() {
            return Err(
                Error::invalid("the task is empty").with_hint("say what the agent is to do, in one argument")
            );
        }
        check_model(new.model.as_deref())?;
        if !agent.enabled {
            return Err(Error::conflict(format!("agent `{}` is disabled", agent.name)));
        }
        if let Some(name) = new.variables.keys().find(|name| !can_be_given(name)) {
            return Err(
                Error::invalid(format!("`{name}` cannot be the name of a variable")).with_hint(NAME_HINT)
            );
        }
        self.refuse_given(by, agent.environment, &new.variables).await?;
        let request = RunRequest {
            model: new.model,
            max_steps: new.max_steps,
            timeout_ms: new.timeout.map(millis),
            caps: new.limits,
            scopes: by.scopes.clone(),
            trace: Some(trace_of(by)),
            ..RunRequest::default()
        };
        let (parent, request) = match &by.acting {
            None => (None, request),
            Some(token) => (
                Some((token.run, new.effect.unwrap_or_else(Clock::effect_id))),
                own_server::below(self, token, request).await?,
            ),
        };
        let carried = match new.driver {
            Driver::Caller => new.carried,
            Driver::Worker => {
                let mut carried = carry::carried(self, &agent, &new.variables).await?;
                carried.extend(new.carried);
                carried
            }
        };
        let row = station_store::NewRun {
            agent: agent.id,
            environment: agent.environment,
            user: by.user,
            task: new.task,
            request: request.to_json()?,
            model: first_model(self, &agent, request.model.as_deref()).await,
            variables: new.variables,
            carried,
            parent,
            depth: by.acting.as_ref().map_or(0, |token| token.depth + 1),
            priority: new.priority,
            once: new.once,
        };
        let queue_max = match new.driver {
            Driver::Caller => None,
            Driver::Worker => Some(self.config().queue_max),
        };
        let id = self.store().enqueue(&row, queue_max, self.now()).await?;
        self.run(id).await
    }

    /// Drives a run that was just put in the queue until it has ended, with its sub-agents; where a worker was faster, it is seen to
    /// its end there. Cancelling `stop` ends it as `cancelled`; both keep everything that happened.
    ///
    /// # Errors
    /// `NotFound`; the store's. How the run itself ended is in its row.
    pub async fn work_off(&self, id: RunRef, stop: CancellationToken) -> Result<Run> {
        let signals = Signals::of_person(stop.clone(), &self.config().worker);
        let worked = self.work_off_here(id, &signals, Held::Leave).await?;
        self.see_to_end(&Caller::local(), id, worked, From::Beginning, stop).await?;
        self.run(id).await
    }

    /// Attends a run that another worker took up; told `from` where, as far as it was not told here.
    async fn see_to_end(
        &self,
        by: &Caller,
        id: RunId,
        worked: Worked,
        from: From,
        stop: CancellationToken,
    ) -> Result<()> {
        match worked {
            Worked::Off | Worked::Parked => Ok(()),
            Worked::Taken => self.attend_run(by, id, from, stop).await.map(drop),
        }
    }

    /// As [`Station::work_off`], for a driver that may leave first: cancelling `leave` gives the run back to the queue, as
    /// a worker does that is told to stop.
    ///
    /// # Errors
    /// As [`Station::work_off`]; `Busy` where another living worker has the run.
    pub async fn work_off_until(
        &self,
        id: RunRef,
        stop: CancellationToken,
        leave: CancellationToken,
    ) -> Result<Run> {
        let planned = Resumption { run: id, root: id, raise: None, is_driven: false };
        self.resume_planned(&Caller::local(), planned, stop, leave).await
    }

    /// Removes a run that has ended, with the runs of its sub-agents. Whether it went: not where one has not ended, or
    /// where somebody said yes for always in one.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_run(&self, by: &Caller, id: RunRef) -> Result<bool> {
        // One's own, that was not to be kept.
        if self.find_run(by, id).await?.user != by.user {
            by.may(Action::ManageSettings)?;
        }
        by.may(Action::RunAgents)?;
        Ok(self.store().remove_run(id).await? > 0)
    }

    /// Drives an interrupted or parked run on, through the same lines as the first time.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it has ended; as [`Station::work_off`].
    pub async fn resume_run(&self, by: &Caller, id: RunRef, stop: CancellationToken) -> Result<Run> {
        self.resume_run_adding(by, id, Amounts::default(), stop).await
    }

    /// As [`Station::resume_run`], after `added` was added to the run's own limits; its journal says by whom. A sub-agent's
    /// run that reached a limit of its own is driven with the runs above it.
    ///
    /// # Errors
    /// As [`Station::resume_run`]; `Conflict` where it is not its own limit that keeps it.
    pub async fn resume_run_adding(
        &self,
        by: &Caller,
        id: RunRef,
        added: Amounts,
        stop: CancellationToken,
    ) -> Result<Run> {
        let planned = self.plan_resume(by, id, added).await?;
        self.resume_planned(by, planned, stop, CancellationToken::new()).await
    }

    /// Whether a run may be driven on, and from where: what [`Station::resume_planned`] goes by.
    ///
    /// # Errors
    /// As [`Station::resume_run_adding`], but for what comes of driving it.
    pub async fn plan_resume(&self, by: &Caller, id: RunRef, added: Amounts) -> Result<Resumption> {
        by.may(Action::RunAgents)?;
        // What timed out is heard by whoever drives the run on.
        self.store().expire_approvals(self.now()).await?;
        let run = self.find_run(by, id).await?;
        if !added.is_zero() {
            by.may(Action::ManageBudgets)?;
        }
        if run.status.is_final() {
            let sentence = format!("run {id} has ended as {} and cannot be resumed", run.status.as_str());
            return Err(Error::conflict(sentence).with_hint(format!("see it with `stn runs inspect {id}`")));
        }
        let root = self.driven_from(&run).await?;
        if root != id && added.is_zero() {
            return Err(Error::conflict(format!("run {id} belongs to run {root}"))
                .with_hint(format!("resume that one: `stn runs resume {root}`")));
        }
        let raise = if added.is_zero() { None } else { Some(self.raise(by, id, added).await?) };
        let driven = self.run(root).await?;
        let is_driven = driven.status == Status::Running && !self.is_interrupted(&driven);
        Ok(Resumption { run: id, root, raise, is_driven })
    }

    /// Drives a run on that was looked at; cancelling `leave` gives it back to the queue, as [`Station::work_off_until`] does.
    ///
    /// # Errors
    /// As [`Station::work_off_until`].
    pub async fn resume_planned(
        &self,
        by: &Caller,
        planned: Resumption,
        stop: CancellationToken,
        leave: CancellationToken,
    ) -> Result<Run> {
        by.may(Action::RunAgents)?;
        let Resumption { run, root, raise, .. } = planned;
        let signals = Signals::of_person(stop.clone(), &self.config().worker);
        let signals = signals.leaving(leave.clone(), LEAVE_WITHIN).resumed(self.now()).raising(raise);
        let worked = self.work_off_here(root, &signals, Held::Refuse).await?;
        tokio::select! {
            seen = self.see_to_end(by, root, worked, From::Now, stop) => seen?,
            // Whoever took it goes on with it.
            () = leave.cancelled() => {}
        }
        self.run(run).await
    }

    /// The run with which `run` is driven: the first above it, itself included, that waits for no other to go on.
    async fn driven_from(&self, run: &Run) -> Result<RunId> {
        let (mut root, mut above) = (run.id, run.parent);
        while let Some(parent) = above {
            let parent = self.run(parent).await?;
            if parent.status.is_final() {
                break;
            }
            (root, above) = (parent.id, parent.parent);
        }
        Ok(root)
    }

    /// Asks for the end of a run and of its sub-agents. Who drives it ends it; a run that nobody drives is put in the
    /// queue, and the next worker ends it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it has ended.
    pub async fn cancel_run(&self, by: &Caller, id: RunRef) -> Result<Run> {
        by.may(Action::RunAgents)?;
        self.find_run(by, id).await?;
        let asked = format!("{} ({})", by.name, self.config().worker);
        match self.store().request_cancel(id, &asked, self.now()).await? {
            Cancelled::Queued | Cancelled::Requested | Cancelled::NotFound => {
                self.ring_worker(Ask::Cancel).await;
                self.run(id).await
            }
            Cancelled::Final(status) => {
                Err(Error::conflict(format!("run {id} has ended as {} already", status.as_str())))
            }
        }
    }

    /// A run with its journal and the runs of its sub-agents.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn show_run(&self, by: &Caller, id: RunRef) -> Result<RunDetails> {
        by.may(Action::ReadRuns)?;
        let run = self.find_run(by, id).await?;
        let journal = self.store().journal(id, 0, ENTRIES_MAX).await?;
        let mut children = self.store().children(id).await?;
        // One that Station's own server started may be in another environment.
        children.retain(|child| by.sees(child.environment) || child.environment == run.environment);
        let ids: Vec<RunId> = std::iter::once(id).chain(children.iter().map(|child| child.id)).collect();
        let budgets = self.run_budgets(&ids).await?;
        // A parent that waits has no driver of its own; it is interrupted where a run it waits for is.
        let waits_in_vain =
            run.status == Status::Waiting && children.iter().any(|child| self.is_interrupted(child));
        let interrupted = waits_in_vain || self.is_interrupted(&run);
        let approvals = self.store().approvals_of(id).await?;
        let unsettled =
            if run.status == Status::Waiting { self.unsettled(&journal).await? } else { Vec::new() };
        Ok(RunDetails { run, interrupted, journal, children, approvals, unsettled, budgets })
    }

    /// Runs with all that happened in them, as [`Station::show_run`] has each, to be kept elsewhere. That they were taken out is a row
    /// of the audit.
    ///
    /// # Errors
    /// `Invalid` for none, or more than [`EXPORTED_MAX`]; `NotFound` where one is not there: then none is told.
    pub async fn export_runs(&self, by: &Caller, ids: &[RunRef]) -> Result<Vec<RunDetails>> {
        by.may(Action::ReadRuns)?;
        if ids.is_empty() || ids.len() > EXPORTED_MAX {
            let sentence = format!("{} are to be exported: name 1 to {EXPORTED_MAX} at a time", ids.len());
            return Err(Error::invalid(sentence));
        }
        let mut runs = Vec::with_capacity(ids.len());
        for id in ids {
            runs.push(self.show_run(by, *id).await?);
        }
        let detail = json!({ "runs": ids.iter().map(|id| id.0).collect::<Vec<_>>() });
        self.store().note_deed("export_runs", "runs", detail, by.actor(), self.now()).await?;
        Ok(runs)
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_runs(&self, by: &Caller, filter: &RunFilter, limit: u32) -> Result<Vec<Run>> {
        by.may(Action::ReadRuns)?;
        let filter = RunFilter { seen_by: by.seen_by(), ..filter.clone() };
        self.store().runs(&filter, limit).await
    }

    /// Whether `run` is recorded as running while its worker is gone.
    #[must_use]
    pub fn is_interrupted(&self, run: &Run) -> bool {
        run.status == Status::Running
            && run.lease.as_ref().is_none_or(|lease| lease.lapsed || worker::is_dead(lease))
    }

    /// The run that `by` means: of an environment it sees, or of Station's own agents where it started it.
    ///
    /// # Errors
    /// `NotFound`, also where it is somebody else's.
    pub(crate) async fn find_run(&self, by: &Caller, id: RunId) -> Result<Run> {
        let run = self.run(id).await?;
        let is_planning = run.user == by.user && run.environment_name == EnvironmentName::built_in().as_str();
        if by.sees(run.environment) || is_planning { Ok(run) } else { Err(no_run(id)) }
    }

    pub(crate) async fn run(&self, id: RunId) -> Result<Run> {
        self.store().run(id).await?.ok_or_else(|| no_run(id))
    }
}

fn no_run(id: RunId) -> Error {
    Error::not_found(format!("run {id} does not exist")).with_hint("`stn runs list` shows them")
}
