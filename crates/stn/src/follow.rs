//! Tells what happens while something is done: events on stderr, and a sign of life where nothing happens for a while:
//! a spinner on a terminal, plain lines where there is none.

use crate::narrate::{Detail, Narrator, duration, plural};
use crate::out::{Out, Tone};
use station_core::RunId;
use station_core::run::Event;
use station_engine::{Live, Seen, Station, Watch};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What takes longer than this shows that it is alive.
const SPIN_AFTER: Duration = Duration::from_secs(1);

/// What is told line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    /// Events of runs and of discovery.
    Events,
    /// The text of models too, while it arrives.
    Text,
    /// Events of runs; what servers answered is in the report that follows. Only where that is long in coming, and there
    /// is no spinner, each is told as it answers.
    Runs,
}

/// Where it is heard what happens.
pub(crate) enum Source {
    Station(Watch),
    /// From a server; none is missed.
    Server(mpsc::Receiver<Arc<Live>>),
}

impl Source {
    /// The next event, or how many were missed; `None` where none comes any more.
    async fn next(&mut self) -> Option<Result<Arc<Live>, u64>> {
        match self {
            Self::Station(watch) => watch.next().await,
            Self::Server(told) => told.recv().await.map(Ok),
        }
    }

    /// The next event if one is there already.
    fn try_next(&mut self) -> Option<Arc<Live>> {
        match self {
            Self::Station(watch) => watch.try_next(),
            Self::Server(told) => told.try_recv().ok(),
        }
    }
}

/// Does `work` and shows on a terminal that it is under way, where that takes long; `doing` names it. For work without a Station.
pub(crate) async fn alive<T>(out: &Out, doing: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    match tokio::time::timeout(SPIN_AFTER, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            if out.can_spin() {
                out.spin(doing);
            }
            let done = work.await;
            out.rest();
            done
        }
    }
}

/// Does `work` while telling what Station tells; `doing` names it for the spinner.
pub(crate) async fn follow<T>(
    out: &Out,
    station: &Station,
    tell: Tell,
    doing: &str,
    work: impl Future<Output = T>,
) -> T {
    follow_on(out, Source::Station(station.watch()), tell, doing, HashMap::new(), work).await
}

/// As [`follow`], from wherever it is heard, for runs of which something was told before.
pub(crate) async fn follow_on<T>(
    out: &Out,
    source: Source,
    tell: Tell,
    doing: &str,
    runs: HashMap<RunId, Narrator>,
    work: impl Future<Output = T>,
) -> T {
    let mut follower =
        Follower { out, tell, doing, source, runs, speaking: None, patience: Patience::new(out) };
    let patience = tokio::time::sleep(SPIN_AFTER);
    tokio::pin!(work, patience);
    let mut spinning = !out.can_spin();
    let done = loop {
        tokio::select! {
            biased;
            seen = follower.source.next() => {
                match seen {
                    Some(Ok(live)) => follower.tell(&live),
                    Some(Err(missed)) => out.warning(&format!("{} not shown: they came too fast", plural(missed, "event"))),
                    // A closed Station tells no more.
                    None => break (&mut work).await,
                }
                spinning = !out.can_spin();
            }
            done = &mut work => break done,
            () = &mut patience, if follower.patience.is_silent() => follower.say_slow(),
            () = tokio::time::sleep(SPIN_AFTER), if !spinning => {
                out.spin(doing);
                spinning = true;
            }
        }
    };
    while let Some(live) = follower.source.try_next() {
        follower.tell(&live);
    }
    out.rest();
    done
}

struct Follower<'a> {
    out: &'a Out,
    tell: Tell,
    doing: &'a str,
    source: Source,
    runs: HashMap<RunId, Narrator>,
    /// The run whose text was shown last.
    speaking: Option<RunId>,
    patience: Patience,
}

/// What was told where no spinner shows that something is done.
enum Patience {
    /// Nothing yet; these lines wait until it is known to take long.
    Silent { held: Vec<(Tone, String)> },
    /// That it takes long: what comes is told as it comes.
    Slow,
    /// Something, or a spinner tells it.
    Told,
}

impl Patience {
    fn new(out: &Out) -> Self {
        if out.can_spin() { Self::Told } else { Self::Silent { held: Vec::new() } }
    }

    fn is_silent(&self) -> bool {
        matches!(self, Self::Silent { .. })
    }
}

impl Follower<'_> {
    fn tell(&mut self, live: &Live) {
        match &live.seen {
            // How the run itself ended is told by who waits for it.
            Seen::Journal(entry) if live.depth == 0 && matches!(entry.event, Event::RunEnded { .. }) => {}
            Seen::Journal(entry) => {
                let narrator =
                    self.runs.entry(live.run).or_insert_with(|| Narrator::new(live.run, Detail::Brief));
                self.speaking = None;
                for line in narrator.entry(entry) {
                    self.line(live, line.tone, &line.text);
                }
            }
            Seen::Text(text) => self.text(live, text),
            Seen::Retry { attempt, after, reason } => {
                let wait = duration(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                self.line(live, Tone::Bad, &format!("asking again in {wait} (retry {attempt}): {reason}"));
            }
            Seen::Hands(words) => self.note(Tone::Bad, words),
            Seen::Paced { on, wait } => {
                let wait = duration(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                self.line(live, Tone::Quiet, &format!("waits {wait} for {on}"));
            }
            Seen::Discovery { server, .. } if self.tell == Tell::Runs && self.out.can_spin() => {
                self.out.spin(&format!("{}: {server} answered", self.doing));
            }
            Seen::Discovery { server, result } => {
                let text = match result {
                    Ok(tools) => format!("{server}: {}", plural(tools, "tool")),
                    Err(sentence) => format!("{server}: failed: {sentence}"),
                };
                self.answered(if result.is_ok() { Tone::Plain } else { Tone::Bad }, text);
            }
        }
    }

    /// What a server answered: told now, with a later sign of life, or not at all where a report follows soon.
    fn answered(&mut self, tone: Tone, text: String) {
        match &mut self.patience {
            Patience::Silent { held } if self.tell == Tell::Runs => held.push((tone, text)),
            Patience::Silent { .. } | Patience::Slow | Patience::Told => {
                self.note(tone, &text);
            }
        }
    }

    /// Says what is done, and what was held back until now.
    fn say_slow(&mut self) {
        let before = std::mem::replace(&mut self.patience, Patience::Slow);
        self.out.note(Tone::Quiet, &format!("{} …", self.doing));
        if let Patience::Silent { held } = before {
            held.iter().for_each(|(tone, text)| self.out.note(*tone, text));
        }
    }

    fn note(&mut self, tone: Tone, text: &str) {
        if self.patience.is_silent() {
            self.patience = Patience::Told;
        }
        self.out.note(tone, text);
    }

    fn text(&mut self, live: &Live, text: &str) {
        if self.tell != Tell::Text || text.is_empty() {
            return;
        }
        if self.speaking != Some(live.run) {
            self.note(Tone::Quiet, &format!("{}{} says:", "  ".repeat(live.depth as usize), live.agent));
            self.speaking = Some(live.run);
        }
        self.out.piece(text);
    }

    /// Sub-agents work side by side, so each of their lines says whose it is.
    fn line(&mut self, live: &Live, tone: Tone, text: &str) {
        let depth = live.depth as usize;
        let whose =
            if depth == 0 { String::new() } else { format!("{}[{}] ", "    ".repeat(depth), live.agent) };
        let inset = if depth == 0 && !text.starts_with("run ") { "  " } else { "" };
        self.note(tone, &format!("{whose}{inset}{text}"));
    }
}
