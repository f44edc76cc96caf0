//! The run loop: one for every run, of every origin, the first time and after every interruption.
//!
//! The machine says what is next; what is sent is committed before it is sent; what happened is appended as it
//! happens. Recovery is this function called again under a new fence: `Adopted`, when folded, makes every call that
//! was out unknown, and nothing else means "restarted". The window that remains: between the commit of
//! `EffectStarted` and the write of the request a kill leaves an effect that is called unknown although it was never
//! sent. That is the safe side: such a call is told as unknown rather than sent twice.

use crate::Station;
use crate::call::On;
use crate::hear::hear;
use crate::journal::{Journal, Standing, TRY_AGAIN_AFTER, is_hiccup};
use crate::lease::{Before, Lease, millis};
use crate::pace::Paced;
use crate::perform::{Performed, Seat, Started, Written, perform};
use crate::prepare::{self, RunRequest, Start};
use crate::reading::is_for_a_person;
use crate::sampling::{self, Lender};
use crate::signals::Signals;
use crate::spend::{Begun, Spending};
use crate::turns::Turns;
use crate::variables::Brought;
use crate::worker;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use station_core::run::{
    Entry, Event, Failure, Machine, Next, Outcome, Prepared, Settings, WaitKind, Waiting, WaitsOn, Why,
    limit_reached,
};
use station_core::{Error, Kind, Micros, ModelRef, Result, RunId, Trace};
use station_llm::Patience;
use station_store::Run;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries read from the store at a time.
const PAGE: u32 = 1_000;

/// Times in a row that the store may be away before a run is let go of; each write besides is tried for as long as the lease
/// lasts. With [`TRY_AGAIN_AFTER`] between them half a minute: a failover of PostgreSQL.
const HICCUPS_MAX: u32 = 120;

/// Where a run stands when its driver lets go of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Ended,
    /// Parked until these runs have ended.
    Waiting(Vec<RunId>),
    /// Parked until something happens that is not ours to do: it costs a row.
    Parked,
    /// Parked until requests of others are settled: a budget is reserved by them for now.
    Crowded,
    /// In the queue again: this process is about to end.
    Released,
}

/// Why effects that are out are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    Cancelled,
    Deadline,
    Drained,
}

/// Drives `run`, at `trace`, under `lease` until it ends, parks, or is let go of.
///
/// # Errors
/// The store's, and the loss of the lease. The run stays as its journal has it and can be driven on.
pub(crate) async fn drive(
    station: &Station,
    (run, trace): (&Run, Option<Trace>),
    lease: &Lease,
    signals: &Signals,
) -> Result<Left> {
    if let Some(by) = &run.cancel_requested_by {
        signals.cancel(by);
    }
    let entries = match read(station, run.id).await {
        // During a rolling update there is a version that knows what this one does not.
        Err(error) if error.kind() == Kind::Conflict => {
            let on = WaitsOn::new(WaitKind::NewerStation, error);
            station.store().let_go(run.id, lease.fence(), Some(&on), station.now()).await?;
            return Ok(Left::Parked);
        }
        read => read?,
    };
    let last_seq = entries.last().map_or(0, |entry| entry.seq);
    let mut journal = Journal::new(station, run, lease.fence(), last_seq);
    let (fence, worker) = (lease.fence(), station.config().worker.clone());
    let process = Some(worker::own_process(station)?);
    let brought = Brought::with(station, run.id).await?;

    let mut machine = if let Some(mut machine) = prepare::refold(station, &entries).await? {
        let resumed_at = signals.resumed_at().max(run.resumed_at);
        let deadline = later_deadline(station, &machine, &entries, resumed_at);
        let alone = match lease.before() {
            Before::Gone(fence) if worker::last_driver(&entries) == Some(fence) => true,
            // Only what is out depends on it.
            Before::Gone(_) | Before::Unsure => {
                !machine.calls_out().is_empty() && worker::outlived(&entries).await
            }
        };
        journal.add(machine.apply(Event::Adopted { fence, worker, deadline, alone, process }));
        machine
    } else {
        let adopted = Event::Adopted { fence, worker, deadline: None, alone: false, process };
        match prepare::prepare(station, run, &brought).await {
            Ok(start) => begin(station, &mut journal, start, adopted),
            Err(error) if is_for_a_person(&error) => {
                return refuse((station, run), journal, adopted, &error, lease).await;
            }
            Err(error) => return Err(error),
        }
    };
    hear(station, run, &mut machine, &mut journal).await?;
    let (depth, deadline) = (run.depth, machine.deadline());
    let scopes = RunRequest::of(run)?.scopes;
    let on = On { run: run.id, agent: run.agent, user: run.user, scopes, depth, deadline, trace, brought };
    let spending = Spending::new(station, run, &machine, &entries);
    let (turns, paced) = (Turns::default(), BTreeSet::new());
    let mut drive = Drive { station, run, lease, signals, on, machine, journal, spending, turns, paced };
    drive.take_up_budget();
    drive.go().await
}

/// The first lines of a run's journal.
fn begin(station: &Station, journal: &mut Journal, start: Start, adopted: Event) -> Machine {
    let mut machine = Machine::new(start.prepared);
    journal.keep(start.blobs);
    journal.add(machine.apply(adopted));
    journal.add(machine.apply(Event::RunStarted(Box::new(start.inputs))));
    if let Some(switch) = machine.first_choice(&|model| station.models().cooling(model).is_some()) {
        journal.add(machine.apply(switch));
    }
    machine
}

/// The end of a resumed run's time: what was left of it when it was last driven counts from now. `None` where the run
/// was not interrupted.
fn later_deadline(
    station: &Station,
    machine: &Machine,
    entries: &[Entry],
    resumed_at: Option<Micros>,
) -> Option<Micros> {
    let (deadline, last) = (machine.deadline()?, entries.last()?);
    let interrupted = resumed_at.is_some_and(|resumed| last.at < resumed);
    // Nor does time that a person took, or in which a limit kept it.
    let waited = matches!(machine.next(), Next::Park(Waiting::Approval(_) | Waiting::Person(_)))
        || limit_reached(entries).is_some();
    // Nor does the time in which a fork waited for its first driver.
    let is_new = !entries.iter().any(|entry| matches!(entry.event, Event::Adopted { .. }));
    (interrupted || waited || is_new).then(|| station.now().plus_ms(deadline.ms_since(last.at)))
}

pub(crate) struct Drive<'a> {
    pub(crate) station: &'a Station,
    pub(crate) run: &'a Run,
    pub(crate) lease: &'a Lease,
    pub(crate) signals: &'a Signals,
    pub(crate) on: On,
    pub(crate) machine: Machine,
    pub(crate) journal: Journal,
    pub(crate) spending: Spending,
    pub(crate) turns: Turns,
    /// Calls of the model's last turn that had their turn by a rate, and were not begun yet.
    pub(crate) paced: BTreeSet<usize>,
}

impl Drive<'_> {
    /// Goes on until the run is let go of. A store that is away for a moment ends nothing: what happened is committed first
    /// when it is back, so that an answer that is here is never lost.
    async fn go(&mut self) -> Result<Left> {
        let mut hiccups = 0;
        loop {
            match self.step().await {
                Ok(Some(left)) => return Ok(left),
                Ok(None) => hiccups = 0,
                Err(error) if is_hiccup(&error) && hiccups < HICCUPS_MAX && self.lease.check().is_ok() => {
                    tracing::warn!(run = %self.run.id, %error, "the store could not be read; trying again");
                    self.journal.tell_away(&error);
                    hiccups += 1;
                    tokio::time::sleep(TRY_AGAIN_AFTER).await;
                    self.flush(Standing::Running).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Does what is next. Where the run stands, if it was let go of.
    async fn step(&mut self) -> Result<Option<Left>> {
        self.heed_stop();
        match self.machine.next() {
            Next::End(outcome) => {
                let event = self.machine.apply(Event::RunEnded { outcome: outcome.clone() });
                self.journal.add(event);
                self.flush(Standing::Ended(outcome.clone())).await?;
                tell_end(self.station, self.run, &outcome);
                Ok(Some(Left::Ended))
            }
            Next::Do(_) if self.signals.is_draining() => {
                self.flush(Standing::Queued).await?;
                Ok(Some(Left::Released))
            }
            Next::Do(todos) => {
                match self.pace(&todos).await? {
                    Paced::Go => {}
                    Paced::Stopped => return Ok(None),
                    Paced::Parked => return Ok(Some(Left::Parked)),
                }
                match self.begin_within_budget(todos).await? {
                    Begun::Out(started) => {
                        self.lease.check()?;
                        self.perform(started).await?;
                        Ok(None)
                    }
                    // All were refused, or wait for a person, or for their turn: what comes next commits it.
                    Begun::Nothing => self.wait_for_turn().await.map(|()| None),
                    Begun::Parked(left) => Ok(Some(left)),
                }
            }
            Next::Park(Waiting::Children(_)) => self.park().await.map(Some),
            Next::Park(Waiting::Approval(effects)) => {
                let calls = self.machine.in_words(&effects);
                self.park_for_a_person(WaitsOn::new(WaitKind::Approval, calls)).await.map(Some)
            }
            Next::Park(Waiting::Person(effects)) => {
                let calls = self.machine.in_words(&effects);
                self.park_for_a_person(WaitsOn::new(WaitKind::Outcome, calls)).await.map(Some)
            }
        }
    }

    async fn park(&mut self) -> Result<Left> {
        let children = self.children().await?;
        if children.is_empty() {
            // They are enqueued in the commit of their `EffectStarted`, which is behind us.
            return Err(Error::internal("parking a run", "its sub-agents have no runs"));
        }
        let on = children.iter().map(|child| format!("agent `{}` (run {})", child.agent_name, child.id));
        let on = WaitsOn::new(WaitKind::Agent, on.collect::<Vec<_>>().join(", "));
        self.flush(Standing::Waiting(on)).await?;
        Ok(Left::Waiting(children.iter().map(|child| child.id).collect()))
    }

    async fn park_for_a_person(&mut self, on: WaitsOn) -> Result<Left> {
        self.flush(Standing::Parked(on)).await?;
        Ok(Left::Parked)
    }

    pub(crate) async fn flush(&mut self, standing: Standing) -> Result<()> {
        self.journal.flush(&self.machine, standing, self.lease).await
    }

    /// Waits for everything that is out, appending each answer as it arrives.
    async fn perform(&mut self, started: Vec<Started>) -> Result<()> {
        let prepared = Arc::clone(self.machine.prepared());
        let written = Written::default();
        let (hearer, asked) = sampling::line();
        let seat = Seat {
            run: self.run.id,
            depth: self.run.depth,
            agent: &self.run.agent_name,
            prepared: &prepared,
            trace: self.on.trace,
            lease: self.lease,
            written: &written,
            lender: &hearer,
            patience: if self.machine.has_fallback() { Patience::Short } else { Patience::Long },
        };
        let began = Instant::now();
        let mut lender = Lender::new(&started, asked);
        let mut out: FuturesUnordered<_> =
            started.into_iter().map(|started| perform(self.station, &seat, started)).collect();
        let deadline = tokio::time::sleep(self.time_left());
        let signals = self.signals;
        let drained = async {
            signals.draining().await;
            tokio::time::sleep(signals.drain_for()).await;
        };
        tokio::pin!(deadline, drained);
        let mut is_told = false;
        let given_up = loop {
            tokio::select! {
                biased;
                () = signals.cancelled() => break GivenUp::Cancelled,
                () = &mut deadline => break GivenUp::Deadline,
                () = signals.draining(), if !is_told => is_told = true,
                () = &mut drained => break GivenUp::Drained,
                event = out.next() => match event {
                    None => return Ok(()),
                    Some(performed) => {
                        self.arrived(performed, out.is_empty()).await?;
                        self.stop_lending(&mut lender);
                    }
                },
                step = lender.next() => self.lend(&seat, &mut lender, step).await?,
            }
            // What is asked again, or never was sent, is not waited for.
            if is_told && !self.machine.calls_out().iter().any(|id| written.has(*id)) {
                break GivenUp::Drained;
            }
        };
        drop((out, lender));
        self.give_up(given_up, &written, millis(began.elapsed()));
        Ok(())
    }

    /// Appends an answer. While siblings are still out it is committed at once; otherwise the next start does it.
    async fn arrived(&mut self, performed: Performed, is_last: bool) -> Result<()> {
        for event in performed.before {
            self.journal.add(self.machine.apply(event));
        }
        let (event, whole) = self.machine.shorten(performed.end);
        self.journal.keep(whole);
        self.settle(&event);
        let is_answer = matches!(event, Event::Answered { .. });
        self.journal.add(self.machine.apply(event));
        // Calls that cannot be made at all are answered by the machine itself; the journal says so.
        for (slot, sentence) in self.machine.answered_here().into_iter().filter(|_| is_answer) {
            self.journal.add(self.machine.apply(Event::Refused { slot, sentence }));
        }
        let cooling = |model: &ModelRef| self.station.models().cooling(model).is_some();
        let mended = self.machine.compaction_after_overflow().or_else(|| self.machine.fallback(&cooling));
        if let Some(mended) = mended {
            self.journal.add(self.machine.apply(mended));
        }
        if is_last { Ok(()) } else { self.flush(Standing::Running).await }
    }

    /// Appends what becomes of effects that are out and are not waited for any longer.
    fn give_up(&mut self, given_up: GivenUp, written: &Written, ms: u64) {
        let (why, sentence) = match given_up {
            GivenUp::Cancelled => (Why::Stopped, "the run was cancelled"),
            GivenUp::Deadline => (Why::Stopped, "the run's time was over"),
            GivenUp::Drained => (Why::Interrupted, "this Station was stopped"),
        };
        match given_up {
            GivenUp::Cancelled => self.heed_stop(),
            // Said by the timer; the clock of the day may have been set back meanwhile.
            GivenUp::Deadline => self.journal.add(self.machine.apply(Event::DeadlinePassed)),
            GivenUp::Drained => {}
        }
        for id in self.machine.calls_out() {
            let sentence = sentence.to_owned();
            let left = if written.has(id) {
                Event::OutcomeUnknown { id, why, sentence, ms }
            } else {
                Event::NotSent { id, sentence, ms }
            };
            self.journal.add(self.machine.apply(left));
        }
        self.charge_lost();
    }

    /// Appends the wish to stop, or the end of the run's time, once.
    fn heed_stop(&mut self) {
        if self.machine.is_stopping() || matches!(self.machine.next(), Next::End(_)) {
            return;
        }
        if let Some(by) = self.signals.cancelled_by() {
            self.journal.add(self.machine.apply(Event::CancelRequested { by }));
        } else if self.time_left().is_zero() {
            self.journal.add(self.machine.apply(Event::DeadlinePassed));
        }
    }

    pub(crate) fn time_left(&self) -> Duration {
        let Some(deadline) = self.machine.deadline() else { return Duration::ZERO };
        Duration::from_micros(u64::try_from(deadline.0.saturating_sub(self.station.now().0)).unwrap_or(0))
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

/// Ends a run that could not even be prepared; why is kept like everything else.
async fn refuse(
    (station, run): (&Station, &Run),
    mut journal: Journal,
    adopted: Event,
    error: &Error,
    lease: &Lease,
) -> Result<Left> {
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
    journal.flush(&machine, Standing::Ended(outcome.clone()), lease).await?;
    tell_end(station, run, &outcome);
    Ok(Left::Ended)
}

/// Tells log and metrics that a run has ended.
fn tell_end(station: &Station, run: &Run, outcome: &Outcome) {
    let failure = match outcome {
        Outcome::Failed { failure, .. } => Some(failure.as_str()),
        Outcome::Completed { .. } | Outcome::Cancelled | Outcome::TimedOut => None,
    };
    // A run is claimed before it is driven.
    let began = run.started_at.unwrap_or(run.created_at);
    tracing::info!(
        name: "run.ended",
        run = %run.id,
        environment = run.environment_name,
        status = outcome.status().as_str(),
        failure,
        seconds = Duration::from_millis(station.now().ms_since(began)).as_secs_f64(),
        "a run has ended"
    );
}

/// All of a run's journal.
pub(crate) async fn read(station: &Station, run: RunId) -> Result<Vec<Entry>> {
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
