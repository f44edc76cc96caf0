//! Streams of events: the one over which a request is answered, and the one over which a server of the older era tells
//! what nobody asked for.
//!
//! A stream that is cut before its answer came is taken up again where its last event ended (`Last-Event-ID`): that is
//! a GET, which asks nothing anew. Where the server gave its events no ids, or gives the rest to nobody, the answer
//! will not come.

use super::super::messages::{BYTES_MAX, messages};
use super::answer::{answers, kind};
use super::link::{Link, SESSION_HEADER};
use super::outgoing::Outgoing;
use super::reader;
use super::target::explain;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use station_core::sse::Reader;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Times that a cut stream is taken up again without anything new in between.
const RESUMES_MAX: u32 = 8;

/// How long a server is left alone before a cut stream is taken up again, where it does not say; doubled each time.
const RESUME_WAIT: Duration = Duration::from_millis(200);

/// Longest wait between two tries to hear a server.
const LISTEN_WAIT_MAX: Duration = Duration::from_secs(60);

/// How a piece of a stream ended.
enum Piece {
    /// The answer came.
    Answered,
    /// It ended, and this is why.
    Cut(String),
    /// Nothing of it can be used any more.
    Broken(String),
}

impl Link {
    /// Reads the stream that answers `outgoing`, to its answer.
    pub(super) async fn follow(&self, outgoing: &Outgoing, response: Response, stop: &CancellationToken) {
        let followed = stop.run_until_cancelled(self.follow_to_the_end(outgoing, response)).await;
        if let Some(Err(words)) = followed {
            self.lose(outgoing, words).await;
        }
        if let Some(id) = outgoing.id() {
            self.forget(id);
        }
    }

    async fn follow_to_the_end(&self, outgoing: &Outgoing, response: Response) -> Result<(), String> {
        let mut reader = reader();
        let mut response = Some(response);
        let mut tries = 0;
        loop {
            let before = reader.last_id.clone();
            let cut = match response.take() {
                Some(response) => match self.piece(outgoing, response, &mut reader).await {
                    Piece::Answered => return Ok(()),
                    Piece::Broken(words) => return Err(words),
                    Piece::Cut(words) => words,
                },
                None => "could not be reached to read on".to_owned(),
            };
            reader.cut();
            tries = if reader.last_id == before { tries + 1 } else { 1 };
            let Some(last_id) = reader.last_id.clone().filter(|_| tries <= RESUMES_MAX) else {
                return Err(cut);
            };
            tokio::time::sleep(reader.retry.unwrap_or(RESUME_WAIT * 2_u32.pow(tries - 1))).await;
            response = match self.open(Some(&last_id)).await {
                Ok(response) => Some(response),
                Err(Some(status)) => {
                    return Err(format!(
                        "{cut}, and answered HTTP {} when asked for the rest",
                        status.as_u16()
                    ));
                }
                Err(None) => None,
            };
        }
    }

    /// Reads as far as the stream goes.
    async fn piece(&self, outgoing: &Outgoing, mut response: Response, reader: &mut Reader) -> Piece {
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Piece::Cut("ended its answer before it was there".to_owned()),
                Err(error) => return Piece::Cut(explain(&error)),
            };
            let Ok(events) = reader.push(&chunk) else {
                return Piece::Broken(format!("sent an event longer than {} MiB", BYTES_MAX / (1024 * 1024)));
            };
            for message in events.iter().flat_map(|event| messages(&event.data, &self.traffic)) {
                let is_answer = outgoing.id().is_some_and(|id| answers(&message, id));
                if !self.hand_out(message).await || is_answer {
                    return Piece::Answered;
                }
            }
        }
    }

    /// Opens a stream, from behind `last_id` on where there is one. The error is the status of a refusal, or nothing
    /// where the server could not be reached.
    async fn open(&self, last_id: Option<&str>) -> Result<Response, Option<StatusCode>> {
        let (session, agreed) = {
            let state = self.state();
            (state.session.clone(), state.agreed.clone())
        };
        let mut request = self.request(Method::GET).header(ACCEPT, "text/event-stream");
        if let Some(session) = session {
            request = request.header(SESSION_HEADER, session);
        }
        if let Some(agreed) = agreed {
            request = request.header(super::outgoing::VERSION_HEADER, agreed);
        }
        if let Some(last_id) = last_id.and_then(|id| HeaderValue::try_from(id).ok()) {
            request = request.header("last-event-id", last_id);
        }
        let response = request.send().await.map_err(|error| {
            tracing::debug!(error = %error.without_url(), "a stream of events could not be opened");
            None
        })?;
        if response.status() == StatusCode::OK && kind(&response) == "text/event-stream" {
            return Ok(response);
        }
        Err(Some(response.status()))
    }

    /// Hears what a server of the older era says unasked, for as long as the connection is there. A server need not
    /// offer that.
    pub(super) fn listen(self: &Arc<Self>) {
        let link = Arc::clone(self);
        self.state().listens = true;
        self.tasks.spawn(async move {
            let closing = link.closing.clone();
            closing.run_until_cancelled(link.hear()).await;
        });
    }

    async fn hear(&self) {
        let mut reader = reader();
        let mut wait = RESUME_WAIT;
        loop {
            let opened = self.open(reader.last_id.as_deref()).await;
            self.listened.cancel();
            match opened {
                Ok(mut response) => {
                    while let Ok(Some(chunk)) = response.chunk().await {
                        let Ok(events) = reader.push(&chunk) else { return };
                        for message in events.iter().flat_map(|event| messages(&event.data, &self.traffic)) {
                            wait = RESUME_WAIT;
                            self.hand_out(message).await;
                        }
                    }
                    reader.cut();
                }
                Err(Some(status)) if status.is_client_error() || status.is_success() => return,
                Err(_) => {}
            }
            tokio::time::sleep(reader.retry.unwrap_or(wait).max(wait)).await;
            wait = (wait * 2).min(LISTEN_WAIT_MAX);
        }
    }
}
