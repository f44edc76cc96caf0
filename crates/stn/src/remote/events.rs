//! What happens in a run of a server, from some place of its journal on: a stream that is taken up again where it broke off.

use super::answer::{Answer, unread};
use super::server::{Lost, Server, asked, lost};
use reqwest::Response;
use serde_json::json;
use station_core::sse::Reader;
use station_core::{Error, Kind, Result, RunId};
use station_server::api::Request;
use station_server::wire;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Longest event: an entry has a result of a tool, which has bounds of its own.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A server that says nothing for longer is gone: it gives a sign of life every fifteen seconds.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// How long a server may be away while a run is followed.
const AWAY_MAX: Duration = Duration::from_secs(120);

/// Between two tries to hear it again: the first, doubled each time, and the longest.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

/// Something that happened.
pub(super) enum Told {
    Entry(wire::Entry),
    /// A piece of what a model says.
    Text(String),
    /// It goes on when somebody has acted.
    Parked,
    /// It is over.
    End,
    /// The server is not heard, or heard again, in words.
    Away(String),
}

/// A run that is listened to.
pub(super) struct Events<'a> {
    server: &'a Server,
    request: Request,
    /// The place of the last entry that was told.
    after: i64,
    open: Option<(Response, Reader)>,
    ready: VecDeque<Told>,
    away: Option<Away>,
}

/// A server that is not heard.
struct Away {
    since: Instant,
    wait: Duration,
}

impl<'a> Events<'a> {
    /// Those of `run`, from behind place `after` on.
    ///
    /// # Errors
    /// Never, unless the table of operations is broken.
    pub(super) fn of(server: &'a Server, run: RunId, after: i64) -> Result<Self> {
        let request = asked("follow_run", json!({ "run": run.0 }))?;
        Ok(Self { server, request, after, open: None, ready: VecDeque::new(), away: None })
    }

    /// What happened next. Safe to be dropped and called anew.
    ///
    /// # Errors
    /// The server's; where it is away for too long.
    pub(super) async fn next(&mut self) -> Result<Told> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Ok(told);
            }
            let Some((response, reader)) = &mut self.open else {
                self.connect().await?;
                continue;
            };
            let cut = match tokio::time::timeout(SILENT_MAX, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    let events = reader.push(&chunk).map_err(|_| too_long(self.server))?;
                    for event in events {
                        let told = self.told(&event.name, &event.data)?;
                        self.ready.extend(told);
                    }
                    continue;
                }
                // It ends its streams when it stops.
                Ok(Ok(None)) => Lost::Cut("it ended its answer".to_owned()),
                Ok(Err(error)) => lost(&error),
                Err(_) => Lost::TimedOut,
            };
            self.open = None;
            self.miss(cut)?;
        }
    }

    /// What an event tells; one that this version does not know tells nothing.
    fn told(&mut self, name: &str, data: &[u8]) -> Result<Option<Told>> {
        let unread = |cause| unread(&self.server.address, "follow_run", cause);
        Ok(match name {
            "entry" => {
                let entry: wire::Entry = serde_json::from_slice(data).map_err(unread)?;
                // What was told before the stream broke off is not told again.
                let is_new = entry.seq > self.after;
                self.after = self.after.max(entry.seq);
                is_new.then_some(Told::Entry(entry))
            }
            "text" => Some(Told::Text(serde_json::from_slice(data).map_err(unread)?)),
            "parked" => Some(Told::Parked),
            "end" => Some(Told::End),
            "error" => {
                let told: wire::Error = serde_json::from_slice(data).map_err(unread)?;
                let error = told.error.read();
                return Err(error.unwrap_or_else(|| {
                    Error::upstream("the server told an error that this version does not know")
                }));
            }
            _ => None,
        })
    }

    /// Opens the stream, or waits a moment where that fails.
    async fn connect(&mut self) -> Result<()> {
        if let Some(away) = &mut self.away {
            tokio::time::sleep(away.wait).await;
            away.wait = (away.wait * 2).min(AGAIN_AFTER_MAX);
        }
        let last = Some(self.after).filter(|after| *after > 0);
        let opened = match self.server.open_stream(&self.request, last).await {
            Ok(response) if response.status().is_success() => Ok(response),
            Ok(response) => Err(Answer::of(response).await.map_err(|error| lost(&error))),
            Err(lost) => Err(Err(lost)),
        };
        match opened {
            Ok(response) => {
                self.open = Some((response, Reader::new(EVENT_BYTES_MAX)));
                if self.away.take().is_some() {
                    self.ready.push_back(Told::Away(format!("{} is heard again", self.server.address)));
                }
                Ok(())
            }
            Err(Err(lost)) => self.miss(lost),
            Err(Ok(answer)) => {
                let refused = answer.read::<wire::Run>(&self.server.address, "follow_run").err();
                match refused {
                    // It is only beginning, or has too much to do.
                    Some(error) if error.kind() == Kind::Busy && self.away.is_some() => {
                        self.miss(Lost::Cut(error.to_string()))
                    }
                    Some(error) => Err(self.server.with_way_in(error)),
                    None => self.miss(Lost::Cut("it answered without a stream".to_owned())),
                }
            }
        }
    }

    /// The server is not heard.
    fn miss(&mut self, lost: Lost) -> Result<()> {
        let is_first = self.after == 0 && self.away.is_none() && matches!(lost, Lost::Unreached(_));
        let Some(away) = &self.away else {
            if is_first {
                return Err(self.server.failed(&self.request, Some(lost), true));
            }
            self.away = Some(Away { since: Instant::now(), wait: AGAIN_AFTER });
            self.ready
                .push_back(Told::Away(format!("{} is not heard; listening again", self.server.address)));
            return Ok(());
        };
        if away.since.elapsed() >= AWAY_MAX {
            return Err(self.server.failed(&self.request, Some(lost), false));
        }
        Ok(())
    }
}

fn too_long(server: &Server) -> Error {
    let most = EVENT_BYTES_MAX / (1024 * 1024);
    Error::upstream(format!("{} told an event longer than {most} MiB", server.address))
}
