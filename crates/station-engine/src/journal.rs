//! A run's journal while it is driven: events are added as they happen and committed together.
//!
//! **Invariant:** nothing is shown to a watcher before it is committed, and an append under an old fence is refused,
//! so a driver that lost its run stops at its next flush.

use crate::lease::Lease;
use crate::waiting::Outstanding;
use crate::{Live, Seen, Station};
use station_core::approval::Approved;
use station_core::run::{Entry, Event, Machine, Status, WaitsOn};
use station_core::{BlobHash, EffectId, Error, Fence, Kind, Micros, Result, RunId};
use station_store::{Append, Appended, Charge, Ledger, NewApproval, NewRun, Refusal, Run, RunUpdate, Wait};
use std::time::Duration;

/// Between two tries to write to a store that is away: a failover of PostgreSQL takes seconds.
pub(crate) const TRY_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The open end of one run's journal.
pub(crate) struct Journal {
    station: Station,
    run: RunId,
    agent: String,
    depth: u32,
    fence: Fence,
    next_seq: i64,
    entries: Vec<Entry>,
    /// The entry added last, also after it was committed.
    last: Option<Entry>,
    out: Outstanding,
    /// The model that the run's row says.
    model: Option<String>,
    beside: Beside,
    /// Whether it was told that the store is away.
    is_away: bool,
}

/// What is committed together with the entries that speak of it.
#[derive(Default)]
struct Beside {
    blobs: Vec<(BlobHash, Vec<u8>)>,
    spawns: Vec<(EffectId, NewRun)>,
    asks: Vec<NewApproval>,
    uses: Vec<(EffectId, Approved)>,
    heard: Vec<EffectId>,
    voids: Vec<EffectId>,
    ledger: Ledger,
}

impl Beside {
    /// How much there is of each.
    fn lens(&self) -> [usize; 6] {
        let Self { blobs, spawns, asks, uses, heard, voids, ledger: _ } = self;
        [blobs.len(), spawns.len(), asks.len(), uses.len(), heard.len(), voids.len()]
    }

    /// Forgets what is more than `lens` say.
    fn truncate(&mut self, lens: [usize; 6]) {
        let [blobs, spawns, asks, uses, heard, voids] = lens;
        self.blobs.truncate(blobs);
        self.spawns.truncate(spawns);
        self.asks.truncate(asks);
        self.uses.truncate(uses);
        self.heard.truncate(heard);
        self.voids.truncate(voids);
    }
}

/// A place in what was added since the last flush, to come back to.
pub(crate) struct Mark {
    seq: i64,
    n_entries: usize,
    last: Option<Entry>,
    out: Outstanding,
    beside: [usize; 6],
    ledger: Ledger,
}

impl Mark {
    /// The next entry has this number.
    pub(crate) fn seq(&self) -> i64 {
        self.seq
    }
}

/// Where a run stands after a flush.
pub(crate) enum Standing {
    Running,
    /// Let go of, for another driver.
    Queued,
    /// Waits for its turn: at something it may not ask so often, or that takes no more at a time.
    Paced(WaitsOn),
    /// Parked until its sub-agents have ended.
    Waiting(WaitsOn),
    /// Parked for something that is no run.
    Parked(WaitsOn),
    Ended(station_core::run::Outcome),
}

/// Whether the store is away, or overloaded, for a moment.
pub(crate) fn is_hiccup(error: &Error) -> bool {
    matches!(error.kind(), Kind::Busy | Kind::Upstream)
}

impl Journal {
    pub(crate) fn new(station: &Station, run: &Run, fence: Fence, last_seq: i64) -> Self {
        Self {
            station: station.clone(),
            run: run.id,
            agent: run.agent_name.clone(),
            depth: run.depth,
            fence,
            next_seq: last_seq + 1,
            entries: Vec::new(),
            last: None,
            out: Outstanding::default(),
            model: None,
            beside: Beside::default(),
            is_away: false,
        }
    }

    pub(crate) fn add(&mut self, event: Event) {
        let entry = Entry { seq: self.next_seq, at: self.station.now(), event };
        self.out.note(&entry);
        self.last = Some(entry.clone());
        self.entries.push(entry);
        self.next_seq += 1;
    }

    pub(crate) fn keep(&mut self, blobs: impl IntoIterator<Item = (BlobHash, Vec<u8>)>) {
        self.beside.blobs.extend(blobs);
    }

    /// A sub-agent's run, to be enqueued in the commit of its `EffectStarted`.
    pub(crate) fn spawn(&mut self, effect: EffectId, run: NewRun) {
        self.beside.spawns.push((effect, run));
    }

    /// A question to a person, put in the commit of its `EffectPlanned`.
    pub(crate) fn ask(&mut self, question: NewApproval) {
        self.beside.asks.push(question);
    }

    /// The yes that a call is sent on, recorded in the commit of its `EffectStarted`.
    pub(crate) fn use_yes(&mut self, effect: EffectId, approved: Approved) {
        self.beside.uses.push((effect, approved));
    }

    /// What a person decided about `effect` is among the entries now.
    pub(crate) fn heard(&mut self, effect: EffectId) {
        self.beside.heard.push(effect);
    }

    /// The yes for `effect` does not hold any more.
    pub(crate) fn void(&mut self, effect: EffectId) {
        self.beside.voids.push(effect);
    }

    /// What is counted in budgets, in the commit of what was added.
    pub(crate) fn charge(&mut self, charges: impl IntoIterator<Item = Charge>) {
        self.beside.ledger.charges.extend(charges);
    }

    /// Whether the run waits for room in a budget, from the next commit on.
    pub(crate) fn wait(&mut self, wait: Wait) {
        self.beside.ledger.wait = wait;
    }

    /// How many of the entries from `seq` on, which are not committed, are as `is` says.
    pub(crate) fn count_since(&self, seq: i64, is: impl Fn(&Event) -> bool) -> u32 {
        let n = self.entries.iter().filter(|entry| entry.seq >= seq && is(&entry.event)).count();
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// The end of what was added so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            seq: self.next_seq,
            n_entries: self.entries.len(),
            last: self.last.clone(),
            out: self.out.clone(),
            beside: self.beside.lens(),
            ledger: self.beside.ledger.clone(),
        }
    }

    /// Takes back what was added since `mark` and could not be committed.
    pub(crate) fn retract(&mut self, mark: &Mark) {
        self.next_seq = mark.seq;
        self.entries.truncate(mark.n_entries);
        self.last.clone_from(&mark.last);
        self.out.clone_from(&mark.out);
        self.beside.truncate(mark.beside);
        self.beside.ledger = mark.ledger.clone();
    }

    /// Commits what was added, with the run's row brought up to date, and tells who watches. A store that is away for
    /// a moment is tried again while the lease lasts: what a tool answered must not be lost to a hiccup.
    ///
    /// # Errors
    /// `Conflict` where another driver has taken the run over; whatever the store says otherwise.
    pub(crate) async fn flush(&mut self, machine: &Machine, standing: Standing, lease: &Lease) -> Result<()> {
        match self.try_flush(machine, standing, lease).await? {
            None => Ok(()),
            Some(_) => Err(Error::internal("counting in a budget", "what sets no condition was refused")),
        }
    }

    /// As [`Journal::flush`], where budgets may refuse: then nothing is committed and all of it is still here.
    pub(crate) async fn try_flush(
        &mut self,
        machine: &Machine,
        standing: Standing,
        lease: &Lease,
    ) -> Result<Option<Refusal>> {
        let Beside { blobs, spawns, asks, uses, heard, voids, ledger } = std::mem::take(&mut self.beside);
        let append = Append {
            run: self.run,
            fence: self.fence,
            entries: std::mem::take(&mut self.entries),
            blobs,
            spawns,
            asks,
            uses,
            heard,
            voids,
            row: Some(self.row(machine, standing)),
            ledger,
        };
        let station = self.station.clone();
        let store = station.store();
        let mut appended = store.append(append.clone()).await;
        while let Err(error) = &appended
            && is_hiccup(error)
            && lease.check().is_ok()
        {
            tracing::warn!(run = %self.run, %error, "the journal could not be written; trying again");
            self.tell_away(error);
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
            // A commit whose answer was lost with the connection did happen.
            appended = match store.has_appended(&append).await {
                Ok(true) => Ok(Appended::Done { children: Vec::new() }),
                Ok(false) => store.append(append.clone()).await,
                Err(error) => Err(error),
            };
        }
        let appended = appended?;
        self.is_away = false;
        match appended {
            Appended::Done { .. } => self.model = append.row.and_then(|row| row.model).or(self.model.take()),
            Appended::Fenced => {
                return Err(Error::conflict(format!("run {} was taken over by another worker", self.run)));
            }
            Appended::Refused(refusal) => {
                let Append { entries, blobs, spawns, asks, uses, heard, voids, ledger, .. } = append;
                self.entries = entries;
                self.beside = Beside { blobs, spawns, asks, uses, heard, voids, ledger };
                return Ok(Some(*refusal));
            }
        }
        for entry in append.entries {
            self.tell(Seen::Journal(Box::new(entry)));
        }
        Ok(None)
    }

    /// Tells who watches, once, that the store is away: nothing is seen of the run until it is back.
    pub(crate) fn tell_away(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.is_away, true) {
            self.tell(Seen::Hands(format!("run {} waits: {error}; trying again", self.run)));
        }
    }

    /// Tells who watches about something that is not kept.
    pub(crate) fn tell(&self, seen: Seen) {
        let agent = self.agent.clone();
        self.station.bus().tell(Live { run: self.run, depth: self.depth, agent, seen });
    }

    /// What the run's row says from now on.
    fn row(&self, machine: &Machine, standing: Standing) -> RunUpdate {
        let now = self.station.now();
        let (on, since) = match (&standing, self.out.oldest()) {
            (Standing::Running, Some((on, since))) => (Some(on), Some(since)),
            (Standing::Running, None) | (Standing::Ended(_), _) => (None, None),
            (Standing::Queued, _) => (None, Some(now)),
            (Standing::Paced(on) | Standing::Waiting(on) | Standing::Parked(on), _) => {
                (Some(on.clone()), Some(now))
            }
        };
        let mut row = update(machine, standing, (on, since), self.last.as_ref());
        // What the row says already is not written again: it stands in an index.
        row.model = row.model.filter(|model| self.model.as_ref() != Some(model));
        row
    }
}

fn update(
    machine: &Machine,
    standing: Standing,
    (waiting_on, waiting_since): (Option<WaitsOn>, Option<Micros>),
    last: Option<&Entry>,
) -> RunUpdate {
    let waits_for_children = matches!(standing, Standing::Waiting(_));
    let (status, release, outcome) = match standing {
        Standing::Running | Standing::Paced(_) => (Status::Running, false, None),
        Standing::Queued => (Status::Queued, true, None),
        Standing::Waiting(_) | Standing::Parked(_) => (Status::Waiting, true, None),
        Standing::Ended(outcome) => (outcome.status(), true, Some(outcome)),
    };
    let (answer, error) = match outcome {
        Some(station_core::run::Outcome::Completed { answer }) => (Some(answer), None),
        Some(station_core::run::Outcome::Failed { sentence, .. }) => (None, Some(sentence)),
        Some(station_core::run::Outcome::Cancelled | station_core::run::Outcome::TimedOut) | None => {
            (None, None)
        }
    };
    RunUpdate {
        status,
        waiting_on,
        waiting_since,
        waits_for_children,
        is_stopping: machine.is_stopping(),
        model: machine.model().map(ToString::to_string),
        steps: machine.steps(),
        tool_calls: machine.calls_sent(),
        usage: machine.usage(),
        answer,
        error,
        ended_at: last.filter(|_| status.is_final()).map(|entry| entry.at),
        release,
    }
}
