//! Follows a run that somebody else drives: what happens in it is told here as if it were driven here.
//!
//! The truth is the journal in the store: it is read from where it was told, run by run, in the order in which things
//! happened. A worker's socket, where there is one, makes that sooner and brings the text of models; without it the
//! store is looked at a few times a second. What was read is told on this process's own bus, so that whoever watches
//! needs to know nothing of all this.

use crate::journal::{TRY_AGAIN_AFTER, is_hiccup};
use crate::lease::LEASE;
use crate::local::{Ask, Line, Said};
use crate::{Live, Seen, Station};
use station_core::looking;
use station_core::run::{Entry, Event, Status};
use station_core::{Action, Error, Result, RunId};
use station_store::{Location, Relative};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Between two looks at the store where nothing says that there is something: a person sees it as at once.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a store may be away while a run is followed: as long as its driver waits for it.
const AWAY_MAX: Duration = LEASE;

/// Between two looks whether anybody still drives the run.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// How long a run may lie in the queue while no worker is seen, until nobody is expected: a worker that claims it, or a
/// parent's driver, is there sooner.
const UNCLAIMED_FOR: Duration = Duration::from_secs(3);

/// How long a run whose driver is gone may lie: another worker looks as often as [`looking::LOOK_EVERY`] says, and takes it up.
const LOST_FOR: Duration = looking::LOOK_EVERY.saturating_add(Duration::from_secs(2));

/// Entries read at a time.
const PAGE: u32 = 1_000;

/// Entries told before others get their turn: whoever watches falls behind no further than this.
const TOLD_AT_ONCE: usize = 256;

/// Why following came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The run is over.
    Ended,
    /// It is parked: a person, or something else outside, must act.
    Parked,
    /// Its worker, named here, is gone, and no other is there.
    Interrupted(String),
    /// It waits for a worker, and none is there.
    Unclaimed,
}

/// Why a worker is not listened to for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// It said nothing.
    Nothing,
    /// There is something to see in the store.
    News,
    /// It is gone.
    Gone,
}

/// What was told of a run and its sub-agents.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The last place of each journal.
    seqs: HashMap<RunId, i64>,
    checked: Option<Instant>,
    unclaimed: Option<Instant>,
    /// How long another may take to take up what its driver left: none where whoever follows would do so.
    lost_for: Duration,
    /// How often it was seen in the queue, with a worker there.
    n_queued_looks: u32,
}

/// Whether somebody, or something else outside, must act before a run and its sub-agents go on.
pub(crate) fn is_parked(family: &[Relative]) -> bool {
    family.iter().all(|it| match it.status {
        Status::Queued | Status::Running => false,
        Status::Waiting => !it.comes_back,
        Status::Completed | Status::Failed | Status::Cancelled | Status::TimedOut => true,
    })
}

impl Station {
    /// Tells what happens in run `id` and its sub-agents, from their first entries on, until it is over or nobody goes
    /// on with it. Watchers of this Station see it.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn follow_run(&self, by: &station_core::Caller, id: RunId) -> Result<Followed> {
        by.may(Action::ReadRuns)?;
        self.find_run(by, id).await?;
        // Who only looks on drives nothing on.
        self.follow(id, &mut Told { lost_for: LOST_FOR, ..Told::default() }).await
    }

    /// As [`Station::follow_run`], from where it was `told`. Safe to be dropped and called anew.
    pub(crate) async fn follow(&self, id: RunId, told: &mut Told) -> Result<Followed> {
        let (mut line, mut away) = (None, None);
        loop {
            match self.look_on(id, &mut line, told).await {
                Ok(Some(followed)) => return Ok(followed),
                Ok(None) => away = None,
                // Its driver goes on as well when the store is back, and waits no longer for it.
                Err(error) if is_hiccup(&error) => {
                    let since = *away.get_or_insert_with(|| {
                        self.tell_hands(id, format!("run {id} is not seen: {error}; looking again"));
                        Instant::now()
                    });
                    if since.elapsed() >= AWAY_MAX {
                        return Err(error);
                    }
                    tokio::time::sleep(TRY_AGAIN_AFTER).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One look at the store, and what the worker says until there is reason for the next.
    async fn look_on(&self, id: RunId, line: &mut Option<Line>, told: &mut Told) -> Result<Option<Followed>> {
        if line.is_none() {
            // Before the journal is read, so that nothing falls in between.
            *line = Line::ask(self, Ask::Follow { run: id.0 }).await;
        }
        let family = self.catch_up(id, told).await?;
        if let Some(followed) = self.judge(id, &family, told).await? {
            return Ok(Some(followed));
        }
        match line {
            None => tokio::time::sleep(LOOK_EVERY).await,
            Some(open) => {
                if self.listen(open, &family[0], told).await? == Heard::Gone {
                    *line = None;
                }
            }
        }
        Ok(None)
    }

    /// Counts everything that happened so far as told.
    pub(crate) async fn told_until_now(&self, id: RunId) -> Result<Told> {
        let family = self.store().family(id).await?;
        let seqs = family.into_iter().map(|it| (it.id, it.journal_seq)).collect();
        Ok(Told { seqs, ..Told::default() })
    }

    /// Tells what was appended since.
    async fn catch_up(&self, id: RunId, told: &mut Told) -> Result<Vec<Relative>> {
        let mut family = self.store().family(id).await?;
        // The run itself comes first; sub-agents are younger.
        let root = family.iter().position(|it| it.id == id);
        let root = root.ok_or_else(|| Error::not_found(format!("run {id} does not exist")))?;
        family.swap(0, root);
        let base = family[0].depth;
        let mut news: Vec<(&Relative, VecDeque<Entry>)> = Vec::new();
        for relative in &family {
            let entries = self.entries_until(relative.id, relative.journal_seq, told).await?;
            if !entries.is_empty() {
                news.push((relative, entries.into()));
            }
        }
        let mut n_told = 0_usize;
        while let Some((relative, entries)) = earliest(&mut news) {
            let Some(entry) = entries.pop_front() else { break };
            told.seqs.insert(relative.id, entry.seq);
            let (run, depth) = (relative.id, relative.depth.saturating_sub(base));
            let seen = Seen::Journal(Box::new(entry));
            self.bus().tell(Live { run, depth, agent: relative.agent_name.clone(), seen });
            n_told += 1;
            if n_told.is_multiple_of(TOLD_AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
        Ok(family)
    }

    /// Entries of `run` that were not told, up to place `last` at least.
    async fn entries_until(&self, run: RunId, last: i64, told: &Told) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let told = told.seqs.get(&run).copied().unwrap_or(0);
            let after = entries.last().map_or(told, |entry| entry.seq);
            if after >= last {
                return Ok(entries);
            }
            let page = self.store().journal(run, after, PAGE).await?;
            if page.is_empty() {
                return Ok(entries);
            }
            entries.extend(page);
        }
    }

    /// Whether there is an end to following; who drives what is looked at once a second.
    async fn judge(&self, id: RunId, family: &[Relative], told: &mut Told) -> Result<Option<Followed>> {
        if family[0].status.is_final() {
            return Ok(Some(Followed::Ended));
        }
        if is_parked(family) {
            return Ok(Some(Followed::Parked));
        }
        if told.checked.is_some_and(|at| at.elapsed() < CHECK_EVERY) {
            return Ok(None);
        }
        told.checked = Some(Instant::now());
        let mut lost = None;
        for relative in family.iter().filter(|it| it.status == Status::Running) {
            let run = self.store().run(relative.id).await?;
            match run.filter(|run| self.is_interrupted(run)) {
                Some(run) => lost = run.lease.map(|lease| lease.owner.worker).or(lost),
                None => {
                    told.unclaimed = None;
                    return Ok(None);
                }
            }
        }
        if !self.find_workers().await?.is_empty() {
            told.unclaimed = None;
            if family[0].status == Status::Queued {
                told.n_queued_looks += 1;
                // At the first look nobody has had the time to claim it.
                if told.n_queued_looks == 2 {
                    self.tell_hands(id, format!("run {id} waits for a free worker"));
                }
            }
            return Ok(None);
        }
        let since = *told.unclaimed.get_or_insert_with(Instant::now);
        Ok(match lost {
            // On SQLite one worker alone is found by its socket: others look by themselves whether a driver is gone.
            Some(worker) if since.elapsed() >= told.lost_for => Some(Followed::Interrupted(worker)),
            None if since.elapsed() >= UNCLAIMED_FOR => Some(Followed::Unclaimed),
            _ => None,
        })
    }

    /// Tells what the worker says, in its order, until it says nothing for a moment, or there is reason to look at the
    /// store.
    async fn listen(&self, line: &mut Line, root: &Relative, told: &mut Told) -> Result<Heard> {
        loop {
            let Ok(said) = tokio::time::timeout(LOOK_EVERY, line.next()).await else {
                return Ok(Heard::Nothing);
            };
            let (run, depth, agent, seen) = match said {
                Some(Said::Entry { run, depth, agent, seq }) => {
                    // Only so far: what a model says between two entries is told between them.
                    for entry in self.entries_until(RunId(run), seq, told).await? {
                        if entry.seq > seq {
                            break;
                        }
                        let is_end = matches!(entry.event, Event::RunEnded { .. }) && RunId(run) == root.id;
                        told.seqs.insert(RunId(run), entry.seq);
                        self.tell_followed(root, (run, depth, agent.clone()), Seen::Journal(Box::new(entry)));
                        if is_end {
                            return Ok(Heard::News);
                        }
                    }
                    continue;
                }
                Some(Said::Text { run, depth, agent, text }) => (run, depth, agent, Seen::Text(text)),
                Some(Said::Retry { run, depth, agent, attempt, after_ms, reason }) => {
                    let after = Duration::from_millis(after_ms);
                    (run, depth, agent, Seen::Retry { attempt, after, reason })
                }
                Some(Said::Still) => continue,
                Some(Said::Missed) => return Ok(Heard::News),
                Some(Said::Hello { .. } | Said::Done | Said::Refused { .. }) | None => {
                    return Ok(Heard::Gone);
                }
            };
            self.tell_followed(root, (run, depth, agent), seen);
        }
    }

    fn tell_followed(&self, root: &Relative, (run, depth, agent): (i64, u32, String), seen: Seen) {
        self.bus().tell(Live { run: RunId(run), depth: depth.saturating_sub(root.depth), agent, seen });
    }

    /// Tells watchers something about who drives a run.
    pub(crate) fn tell_hands(&self, run: RunId, words: String) {
        self.bus().tell(Live { run, depth: 0, agent: String::new(), seen: Seen::Hands(words) });
    }

    /// Whether what models say is followed while they say it.
    #[must_use]
    pub fn follows_text(&self) -> bool {
        matches!(self.config().location, Location::Sqlite(_))
    }
}

/// The run whose next entry is the oldest. Within one run the order is the journal's, whatever the clock did.
fn earliest<'n, 'r>(
    news: &'n mut [(&'r Relative, VecDeque<Entry>)],
) -> Option<(&'r Relative, &'n mut VecDeque<Entry>)> {
    news.iter_mut()
        .filter(|(_, entries)| !entries.is_empty())
        .min_by_key(|(relative, entries)| (entries.front().map(|entry| entry.at), relative.id))
        .map(|(relative, entries)| (*relative, entries))
}
