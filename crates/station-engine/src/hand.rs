//! Runs that are handed to a worker: seen to their end from here, and taken back where the worker goes away.

use crate::follow::{Followed, Told};
use crate::runs::{NewRun, RunRef};
use crate::signals::Signals;
use crate::variables::Brought;
use crate::worker::{Held, Worked};
use crate::{AgentRef, Station, worker};
use station_core::run::Status;
use station_core::{Action, Caller, Error, Kind, Result, RunId};
use station_store::{RequestClaim, Run};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long the drivers of cancelled runs are given to end them: what they wait for they need not wait for any more.
const ENDED_WITHIN: Duration = Duration::from_secs(2);
const ENDED_LOOK_EVERY: Duration = Duration::from_millis(100);

/// From where a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// From its first entry on.
    Beginning,
    /// From now on.
    Now,
}

impl Station {
    /// Sees a run that a worker was given to its end, telling what happens. Where no worker is there any more, it is
    /// driven on here. Cancelling `stop` ends the run.
    ///
    /// # Errors
    /// `NotFound`; the store's. How the run itself ended is in its row.
    pub async fn attend_run(
        &self,
        by: &Caller,
        id: RunRef,
        from: From,
        stop: CancellationToken,
    ) -> Result<Run> {
        by.may(Action::RunAgents)?;
        self.find_run(by, id).await?;
        let mut told = match from {
            From::Beginning => Told::default(),
            From::Now => self.told_until_now(id).await?,
        };
        let mut asked = false;
        loop {
            let followed = tokio::select! {
                followed = self.follow(id, &mut told) => Some(followed?),
                () = stop.cancelled(), if !asked => None,
            };
            let why = match followed {
                Some(Followed::Ended | Followed::Parked) => return self.run(id).await,
                Some(Followed::Interrupted(worker)) => format!("worker {worker} went away"),
                Some(Followed::Unclaimed) => "no worker is there any more".to_owned(),
                None => {
                    asked = true;
                    if self.ask_to_end(by, id).await? != Status::Queued {
                        continue;
                    }
                    // Every worker is busy: it need not wait for one to end.
                    "no worker has begun with it".to_owned()
                }
            };
            if !asked {
                self.tell_hands(id, format!("{why}; run {id} goes on here"));
            }
            let signals = Signals::of_person(stop.clone(), &self.config().worker).resumed(self.now());
            match self.work_off_here(id, &signals, Held::Refuse).await {
                // Another was faster.
                Ok(Worked::Taken) => {}
                Ok(Worked::Off | Worked::Parked) => return self.run(id).await,
                Err(error) if error.kind() == Kind::Busy => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Drives `id` here, heeding wishes to end it as they are heard.
    pub(crate) async fn work_off_here(&self, id: RunId, signals: &Signals, held: Held) -> Result<Worked> {
        tokio::select! {
            biased;
            done = worker::work_off(self, id, signals, held) => done,
            never = self.heed_cancels() => match never {},
        }
    }

    /// Sees a run that somebody asked to end, and its sub-agents', to their end: those that nobody drives are ended here,
    /// whatever workers are there, and the others' drivers are given a moment.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn end_cancelled(&self, by: &Caller, id: RunRef) -> Result<Run> {
        by.may(Action::RunAgents)?;
        self.find_run(by, id).await?;
        let until = self.since_boot() + ENDED_WITHIN;
        loop {
            let mut wakes = self.store().wakes();
            let mut n_open = 0_u32;
            for relative in self.store().family(id).await? {
                if relative.status.is_final() {
                    continue;
                }
                n_open += 1;
                // Who asked is on its row.
                let signals = Signals::of_worker(CancellationToken::new(), Duration::ZERO);
                match self.run(relative.id).await? {
                    run if run.cancel_requested_by.is_none() => n_open -= 1,
                    run if run.status == Status::Queued || self.is_interrupted(&run) => {
                        match worker::work_off(self, run.id, &signals, Held::Refuse).await {
                            Ok(_) => n_open -= 1,
                            // Another was faster.
                            Err(error) if error.kind() == Kind::Busy => {}
                            Err(error) => return Err(error),
                        }
                    }
                    _ => {}
                }
            }
            let left = until.saturating_sub(self.since_boot());
            if n_open == 0 || left.is_zero() {
                return self.run(id).await;
            }
            // Whether it was woken or has waited, it looks again.
            drop(tokio::time::timeout(left.min(ENDED_LOOK_EVERY), wakes.next()).await);
        }
    }

    /// Whether a worker that is there goes on with a run by itself: it, or a sub-agent's, is queued, or its process is gone.
    /// Not where it is driven, or parked until a person acts.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_for_workers(&self, by: &Caller, id: RunRef) -> Result<bool> {
        by.may(Action::ReadRuns)?;
        self.find_run(by, id).await?;
        for relative in self.store().family(id).await? {
            if relative.status == Status::Queued {
                return Ok(true);
            }
            if relative.status == Status::Running
                && self.store().run(relative.id).await?.is_some_and(|run| self.is_interrupted(&run))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts a run in the queue that does what run `id` was to do: the same agent, task, limits and variables.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where `id` has not ended; as [`Station::start_run`].
    pub async fn retry_run(
        &self,
        by: &Caller,
        id: RunRef,
        driver: crate::Driver,
        once: Option<RequestClaim>,
    ) -> Result<Run> {
        by.may(Action::RunAgents)?;
        let run = self.find_run(by, id).await?;
        if !run.status.is_final() {
            return Err(Error::conflict(format!("run {id} has not ended")).with_hint(format!(
                "follow it with `stn runs follow {id}`, or end it with `stn runs cancel {id}`"
            )));
        }
        let Brought { given: variables, carried } = self.brought_again(by, &run).await?;
        let request = crate::prepare::RunRequest::of(&run)?;
        let new = NewRun {
            task: run.task.clone(),
            model: request.model,
            max_steps: request.max_steps,
            timeout: request.timeout_ms.map(Duration::from_millis),
            limits: request.caps,
            priority: run.priority,
            variables,
            carried,
            driver,
            effect: None,
            once,
        };
        self.start_run(by, &AgentRef::Id(run.agent), new).await
    }

    /// The values that came with a run, for another one that `by` starts in its place: theirs, or an administrator gives them again.
    ///
    /// # Errors
    /// `Conflict` where somebody else gave them.
    pub(crate) async fn brought_again(&self, by: &Caller, run: &Run) -> Result<Brought> {
        let brought = Brought::with(self, run.id).await?;
        if !(brought.given.is_empty() && brought.carried.is_empty()) && run.user != by.user {
            by.may(Action::SetVariables).map_err(|_| {
                Error::conflict(format!("run {} was given values by somebody else", run.id))
                    .with_hint("start a run of its agent, and give them again")
            })?;
        }
        Ok(brought)
    }

    /// Marks the wish, and tells where the run stood.
    async fn ask_to_end(&self, by: &Caller, id: RunId) -> Result<Status> {
        match self.cancel_run(by, id).await {
            Ok(run) => Ok(run.status),
            // It ended meanwhile.
            Err(error) if error.kind() == Kind::Conflict => Ok(self.run(id).await?.status),
            Err(error) => Err(error),
        }
    }
}
