//! What happens in a run of a server, from some place of its journal on: a stream that is taken up again where it broke off.

use super::answer::{Answer, unread};
use super::server::{Lost, Server, asked, lost};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
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
    ready: VecDeque<Result<Told>>,
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
                return told;
            }
            let Some((response, reader)) = &mut self.open else {
                self.connect().await?;
                continue;
            };
            let cut = match tokio::time::timeout(SILENT_MAX, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    let events = reader.push(&chunk).map_err(|_| too_long(self.server))?;
                    self.heard();
                    for event in events {
                        let told = self.told(&event.name, &event.data).transpose();
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
        let response = match within(self.server.open_stream(&self.request, last)).await {
            Ok(response) => response,
            Err(lost) => return self.miss(lost),
        };
        if is_stream(&response) {
            self.open = Some((response, Reader::new(EVENT_BYTES_MAX)));
            return Ok(());
        }
        let answer = match within(async { Answer::of(response).await.map_err(|error| lost(&error)) }).await {
            Ok(answer) => answer,
            Err(lost) => return self.miss(lost),
        };
        match answer.read::<wire::Run>(&self.server.address, "follow_run").err() {
            // It is only beginning, or has too much to do.
            Some(error) if error.kind() == Kind::Busy && self.away.is_some() => {
                self.miss(Lost::Cut(error.to_string()))
            }
            Some(error) => Err(self.server.with_way_in(error)),
            None => self.miss(Lost::Cut("it answered without a stream".to_owned())),
        }
    }

    /// The server is heard: not before it says something, as one that only opens streams is as good as away.
    fn heard(&mut self) {
        if self.away.take().is_some() {
            self.ready.push_back(Ok(Told::Away(format!("{} is heard again", self.server.address))));
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
            let told = format!("{} is not heard; listening again", self.server.address);
            self.ready.push_back(Ok(Told::Away(told)));
            return Ok(());
        };
        if away.since.elapsed() >= AWAY_MAX {
            return Err(self.server.failed(&self.request, Some(lost), false));
        }
        Ok(())
    }
}

/// What comes of `work` where the server says anything in time.
async fn within<T>(work: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
    tokio::time::timeout(SILENT_MAX, work).await.unwrap_or(Err(Lost::TimedOut))
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    response.status().is_success() && kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

fn too_long(server: &Server) -> Error {
    let most = EVENT_BYTES_MAX / (1024 * 1024);
    Error::upstream(format!("{} told an event longer than {most} MiB", server.address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::remote::Target;
    use crate::session::install_tls;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// What is told by a server that answers once, with `answer`.
    async fn told(answer: &'static str) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The request is one segment.
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        install_tls();
        let target = Target::chosen(Some(&address), false, &Environment::of(&[])).unwrap().unwrap();
        let server = Server::with(&target, None).unwrap();
        let mut events = Events::of(&server, RunId(1), 0).unwrap();
        let mut all = Vec::new();
        loop {
            all.push(match events.next().await {
                Ok(Told::Entry(entry)) => format!("entry {}", entry.seq),
                Ok(Told::End) => "end".to_owned(),
                Ok(_) => "something else".to_owned(),
                Err(error) => error.to_string().replace(&address, "URL"),
            });
            if all.last().is_some_and(|told| !told.starts_with("entry")) {
                answering.join().unwrap();
                return all;
            }
        }
    }

    #[tokio::test]
    async fn what_came_with_an_error_is_told_before_it() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
            event: entry\ndata: {\"seq\": 1, \"at\": \"2026-11-26T09:30:00Z\", \"event\": {\"event\": \"adopted\"}}\n\n\
            event: error\ndata: {\"error\": {\"kind\": \"unauthenticated\", \"message\": \"it is over\", \"hints\": []}}\n\n";
        assert_eq!(told(answer).await, ["entry 1", "it is over"]);
    }

    #[tokio::test]
    async fn a_page_is_no_stream() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
        let expected =
            "what URL answered to `follow_run` cannot be read: it is no Station, or of another version";
        assert_eq!(told(answer).await, [expected]);
    }
}
