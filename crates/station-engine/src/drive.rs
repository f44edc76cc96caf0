//! The run loop: one for every run, of every origin, the first time and after every interruption.
//!
//! The machine says what is next; what is sent is committed before it is sent; what happened is appended as it
//! happens. Recovery is this function called again under a new fence: `Adopted`, when folded, makes every call that
//! was out unknown, and nothing else means "restarted". The window that remains: between the commit of
//! `EffectStarted` and the write of the request a kill leaves an effect that is called unknown although it was never
//! sent. That is the safe side: such a call is told as unknown rather than sent twice.

use crate::call::{self, On};
use crate::journal::{Journal, Standing};
use crate::lease::Lease;
use crate::perform::{Seat, Started, perform};
use crate::prepare::{self, RunRequest};
use crate::variables::Values;
use crate::{Clock, Station};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use station_core::run::{
    Entry, Event, Failure, Machine, Next, Outcome, Prepared, Settings, Todo, Waiting, Why, child_text,
};
use station_core::{Error, Result, RunId};
use station_store::{NewRun, Run};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Entries read from the store at a time.
const PAGE: u32 = 1_000;

/// Where a run stands when its driver lets go of it.
pub(crate) enum Left {
    Ended,
    /// Parked until these runs have ended.
    Waiting(Vec<RunId>),
}

/// A person's wish that a run should end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(pub(crate) CancellationToken);

/// Drives `run` under `lease` until it ends or parks.
///
/// # Errors
/// The store's, and the loss of the lease. The run stays as its journal has it and can be driven on.
pub(crate) async fn drive(station: &Station, run: &Run, lease: &Lease, stop: &Stop) -> Result<Left> {
    let entries = read(station, run.id).await?;
    let last_seq = entries.last().map_or(0, |entry| entry.seq);
    let mut journal = Journal::new(station, run, lease.fence(), last_seq);
    let worker = station.config().worker.clone();
    let adopted = Event::Adopted { fence: lease.fence(), worker };
    let variables = station.store().run_variables(run.id).await?;
    let values = Values::read(station, run.environment, variables.clone()).await?;

    let inputs = entries.iter().find_map(|entry| match &entry.event {
        Event::RunStarted(inputs) => Some(inputs),
        _ => None,
    });
    let mut machine = if let Some(inputs) = inputs {
        let mut machine = Machine::new(prepare::restore(station, inputs).await?);
        entries.iter().for_each(|entry| machine.fold(&entry.event));
        journal.add(machine.apply(adopted));
        machine
    } else {
        match prepare::prepare(station, run, &values).await {
            Ok(start) => {
                let mut machine = Machine::new(start.prepared);
                journal.keep(start.blobs);
                journal.add(machine.apply(adopted));
                journal.add(machine.apply(Event::RunStarted(Box::new(start.inputs))));
                if let Some(switch) = machine.first_choice(&|model| station.models().cooling(model).is_some())
                {
                    journal.add(machine.apply(switch));
                }
                machine
            }
            Err(error) if error.kind() == station_core::Kind::Internal => return Err(error),
            Err(error) => return refuse(journal, adopted, &error).await,
        }
    };
    join(station, run, &mut machine, &mut journal).await?;
    let approve = prepare::approve_patterns(station, run.agent).await?;
    let on = On { run: run.id, agent: run.agent, values, approve };
    let mut drive = Drive { station, run, lease, stop, on, machine, journal };
    drive.go().await
}

struct Drive<'a> {
    station: &'a Station,
    run: &'a Run,
    lease: &'a Lease,
    stop: &'a Stop,
    on: On,
    machine: Machine,
    journal: Journal,
}

impl Drive<'_> {
    async fn go(&mut self) -> Result<Left> {
        loop {
            self.heed_stop();
            match self.machine.next() {
                Next::Do(todos) => {
                    let started = self.start(todos).await?;
                    self.journal.flush(&self.machine, Standing::Running).await?;
                    self.lease.check()?;
                    self.perform(started).await?;
                }
                Next::Park(Waiting::Children(_)) => {
                    let children = self.children().await?;
                    if children.is_empty() {
                        // Enqueued in this very commit: the store knows them only after the flush above.
                        return Err(Error::internal("parking a run", "its sub-agents have no runs"));
                    }
                    let on = children
                        .iter()
                        .map(|child| format!("agent `{}` (run {})", child.agent_name, child.id));
                    let on = on.collect::<Vec<_>>().join(", ");
                    self.journal.flush(&self.machine, Standing::Waiting(on)).await?;
                    return Ok(Left::Waiting(children.iter().map(|child| child.id).collect()));
                }
                Next::End(outcome) => {
                    let event = self.machine.apply(Event::RunEnded { outcome: outcome.clone() });
                    self.journal.add(event);
                    self.journal.flush(&self.machine, Standing::Ended(outcome)).await?;
                    return Ok(Left::Ended);
                }
            }
        }
    }

    /// Passes the gate and appends `EffectStarted` for what it lets through, in the order of the calls.
    async fn start(&mut self, todos: Vec<Todo>) -> Result<Vec<Started>> {
        let mut started = Vec::with_capacity(todos.len());
        for todo in todos {
            let fresh = Clock::effect_id();
            match &todo {
                Todo::Ask { model, .. } => {
                    let (model, messages) = (model.clone(), self.machine.messages());
                    self.journal.add(self.machine.start(&todo, fresh));
                    started.push(Started::Ask { id: fresh, model, messages });
                }
                Todo::Call { slot, tool, arguments, again } => {
                    match call::admit(self.station, &self.on, tool, arguments.clone()).await? {
                        Ok(permit) => {
                            self.journal.add(self.machine.start(&todo, fresh));
                            let id = again.map_or(fresh, |(id, _)| id);
                            started.push(Started::Call { id, permit: Box::new(permit) });
                        }
                        Err(sentence) => {
                            let refused = Event::Refused { slot: *slot, sentence };
                            self.journal.add(self.machine.apply(refused));
                        }
                    }
                }
                Todo::Spawn { agent, task, .. } => {
                    self.journal.add(self.machine.start(&todo, fresh));
                    let child = self.child(*agent, task, fresh)?;
                    self.journal.spawn(fresh, child);
                }
            }
        }
        Ok(started)
    }

    /// Waits for everything that is out, appending each answer as it arrives.
    async fn perform(&mut self, started: Vec<Started>) -> Result<()> {
        let prepared = self.machine.prepared().clone();
        let seat = Seat {
            run: self.run.id,
            depth: self.run.depth,
            agent: &self.run.agent_name,
            prepared: &prepared,
        };
        let mut out: FuturesUnordered<_> =
            started.into_iter().map(|started| perform(self.station, &seat, started)).collect();
        let deadline = tokio::time::sleep(self.time_left());
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                biased;
                () = self.stop.0.cancelled() => break,
                () = &mut deadline => break,
                event = out.next() => match event {
                    None => return Ok(()),
                    Some(event) => {
                        self.journal.add(self.machine.apply(event));
                        if let Some(switch) = self.machine.fallback(&|model| self.station.models().cooling(model).is_some()) {
                            self.journal.add(self.machine.apply(switch));
                        }
                        // Siblings are still out: keep what arrived. Otherwise the next start commits it.
                        if !out.is_empty() {
                            self.journal.flush(&self.machine, Standing::Running).await?;
                        }
                    }
                },
            }
        }
        drop(out);
        self.heed_stop();
        for id in self.machine.calls_out() {
            let sentence = "the run was stopped".to_owned();
            let unknown = Event::OutcomeUnknown { id, why: Why::Stopped, sentence, ms: 0 };
            self.journal.add(self.machine.apply(unknown));
        }
        Ok(())
    }

    /// Appends the wish to stop, or the end of the run's time, once.
    fn heed_stop(&mut self) {
        if self.machine.is_stopping() || matches!(self.machine.next(), Next::End(_)) {
            return;
        }
        if self.stop.0.is_cancelled() {
            let by = self.station.config().worker.clone();
            self.journal.add(self.machine.apply(Event::CancelRequested { by }));
        } else if self.time_left().is_zero() {
            self.journal.add(self.machine.apply(Event::DeadlinePassed));
        }
    }

    fn time_left(&self) -> Duration {
        let Some(deadline) = self.machine.deadline() else { return Duration::ZERO };
        Duration::from_micros(u64::try_from(deadline.0.saturating_sub(self.station.now().0)).unwrap_or(0))
    }

    fn child(
        &self,
        agent: station_core::AgentId,
        task: &str,
        effect: station_core::EffectId,
    ) -> Result<NewRun> {
        let request = RunRequest { deadline: self.machine.deadline(), ..RunRequest::default() };
        Ok(NewRun {
            agent,
            environment: self.run.environment,
            user: station_core::Caller::LOCAL_USER,
            task: task.to_owned(),
            request: request.to_json()?,
            variables: self.on.values.explicit().clone(),
            parent: Some((self.run.id, effect)),
            depth: self.run.depth + 1,
            priority: self.run.priority,
        })
    }

    /// Runs of sub-agents that have not been joined.
    async fn children(&self) -> Result<Vec<Run>> {
        let open = self.machine.children();
        let children = self.station.store().children(self.run.id).await?;
        Ok(children
            .into_iter()
            .filter(|child| child.parent_effect.is_some_and(|id| open.contains(&id)))
            .collect())
    }
}

/// Joins sub-agents whose runs have ended since the parent parked.
async fn join(station: &Station, run: &Run, machine: &mut Machine, journal: &mut Journal) -> Result<()> {
    let open = machine.children();
    if open.is_empty() {
        return Ok(());
    }
    for child in station.store().children(run.id).await? {
        let Some(id) = child.parent_effect.filter(|id| open.contains(id) && child.status.is_final()) else {
            continue;
        };
        let text = child_text(
            child.id,
            &child.agent_name,
            child.status,
            child.answer.as_deref(),
            child.error.as_deref(),
        );
        let ms = child.ended_at.unwrap_or(child.created_at).ms_since(child.created_at);
        journal.add(machine.apply(Event::ChildEnded { id, run: child.id, status: child.status, text, ms }));
    }
    Ok(())
}

/// Ends a run that could not even be prepared; why is kept like everything else.
async fn refuse(mut journal: Journal, adopted: Event, error: &Error) -> Result<Left> {
    let nothing = Prepared {
        system: String::new(),
        tools: Vec::new(),
        settings: Settings::default(),
        output_schema: None,
    };
    let mut machine = Machine::new(nothing);
    let hints = error.hints().to_vec();
    let outcome = Outcome::Failed { failure: Failure::Setup, sentence: error.sentence().to_owned(), hints };
    journal.add(machine.apply(adopted));
    journal.add(machine.apply(Event::RunEnded { outcome: outcome.clone() }));
    journal.flush(&machine, Standing::Ended(outcome)).await?;
    Ok(Left::Ended)
}

async fn read(station: &Station, run: RunId) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry: &Entry| entry.seq);
        let page = station.store().journal(run, after, PAGE).await?;
        let more = page.len() == PAGE as usize;
        entries.extend(page);
        if !more {
            return Ok(entries);
        }
    }
}
