//! What happens in one run, as a stream that can be taken up again where it was left.
//!
//! The journal in the store is the truth and says where a listener is: each entry has a place. The bus of this process makes it
//! sooner where the run is driven here, and brings the text of models; a run that another process drives is looked at now and then.
//! What this is not: `follow`, which tells of sub-agents too and says who is gone.

use crate::follow::is_parked;
use crate::{Run, Seen, Station, Watch};
use futures::stream::{BoxStream, StreamExt as _, unfold};
use station_core::run::{Entry, Event, Status};
use station_core::{Action, Caller, Result, RunId};
use std::collections::VecDeque;
use std::time::Duration;

/// Between two looks at a run of which nothing is heard: it may be driven elsewhere.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Entries read at a time.
const PAGE: u32 = 200;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {
    /// An entry of its journal.
    Entry(Box<Entry>),
    /// A piece of a model's text while it says it. Not kept: the answer is.
    Text(String),
    /// It goes on when somebody, or something else outside, has acted. Told once, until more happens.
    Parked(Box<Run>),
}

struct Events {
    station: Station,
    /// Whoever listens: as long as they may.
    by: Caller,
    run: RunId,
    /// The place of the last entry that was told.
    after: i64,
    watch: Watch,
    ready: VecDeque<RunEvent>,
    /// Whether the journal may hold something new: after a piece of text it does not.
    is_news: bool,
    is_over: bool,
    /// Whether it was told that the run is parked.
    is_parked: bool,
}

impl Station {
    /// What happens in run `id`, from the entry behind place `after` on (0: from the first), until it has ended.
    ///
    /// # Errors
    /// `NotFound`; within the stream the store's, which end it.
    pub async fn run_events(
        &self,
        by: &Caller,
        id: RunId,
        after: i64,
    ) -> Result<BoxStream<'static, Result<RunEvent>>> {
        by.may(Action::ReadRuns)?;
        self.find_run(by, id).await?;
        // Before the journal is read, so that nothing falls in between.
        let watch = self.watch();
        let ready = VecDeque::new();
        let (station, by) = (self.clone(), by.clone());
        let (is_news, is_over, is_parked) = (true, false, false);
        let events = Events { station, by, run: id, after, watch, ready, is_news, is_over, is_parked };
        Ok(unfold(events, |mut events| async {
            let next = events.next().await?;
            Some((next, events))
        })
        .boxed())
    }
}

impl Events {
    async fn next(&mut self) -> Option<Result<RunEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.is_over {
                return None;
            }
            if !self.is_news {
                self.wait().await;
                continue;
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) if self.is_over => return None,
                Ok(false) => self.wait().await,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Reads what was appended since; whether there is anything to tell.
    async fn read(&mut self) -> Result<bool> {
        // Its status first: an entry that is appended after this look is of a run that is looked at again.
        let by = self.station.caller_now(&self.by).await?;
        by.may(Action::ReadRuns)?;
        let run = self.station.find_run(&by, self.run).await?;
        let is_final = run.status.is_final();
        let entries = self.station.store().journal(self.run, self.after, PAGE).await?;
        if let Some(last) = entries.last() {
            self.after = last.seq;
        }
        let is_news = !entries.is_empty();
        let is_end = entries.last().is_some_and(|last| matches!(last.event, Event::RunEnded { .. }));
        self.is_over = is_final && !is_news;
        // A short page of a run that goes on is all there is: what comes then is heard. Of one that waits it is asked what for.
        let is_waiting = run.status == Status::Waiting && is_news;
        let is_page = u32::try_from(entries.len()).is_ok_and(|n| n == PAGE);
        self.is_news = is_final || is_end || is_waiting || is_page;
        self.ready.extend(entries.into_iter().map(Box::new).map(RunEvent::Entry));
        self.tell_parked(run, is_news).await?;
        Ok(!self.ready.is_empty())
    }

    /// Tells that `run` is parked, once all is told that happened before.
    async fn tell_parked(&mut self, run: Run, is_news: bool) -> Result<()> {
        if is_news || run.status != Status::Waiting {
            self.is_parked = false;
        } else if !self.is_parked && is_parked(&self.station.store().family(self.run).await?) {
            self.is_parked = true;
            self.ready.push_back(RunEvent::Parked(Box::new(run)));
        }
        Ok(())
    }

    /// Waits until it is worth to look again, or a model said something.
    async fn wait(&mut self) {
        self.is_news = true;
        let look = tokio::time::sleep(LOOK_EVERY);
        tokio::pin!(look);
        loop {
            tokio::select! {
                () = &mut look => return,
                told = self.watch.next() => match told {
                    Some(Ok(live)) if live.run == self.run => match &live.seen {
                        // Told already.
                        Seen::Journal(entry) if entry.seq <= self.after => {}
                        Seen::Journal(_) => return,
                        Seen::Text(text) => {
                            self.is_news = false;
                            self.ready.push_back(RunEvent::Text(text.clone()));
                            return;
                        }
                        _ => {}
                    },
                    // Of another run; or missed, and then the store knows.
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return,
                    None => {
                        self.is_over = true;
                        return;
                    }
                },
            }
        }
    }
}
