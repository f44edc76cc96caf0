//! A command's end: finds the worker of its store and asks it one thing.

use super::place;
use super::wire::{self, Ask, LINE_BYTES_MAX, Reading, Request, Said, VERSION};
use crate::Station;
use station_store::Location;
use std::path::Path;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// How long a worker may take to greet or to answer; one that takes longer is stopped or overwhelmed, and is not
/// waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A worker that has not said for so long that it is still there has stalled.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A connection to the worker of this store.
#[derive(Debug)]
pub(crate) struct Line {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    reading: Reading,
    worker: String,
}

impl Line {
    /// Reaches the worker of this store that takes up what is queued, where one is there and has a socket.
    pub(crate) async fn open(station: &Station) -> Option<Self> {
        Self::reach(station, Taking::Only).await
    }

    /// Asks the worker of this store `ask`, also one that is about to end; `None` where there is none, or where it does
    /// not do that.
    pub(crate) async fn ask(station: &Station, ask: Ask) -> Option<Self> {
        let mut line = Self::reach(station, Taking::OrNot).await?;
        let request = Request { v: VERSION, ask };
        wire::write(&mut line.write, &request).await.ok()?;
        match line.next_within(ANSWER_WITHIN).await? {
            Said::Done => Some(line),
            said => {
                tracing::debug!(?said, "a worker did not do what it was asked");
                None
            }
        }
    }

    /// The worker's name.
    pub(crate) fn worker(&self) -> &str {
        &self.worker
    }

    /// What the worker says next; `None` where it is gone, or does not speak our language. Safe to be dropped and
    /// called anew.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        self.next_within(SILENCE_MAX).await
    }

    async fn next_within(&mut self, within: Duration) -> Option<Said> {
        let line = self.reading.line(&mut self.read, LINE_BYTES_MAX);
        let line = tokio::time::timeout(within, line).await.ok()?.ok()??;
        wire::read(&line).ok()
    }

    async fn reach(station: &Station, taking: Taking) -> Option<Self> {
        let Location::Sqlite(database) = &station.config().location else { return None };
        let name = place::socket_name(database).ok()?;
        for folder in &station.config().socket_folders {
            if let Some(line) = Self::connect(folder, &name, taking).await {
                return Some(line);
            }
        }
        None
    }

    async fn connect(folder: &Path, name: &str, taking: Taking) -> Option<Self> {
        place::check(folder).ok()?;
        let connecting = UnixStream::connect(folder.join(name));
        let stream = tokio::time::timeout(ANSWER_WITHIN, connecting).await.ok()?.ok()?;
        if !place::is_ours(&stream.peer_cred()) {
            return None;
        }
        let (read, write) = stream.into_split();
        let (reading, worker) = (Reading::default(), String::new());
        let mut line = Self { read: BufReader::new(read), write, reading, worker };
        match line.next_within(ANSWER_WITHIN).await? {
            Said::Hello { v: VERSION, worker, takes } if takes || taking == Taking::OrNot => {
                Some(Self { worker, ..line })
            }
            _ => None,
        }
    }
}

/// Which workers are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taking {
    /// Only one that takes up what is queued.
    Only,
    /// Also one that is about to end.
    OrNot,
}
